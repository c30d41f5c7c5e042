"""Values commits: a run's values come to a table, or go from it, in one commit, whoever else commits meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from dvspark.errors import OutputConflictError, Problem
from dvspark.schemas import SCHEMA_VERSION
from dvspark.tables.sinks.contents import values_digest
from dvspark.tables.sinks.values_schema import OPTIONAL
from dvspark.tables.sources.types import spark_type

# Property of a values table: the version of `schemas.VALUES` by which it was created.
PROPERTIES = {"dvspark.schema_version": str(SCHEMA_VERSION)}

# Each failed try has met a commit that succeeded. So tries end, however many runs end at the same time.
COMMIT_TRIES = 10


@dataclass(frozen=True)
class RunKey:
    """How a table recognizes a run: by its id, and by the fingerprint of what was computed."""

    run_id: str
    fingerprint: str

    def record(self) -> dict[str, str]:
        """Return the id and the fingerprint as metadata of a commit."""
        return {"dvspark.run-id": self.run_id, "dvspark.fingerprint": self.fingerprint}


class LostRaceError(OutputConflictError):
    """Raised if a commit met another commit, or nobody can tell whether it did; the table itself has the answer."""


class ValuesTable(Protocol):
    """A table of the values of many runs."""

    @property
    def place(self) -> str:
        """The path or name of the table."""

    def columns(self) -> pa.Schema | None:
        """Return the columns of the table, or None if there is no such table."""

    def create(self, schema: pa.Schema) -> None:
        """Create the table, partitioned by run_id, with `PROPERTIES` and the meaning of each column."""

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns, which are null in the rows that are there."""

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Add a run's values in one commit, in place of all rows of that run id; no commit if these values are there.

        Of several commits that start from the same state, one succeeds. Raises: LostRaceError for the others.
        """

    def rows(self, run_id: str) -> pa.Table:
        """Return the rows of a run id; there may be none."""

    def remove(self, run_id: str) -> None:
        """Remove the rows of a run id in one commit; no commit if there are none. Raises: LostRaceError."""

    def written_by(self, run_id: str) -> str | None:
        """Return the fingerprint of the commit that last wrote a run id; None if the table does not say."""

    def require_takes(self, run_id: str, *, replaces: bool) -> None:
        """Raise OutputConflictError for a table that is known to refuse rows, before anything is computed.

        So, where the rows of a run id are to be replaced, for one that is known to let them not go.
        """


def new_columns(table: ValuesTable, schema: pa.Schema) -> pa.Schema | None:
    """Return the columns that a table lacks, or None if there is no table.

    Raises: OutputConflictError if a column has another type, or a required column is missing.
    """
    there = table.columns()
    if there is None:
        return None
    problems, missing = [], []
    for field in schema:
        if field.name not in there.names:
            missing.append(field)
        elif (got := spark_type(there.field(field.name).type)) != (wanted := spark_type(field.type)):
            hint = "choose another output; columns of a values table keep their type"
            problems.append(Problem(f"{table.place}: column {field.name}", str(wanted), str(got), hint))
    if needed := [field.name for field in missing if field.name not in [column.name for column in OPTIONAL]]:
        got, hint = (
            f"columns {', '.join(there.names)}",
            "name a table that dvspark created, or none that is there",
        )
        problems.append(Problem(f"values table {table.place}", f"columns {', '.join(needed)}", got, hint))
    if problems:
        raise OutputConflictError(problems)
    return pa.schema(missing)


def commit_values(table: ValuesTable, values: pa.Table, schema: pa.Schema, run: RunKey) -> None:
    """Commit a run's values to a table. First create the table, or add the columns that it lacks.

    After a lost race the table is looked at again: the same run may be there by now.
    Raises: LostRaceError if several tries are lost and the run is still not there.
    """
    _tried(lambda: _commit_once(table, values.select(schema.names).cast(schema), schema, run))


def remove_values(table: ValuesTable, run_id: str) -> None:
    """Remove a run's rows from a table in a commit of its own, if there is such a table.

    Raises: LostRaceError if several tries are lost and the rows are still there.
    """
    _tried(lambda: table.remove(run_id) if table.columns() is not None else None)


def holds(table: ValuesTable, found: pa.Table, values: pa.Table, run: RunKey) -> bool:
    """Return whether the rows that were found are those to be written, and were last written by this very run."""
    if len(found) != len(values) or table.written_by(run.run_id) not in (None, run.fingerprint):
        return False
    try:
        return values_digest(run.run_id, found, values.schema) == values_digest(run.run_id, values, values.schema)
    except (pa.ArrowException, KeyError):
        return False


def _tried(commit: Callable[[], None]) -> None:
    for left in reversed(range(COMMIT_TRIES)):
        try:
            commit()
        except LostRaceError:
            if not left:
                raise
        else:
            return


def _commit_once(table: ValuesTable, values: pa.Table, schema: pa.Schema, run: RunKey) -> None:
    lacking = new_columns(table, schema)
    if lacking is None:
        table.create(schema)
        lacking = new_columns(table, schema)  # another run may have created it, with fewer columns
    if lacking:
        table.add_columns(lacking)
    table.commit(values, run)


@contextmanager
def racing(place: str, lost: tuple[type[Exception], ...]) -> Iterator[None]:
    """Raise LostRaceError for the errors of a library that mean a lost race, or a lost answer."""
    try:
        yield
    except lost as error:
        raise lost_race(place, str(error) or type(error).__name__) from error


def lost_race(place: str, got: str) -> LostRaceError:
    """Return the error for a commit that met another one, or whose answer was lost."""
    hint = "start it again: values that are there by then are not committed twice"
    return LostRaceError(Problem(f"values table {place}", "a commit without others", got, hint))
