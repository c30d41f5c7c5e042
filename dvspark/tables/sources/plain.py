"""Plain tables: files in a folder without a log that says which files count; each column must have one meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from dvspark.errors import ConfigError, InputError, Problem, shown
from dvspark.tables.sources.folders import Folders, below, folders_of, literal, two_meanings
from dvspark.tables.sources.listing import data_files, is_hidden, listing_of
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.reader import Reader, SparkTable
from dvspark.tables.storage import Storage, entries, open_storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Rows that cannot be read are an error, whatever the session's settings say.
STRICT = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false", "mode": "FAILFAST"}


@dataclass(frozen=True)
class Seen:
    """A table's place as this process sees it: everything in it, and the files that Spark would read."""

    storage: Storage
    inside: list[fs.FileInfo]
    files: list[fs.FileInfo]

    def path(self, name: str) -> str:
        """Return the path of a file of the table within the file system."""
        return self.storage.root if len(self.files) == 1 and self.is_file else self.storage.path(name)

    @property
    def is_file(self) -> bool:
        """Whether the place is a file, not a folder."""
        return not self.inside and bool(self.files)

    def names(self) -> list[str]:
        """Return the paths of the files below the place, ascending; for a single file its name."""
        start = len(self.storage.root.rstrip("/")) + 1
        return sorted(file.base_name if self.is_file else file.path[start:] for file in self.files)


def plain_files(reader: Reader) -> tuple[Seen, Folders]:
    """Return the files of a plain table on this machine, and the columns in the names of their folders.

    Cost: a listing. Raises: NotLocalError for files that only Spark sees, InputError if they are not the rows.
    """
    reader.require_local()
    place = str(reader.reference.path)
    seen = look(place)
    if seen is None or seen.storage.file_system.type_name != "local":
        raise not_local(reader.where, "files of this machine", place)
    _require_rows(reader, seen)
    if not seen.files:
        raise InputError(Problem(reader.where, "a table that exists", f"no file at {place}", "check the spelling"))
    return seen, folder_columns(reader, seen.names())


def plain_frame(spark: SparkSession, reader: Reader, schema: Callable[[Folders, Seen | None], Any]) -> SparkTable:
    """Return the used columns of a plain table, with its listing if this process sees the table.

    ``schema`` gives Spark's schema of these columns, of files of which Spark and this process, if it sees them, list
    the same. Cost: a listing of the place, here and by Spark.
    Raises: InputError if the files are not the rows; Spark's own errors.
    """
    place = str(reader.reference.path)
    seen = look(place)
    # This comes before Spark's listing, so a file that arrives in between counts as a change.
    listing = listing_of(seen.files) if seen and seen.files else None
    _require_rows(reader, seen)
    uris = _listed(spark, reader)
    names = below(place, uris)
    if seen is not None and not _is_there(uris, seen, names):
        if "connect" not in type(spark).__module__ and uris[:1] and uris[0].startswith("file:"):
            expected, got = "a folder of which Spark lists every file", f"{len(names)} of {len(seen.files)}"
            raise InputError(Problem(reader.where, expected, got, "run again once nothing writes there"))
        seen = None
    of_spark = spark.read.format(reader.reference.format).options(**STRICT)
    frame = of_spark.schema(schema(folder_columns(reader, names), seen)).load(literal(place))
    return SparkTable(frame, {} if listing is None else listing.record(), listing)


def look(place: str) -> Seen | None:
    """Return what is at a place, or None if this process cannot see it. Cost: a listing."""
    try:
        storage = open_storage(place)
        found = storage.file_system.get_file_info(storage.root)
        if found.is_file:
            return Seen(storage, [], [found])
        inside = entries(storage.file_system, storage.root, recursive=True)
        return Seen(storage, inside, data_files(inside, storage.root))
    except (ConfigError, OSError, pa.ArrowException):  # a store that only Spark can read
        return None


def _require_rows(reader: Reader, seen: Seen | None) -> None:
    """Raise InputError for files of another format than is said, and for some that Spark would silently pass over."""
    inside = () if seen is None else seen.inside
    refuse(contradiction(reader.side, str(reader.reference.path), reader.reference.format, inside))
    if seen is not None:
        refuse(*_unread(reader.where, seen))


def folder_columns(reader: Reader, names: list[str]) -> Folders:
    """Return the columns in the names of the folders of these files. Raises: InputError with what is wrong there."""
    folders = folders_of(reader.where, names)
    if isinstance(folders, list):
        raise InputError(folders)
    return folders


def _unread(where: str, seen: Seen) -> Iterator[Problem]:
    """Yield problems of files that Spark would silently pass over."""
    if seen.is_file and is_hidden(seen.files[0].base_name):
        hint = "rename it: Spark passes over names that begin with . or _"
        yield Problem(where, "a file that Spark reads", seen.files[0].base_name, hint)
    hidden = [info for info in seen.inside if info.is_file]
    if hidden and not seen.files:
        got = f"{len(hidden)} files, all of them hidden; the first: {shown(sorted(i.path for i in hidden)[:1])}"
        yield Problem(where, "files that Spark reads", got, "rename them: names that begin with . or _ are passed over")
    for file in seen.files:
        if not file.size:
            hint = "write it again, or take it away: Spark would pass over it"
            yield Problem(where, "files with rows", f"{file.path} without a byte", hint)


def _listed(spark: SparkSession, reader: Reader) -> list[str]:
    """Return all files at a table's place as Spark names them, including those that Spark would not read."""
    of_spark = spark.read.format(reader.reference.format).options(**STRICT, recursiveFileLookup="true")
    uris: list[str] = of_spark.schema("_none int").load(literal(str(reader.reference.path))).inputFiles()
    return [uri for uri in uris if not is_hidden(urlsplit(uri).path.rsplit("/", 1)[-1])]


def _is_there(uris: list[str], seen: Seen, names: list[str]) -> bool:
    """Return whether Spark lists the same files as this process."""
    local = all(uri.startswith("file:") for uri in uris) == (seen.storage.file_system.type_name == "local")
    return local and seen.names() == names


def inferred_schema(spark: SparkSession, reader: Reader, folders: Folders) -> Any:
    """Return the schema of the used columns that Spark finds in the files, with folder names as text.

    Raises: InputError for a column that is in both; Spark's own errors.
    """
    from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType  # noqa: PLC0415 - an extra

    used = list(dict.fromkeys(reader.uses.values()))
    of_text = {"bigint": LongType(), "double": DoubleType(), "string": StringType()}
    of_spark = spark.read.format(reader.reference.format).options(**STRICT, recursiveFileLookup="true")
    stored = of_spark.load(literal(str(reader.reference.path))).schema  # without the columns of folder names
    both = sorted(set(used) & set(folders.values) & set(stored.names))
    refuse(*(two_meanings(reader.side, name, "in the files and in folder names", "") for name in both))
    fields = [one for one in stored.fields if one.name in used]
    told = [name for name in folders.values if name in used]
    kinds = {name: of_text[folders.type_of(name, reader.uses)] for name in told}
    fields += [StructField(name, kind) for name, kind in kinds.items()]
    return StructType(fields) if {one.name for one in fields} >= set(used) else stored


def refuse(*problems: Problem | None) -> None:
    """Raise InputError with the problems that are not None, if there are any."""
    if found := [problem for problem in problems if problem is not None]:
        raise InputError(found)
