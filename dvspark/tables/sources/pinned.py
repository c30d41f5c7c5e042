"""Pinned: one state of a Delta or Iceberg table, with the files and columns of which it consists."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from dvspark.errors import ConfigError, DvsparkError, InputError, Problem

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference

# Formats whose tables have states, and the name of a state's number in settings and in the run record.
VERSIONED = {"delta": ("version", "version"), "iceberg": ("snapshot", "snapshot_id")}

# Package of the Python library that knows a format where Spark has no connector for it; the extra is the format.
LIBRARIES = {"delta": "deltalake", "iceberg": "pyiceberg"}

T = TypeVar("T")

SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:/*")


@dataclass(frozen=True)
class Pinned:
    """One state of a table: ``version`` is Delta's version or Iceberg's snapshot id, ``schema_id`` is Iceberg's.

    ``files`` are the paths of its Parquet files, without escapes. ``schema`` has all columns. ``partitions`` has one
    row for each file, with the columns whose values are not in the files.
    """

    format: str
    version: int
    files: tuple[str, ...]
    schema: pa.Schema
    partitions: pa.Table | None = None
    schema_id: int | None = None

    @property
    def outside(self) -> tuple[str, ...]:
        """The columns whose values are not in the files."""
        return () if self.partitions is None else tuple(self.partitions.column_names)

    def by_file(self) -> list[dict[str, Any]]:
        """Return for each file the values of these columns."""
        return [{} for _ in self.files] if self.partitions is None else self.partitions.to_pylist()

    def record(self) -> dict[str, Any]:
        """Return what the run record says about this state."""
        schema_id = {} if self.schema_id is None else {"schema_id": self.schema_id}
        return {VERSIONED[self.format][1]: self.version, **schema_id, "n_files": len(self.files)}


def require_library(name: str) -> None:
    """Raise ConfigError if the Python library of a format is not installed."""
    if find_spec(LIBRARIES[name]) is None:
        expected = f"a Spark connector for {name}, or the extra {name!r}"
        got, hint = "neither", f"run: pip install 'dvspark[{name}]'; or start Spark with the connector's packages"
        raise ConfigError(Problem(f"format {name}", expected, got, hint))


def version_problems(side: str, reference: TableReference) -> list[Problem]:
    """Return what is wrong with the settings that choose a state of a table."""
    asked = {name: getattr(reference, name) for name in ("version", "snapshot", "timestamp")}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) > 1:
        hint = f"set one of {', '.join(f'{side}.{name}' for name in given)}"
        return [Problem(side, "one state of the table", " and ".join(given), hint)]
    known = (*VERSIONED.get(reference.format, ())[:1], *(["timestamp"] if reference.format in VERSIONED else []))
    if given and given[0] not in known:
        expected = "format delta for a version, iceberg for a snapshot, either for a timestamp"
        return [Problem(f"{side}.{given[0]}", expected, f"format {reference.format}", f"set {side}.format, or drop it")]
    if asked["version"] is not None and asked["version"] < 0:
        return [Problem(f"{side}.version", "a version from 0", str(asked["version"]), "leave it out for the latest")]
    return []


def as_milliseconds(timestamp: datetime) -> int:
    """Return a time as milliseconds since 1970. A time without an offset is UTC."""
    aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


def as_text(milliseconds: int) -> str:
    """Return a time as text in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def latest_at(side: str, reference: TableReference, states: list[tuple[int, int]]) -> int:
    """Return the last state of a table that existed at the reference's timestamp.

    ``states`` has (milliseconds, version or snapshot id) in the order in which the states were made.
    Raises: InputError if there was none.
    """
    assert reference.timestamp is not None  # noqa: S101 - callers ask only then
    at = as_milliseconds(reference.timestamp)
    found = [state for came, state in states if came <= at]
    if not found:
        got = f"{as_text(at)}; the first known is of {as_text(states[0][0])}" if states else "no commit with a time"
        hint = f"set {side}.timestamp later, or {side}.{VERSIONED[reference.format][0]}"
        raise InputError(Problem(f"{side} table {reference}", "a state of the table at that time", got, hint))
    return found[-1]


def unreadable_files(side: str, reference: TableReference, expected: str, got: str) -> InputError:
    """Return the error for a table whose files, read one by one, would not be its rows."""
    hint = "give Spark the format's connector, which reads them, or write the rows to a new table or to Parquet"
    return InputError(Problem(f"{side} table {reference}", expected, got, hint))


def require_files(side: str, reference: TableReference, files: Sequence[str]) -> None:
    """Raise InputError for files that should be on this machine, as the table's log was, and are not there."""
    here = [path for path in (re.sub(r"^file:/*", "/", file) for file in files) if path.startswith("/")]
    gone = [path for path in here if not Path(path).is_file()]
    if gone:
        expected, got = "a state whose files are there", f"{len(gone)} of {len(files)} are gone; the first: {gone[0]}"
        hint = "ask for a later state if old files were removed, or put the files back where the table looks for them"
        raise InputError(Problem(f"{side} table {reference}", expected, got, hint))


def read_or_refuse(
    side: str, reference: TableReference, read: Callable[[], T], kinds: tuple[type[Exception], ...]
) -> T:
    """Return what ``read`` returns. An error of one of ``kinds`` becomes an InputError that names the table."""
    try:
        return read()
    except DvsparkError:
        raise
    except kinds as error:
        said = str(error).split("\n", 1)[0] or type(error).__name__
        expected = f"a table of format {reference.format} of which this state is known"
        hint = f"check the place of {side}, and the state that is asked for"
        if isinstance(error, FileNotFoundError) and reference.format == "iceberg":
            hint += "; a table that was moved or copied looks for its files at the old place"
        raise InputError(Problem(f"{side} table {reference}", expected, said, hint)) from error


def full_path(place: str) -> str:
    """Return a path or URI without its last slash; a local path becomes absolute."""
    return place.rstrip("/") if SCHEME.match(place) else str(Path(place).expanduser().resolve())


def file_key(path: str) -> str:
    """Return a path in a form that does not depend on how its scheme and first slashes are written."""
    return SCHEME.sub("", path).lstrip("/")
