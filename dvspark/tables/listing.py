"""Listing: which files a folder has, so that a run can tell whether they are still those it read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import fs

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.tables.storage import open_storage


@dataclass(frozen=True)
class Listing:
    """The files of a table: how many, and the sha256 of path, size and time of change of each."""

    n_files: int
    digest: str

    def record(self) -> dict[str, Any]:
        """Return what the run record says of it."""
        return {"n_files": self.n_files, "listing": self.digest}


def list_files(place: str) -> Listing | None:
    """Return what a file or folder holds for Spark, or None where this process cannot see it."""
    try:
        storage = open_storage(place)
        found = storage.file_system.get_file_info(storage.root)
        files = [found] if found.is_file else data_files(storage.file_system, storage.root)
    except (ConfigError, OSError, pa.ArrowException):  # patterns, or a store that only Spark speaks
        return None
    if not files:
        return None
    lines = sorted(f"{file.path} {file.size} {file.mtime_ns}" for file in files)
    return Listing(len(files), hashlib.sha256("\n".join(lines).encode()).hexdigest())


def require_unchanged(side: str, place: str, before: Listing) -> None:
    """Raise InputError unless a table's files are those that were there before."""
    now = list_files(place)
    if now != before:
        expected = f"the {before.n_files} files that were there when the run began, listing {before.digest[:12]}"
        got = "none" if now is None else f"{now.n_files} files, listing {now.digest[:12]}"
        hint = "run again once nothing writes there; a version of a Delta or Iceberg table does not change"
        raise InputError(Problem(f"{side} table {place}", expected, got, hint))


def data_files(file_system: fs.FileSystem, root: str) -> list[fs.FileInfo]:
    """Return the files that Spark reads of a folder."""
    found = file_system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    names = [file.path[len(root.rstrip("/")) + 1 :].split("/") for file in found]
    return [file for file, parts in zip(found, names, strict=True) if file.is_file and not any(map(_is_hidden, parts))]


def _is_hidden(name: str) -> bool:
    """Return whether Spark passes over a file or folder; `_year=2026` is a partition all the same."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)
