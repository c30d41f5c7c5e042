"""Listing: the files of a table, by which a run can tell at its end whether they are still those that it read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyarrow import fs

from dvspark.errors import InputError, Problem


@dataclass(frozen=True)
class Listing:
    """The files of a table: their number, and the sha256 of path, size and time of change of each."""

    n_files: int
    digest: str

    def record(self) -> dict[str, Any]:
        """Return what the run record says about the listing."""
        return {"n_files": self.n_files, "listing": self.digest}


def listing_of(files: Iterable[fs.FileInfo]) -> Listing:
    """Return the listing of a table's files."""
    lines = sorted(f"{file.path} {file.size} {file.mtime_ns}" for file in files)
    return Listing(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())


def require_unchanged(side: str, place: str, before: Listing, now: Listing | None) -> None:
    """Raise InputError unless a table's files are the same as before."""
    if now != before:
        expected = f"the {before.n_files} files that were there when the run began, listing {before.digest[:12]}"
        got = "none" if now is None else f"{now.n_files} files, listing {now.digest[:12]}"
        hint = "run again once nothing writes there; a version of a Delta or Iceberg table does not change"
        raise InputError(Problem(f"{side} table {place}", expected, got, hint))


def data_files(inside: Iterable[fs.FileInfo], root: str) -> list[fs.FileInfo]:
    """Return, of everything in a folder, the files that Spark reads."""
    start = len(root.rstrip("/")) + 1
    return [file for file in inside if file.is_file and not any(map(is_hidden, file.path[start:].split("/")))]


def is_hidden(name: str) -> bool:
    """Return whether Spark passes over a file or folder of this name. `_year=2026` is a partition, not hidden."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith("._COPYING_")
