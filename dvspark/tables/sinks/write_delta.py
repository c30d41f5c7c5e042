"""Values in a Delta table, without Spark: one commit for each run; the table's log knows a run by its id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.schemas import VALUES
from dvspark.spark.exhausted import ran_out
from dvspark.tables.sinks.values_commits import PROPERTIES, RunKey, holds, racing
from dvspark.tables.sources.formats.delta import empty_commit, path_problem

# Errors of a conflicting commit. Commits of other runs are no conflict; deltalake commits after them.
LOST = (CommitFailedError,)
# Features of tables that deltalake 1.6 reads and writes; of others it says so only once rows are to be written.
KNOWN = {
    *("appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns", "invariants"),
    *("timestampNtz", "variantType", "variantType-preview", "vacuumProtocolCheck"),
}
ELSEWHERE = "choose another output.path"


@dataclass(frozen=True)
class DeltaValues:
    """A values table in a folder; see `values_tables.ValuesTable`."""

    place: str

    def columns(self) -> pa.Schema | None:
        """Return the columns of the table, or None if there is no such table.

        Raises: ConfigError for a path that deltalake cannot open, OutputConflictError for a table with other
        partitions, or one that deltalake cannot read.
        """
        if (problem := path_problem("output.path", self.place)) is not None:
            raise ConfigError(problem)
        if not DeltaTable.is_deltatable(self.place):
            return None
        table = self._opened()
        if table.metadata().partition_columns != ["run_id"]:
            got = f"by {table.metadata().partition_columns}"
            raise OutputConflictError(Problem(f"Delta table {self.place}", "partitioned by run_id", got, ELSEWHERE))
        self._require_known("reads", table.protocol().reader_features)
        return pa.schema(table.schema().to_arrow())

    def create(self, schema: pa.Schema) -> None:
        """Create the table in a commit without rows."""
        with self._committing():
            DeltaTable.create(
                self.place,
                schema,
                mode="ignore",  # another run may have created it
                partition_by=["run_id"],
                name=VALUES.name,
                description=VALUES.meaning,
                configuration=PROPERTIES,
                raise_if_key_not_exists=False,
            )

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns, which are null in the rows that are there."""
        with self._committing():
            self._opened().alter.add_columns(Schema.from_arrow(columns).fields)

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Add a run's values in one commit. The run id is the application transaction, so of two at once one fails."""
        table = self._opened()
        there = self._rows(table, run.run_id)
        if len(there) and holds(self, there, values, run):
            return  # by a run that was stopped after this commit and before its record
        write = partial(write_deltalake, table, values, schema_mode="merge", commit_properties=_properties(table, run))
        with self._committing():  # schema_mode: columns that only other runs have become null
            if len(there):
                write(mode="overwrite", predicate=_of_run(run.run_id))
            else:
                write(mode="append")

    def rows(self, run_id: str) -> pa.Table:
        """Return the rows of a run id; there may be none."""
        return self._rows(self._opened(), run_id)

    def remove(self, run_id: str) -> None:
        """Remove the rows of a run id in one commit; no commit if there are none."""
        table = self._opened()
        if not len(self._rows(table, run_id)):
            return
        with self._committing():
            table.delete(_of_run(run_id), commit_properties=_properties(table, RunKey(run_id, "")))

    def written_by(self, run_id: str) -> str | None:
        """Return the fingerprint of the commit that last wrote a run id; None if the log no longer says."""
        for commit in self._opened().history():  # the latest first
            if commit.get("dvspark.run-id") == run_id:
                return str(commit["dvspark.fingerprint"])
        return None

    def require_takes(self, run_id: str, *, replaces: bool) -> None:
        """Raise OutputConflictError for a table that deltalake cannot write, or whose rows of a run have to stay."""
        table = self._opened()
        self._require_known("writes", table.protocol().writer_features)
        if replaces and table.metadata().configuration.get("delta.appendOnly") == "true" and len(self.rows(run_id)):
            expected, got = f"a table from which the rows of {run_id} can be removed", "delta.appendOnly"
            hint = f"{ELSEWHERE} or run_id, or unset the property"
            raise OutputConflictError(Problem(f"Delta table {self.place}", expected, got, hint))

    def _require_known(self, does: str, features: Sequence[str] | None) -> None:
        if needs := sorted({*(features or ())} - KNOWN):
            hint = f"{ELSEWHERE}, or drop these features from the table"
            expected = f"a table of features that deltalake {does}"
            raise OutputConflictError(Problem(f"Delta table {self.place}", expected, ", ".join(needs), hint))

    def _rows(self, table: DeltaTable, run_id: str) -> pa.Table:
        with self._refusing("rows that can be read"):
            return table.to_pyarrow_table(filters=[("run_id", "=", run_id)])

    def _opened(self) -> DeltaTable:
        with self._refusing("a Delta table that can be read"):
            table = DeltaTable(self.place)
        if (name := empty_commit(self.place, table.version())) is not None:
            expected, got = "a log whose commits are whole", f"{name} is empty: damaged"
            raise OutputConflictError(Problem(f"Delta table {self.place}", expected, got, ELSEWHERE))
        return table

    @contextmanager
    def _committing(self) -> Iterator[None]:
        """Raise LostRaceError for a lost race, OutputConflictError for rows that the table does not take."""
        with self._refusing("a table that takes the rows"), racing(self.place, LOST):
            yield

    @contextmanager
    def _refusing(self, expected: str) -> Iterator[None]:
        try:
            yield
        except DeltaError as error:
            if (exhausted := ran_out(error)) is not None:
                raise exhausted from error
            said = str(error).split("\n", 1)[0] or type(error).__name__
            raise OutputConflictError(Problem(f"Delta table {self.place}", expected, said, ELSEWHERE)) from error


def _properties(table: DeltaTable, run: RunKey) -> CommitProperties:
    """Return the properties by which a commit names the run; two commits of one run at once always conflict."""
    application = f"dvspark:{run.run_id}"
    number = (table.transaction_version(application) or 0) + 1
    return CommitProperties(
        custom_metadata={**run.record(), "userMetadata": run.run_id},
        app_transactions=[Transaction(application, number)],
    )


def _of_run(run_id: str) -> str:
    return f"run_id = '{run_id}'"
