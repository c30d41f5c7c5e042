"""Delta: tables of versions; without Spark the deltalake library finds the files of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.tables.sources.formats.lake import LakeReader
from dvspark.tables.sources.pinned import (
    SCHEME,
    Pinned,
    full_path,
    latest_at,
    read_or_refuse,
    require_library,
    unreadable_files,
)
from dvspark.tables.sources.types import quoted
from dvspark.tables.storage import entries, open_storage

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

# Reader features that do not change which rows and columns a live file holds.
HARMLESS = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
# In a path deltalake 1.6 takes these for parts of a URL: it panics, or undoes an escape and opens another folder.
ODD = re.compile(r"[\[\]^|\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")

# What a commit is called in the log.
COMMIT = re.compile(r"(\d{20})\.json")


def path_problem(where: str, place: str) -> Problem | None:
    """Return why deltalake cannot open a table at this place, or None if it can."""
    found = ODD.search(place)
    if found is None:
        return None
    expected = "a path without [ ] ^ | \\, control characters or escapes such as %20"
    hint = "rename the folder, or start Spark with Delta's connector"
    return Problem(where, expected, f"{found[0]!r} in {place}", hint)


def empty_commit(place: str, version: int) -> str | None:
    """Return the name of a commit up to a version that has no content, if one has none: its writer broke off.

    Neither deltalake nor Spark's connector refuses one: the table is read as if nothing had been committed. A commit of
    which a part is missing is no JSON, which both refuse. None also for a store that only they can read.
    """
    # A line end alone is none either; the shortest JSON object has two bytes.
    return min((name for name, size in _logged(place, version).items() if size < 2), default=None)


def _logged(place: str, version: int) -> dict[str, int]:
    """Return the bytes of each commit up to a version, by its name; none in a store that only deltalake can read."""
    try:
        log = open_storage(f"{place}/_delta_log")
        inside = entries(log.file_system, log.root)
    except (ConfigError, OSError, pa.ArrowException):
        return {}
    found = ((COMMIT.fullmatch(one.base_name), one.size) for one in inside)
    return {name[0]: size for name, size in found if name and int(name[1]) <= version}


@dataclass(frozen=True)
class DeltaReader(LakeReader):
    """Reads one version of a Delta table."""

    option = "versionAsOf"

    def pinned(self) -> Pinned:
        """Return the version that is asked for, or else the latest version.

        Raises: InputError if there is no such table or version, or its log is damaged; and if the protocol of that
        version has reader features (deletion vectors, column mapping, or any that dvspark does not know) without which
        the files are not the rows.
        """
        require_library("delta")
        if self.reference.path is None:
            expected, hint = "a table of a catalog of this Spark", f"give the table's folder as {self.side}.path"
            raise InputError(Problem(self.where, expected, "none of that name", hint))
        place = full_path(self.reference.path)
        if (problem := path_problem(self.where, place)) is not None:
            raise InputError(problem)
        # The protocol is that of this version; older versions may need fewer features.
        table = self._opened(place, self.reference.version)
        self.require_whole(table.version())
        if self.reference.timestamp is not None:
            table = self._opened(place, latest_at(self.side, self.reference, self._commits(place, table)))
        if needs := sorted(_features(table) - HARMLESS):
            expected = "a Delta table that readers of protocol 1 understand"
            raise unreadable_files(self.side, self.reference, expected, f"reader features {', '.join(needs)}")
        actions = pa.table(table.get_add_actions()).sort_by("path")
        files = tuple(_path(place, path) for path in actions["path"].to_pylist())
        by_file = None
        if table.metadata().partition_columns:
            struct = actions["partition"].combine_chunks()
            by_file = pa.table(struct.flatten(), names=[field.name for field in struct.type])
        return Pinned("delta", table.version(), files, pa.schema(table.schema().to_arrow()), by_file)

    def require_whole(self, version: int) -> None:
        """Raise InputError for a log with an empty commit up to a version."""
        place = self.reference.path
        if place is None or (name := empty_commit(full_path(place), version)) is None:
            return
        hint = f"put the commit back from a copy, set {self.side}.version before it, or write the rows to a new table"
        raise InputError(Problem(self.where, "a log whose commits are whole", f"{name} is empty: damaged", hint))

    def _commits(self, place: str, table: DeltaTable) -> list[tuple[int, int]]:
        """Return when each version was committed, in their order, as far back as the log goes.

        Raises: InputError for a log in which a commit does not say when it was made.
        """
        told = [(one["timestamp"], one["version"]) for one in table.history()[::-1] if "timestamp" in one]
        n_commits = len(_logged(place, table.version()))
        # deltalake numbers commits back from the last one, and leaves out those without commitInfo: others move up.
        if told and len(told) < n_commits:
            expected, got = "a log that says when each version was made", f"{len(told)} of {n_commits} commits that do"
            raise InputError(Problem(self.where, expected, got, f"set {self.side}.version"))
        return told

    def _opened(self, place: str, version: int | None) -> DeltaTable:
        from deltalake import DeltaTable  # noqa: PLC0415 - an extra
        from deltalake.exceptions import DeltaError  # noqa: PLC0415

        kinds = (DeltaError, OSError)
        return read_or_refuse(self.side, self.reference, lambda: DeltaTable(place, version=version), kinds)

    def history(self, spark: SparkSession) -> DataFrame:
        """Return when which version was made, as Spark's connector reports it."""
        name = self.reference.table or f"delta.{quoted(str(self.reference.path))}"
        return spark.sql(f"DESCRIBE HISTORY {name}").selectExpr("timestamp AS at", "version AS state")


def _features(table: DeltaTable) -> set[str]:
    """Return the names of the features that a reader of the table must know."""
    protocol = table.protocol()
    if protocol.min_reader_version == 2:  # features had no names in these versions, and there was only one
        return {"columnMapping"}
    unknown = {f"of protocol {protocol.min_reader_version}"} if protocol.min_reader_version > 3 else set()
    return set(protocol.reader_features or ()) | unknown


def _path(root: str, path: str) -> str:
    """Return the place of a file that the log names, undoing the log's escapes: below the table, or a full path."""
    told = unquote(path)
    return told if SCHEME.match(told) or told.startswith("/") else f"{root}/{told}"
