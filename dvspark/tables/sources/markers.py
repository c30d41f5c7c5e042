"""Markers: signs of the table format to which a folder belongs, whatever format the settings name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import fs

from dvspark.errors import ConfigError, Problem
from dvspark.tables.storage import Storage, entries, open_storage

# 00012-….metadata.json of a catalog, v12.metadata.json of a file system's tables.
METADATA_FILE = re.compile(r"(?:v(\d+)|(\d+)-.*)\.metadata\.json")
# By format, the folder in which such a table keeps its log or metadata.
LOGS = {"delta": "_delta_log", "iceberg": "metadata", "hudi": ".hoodie"}
READABLE = ("delta", "iceberg")


@dataclass(frozen=True)
class Marker:
    """A table of ``format`` whose root is ``place``: the folder asked for, or one above or below it."""

    format: str
    place: str


def contradiction(side: str, place: str, given: str, inside: Iterable[fs.FileInfo] = ()) -> Problem | None:
    """Return why a folder cannot be read in the given format, as far as this process sees the folder.

    ``inside``: everything below the folder.
    """
    try:
        storage = open_storage(place)
        found = list(_markers(storage, inside))
    except (ConfigError, OSError, pa.ArrowException):  # a store that only Spark can read
        return None
    if not found or (given == "iceberg" and place.endswith(".metadata.json")):
        return None
    if any(one.format == given and one.place == storage.root for one in found):
        return None
    one = found[0]
    whose = "the folder is" if one.place == storage.root else f"it has to do with {one.place}, which is"
    if one.format in READABLE:
        hint = f"set {side}.format: {one.format}, and {side}.path: {one.place}"
    else:
        hint = "give it to Spark's connector as a table, or write the rows to a folder of their own"
    got = f"{whose} a table of format {one.format}, whose files alone are not its rows"
    return Problem(f"{side} table {place}", f"a table of format {given}", got, hint)


def _markers(storage: Storage, inside: Iterable[fs.FileInfo]) -> Iterator[Marker]:
    """Yield the tables at, above and below a place."""
    place, seen = storage.root, storage.file_system
    while True:
        yield from _at(seen, place)
        above = posixpath.dirname(place.rstrip("/"))
        if above in ("", place):
            break
        place = above
    for info in inside:
        folder, name = posixpath.split(info.path)
        if info.type == fs.FileType.Directory and name in LOGS.values() and folder != storage.root:
            yield from _at(seen, folder)


def _at(seen: fs.FileSystem, place: str) -> Iterator[Marker]:
    for kind, name in LOGS.items():
        folder = f"{place.rstrip('/')}/{name}"
        if seen.get_file_info(folder).type != fs.FileType.Directory:
            continue
        inside = entries(seen, folder)
        if kind != "iceberg" or any(METADATA_FILE.fullmatch(info.base_name) for info in inside):
            yield Marker(kind, place)
