"""Values in a Delta table, without Spark: one commit for each run; the table's log knows a run by its id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.schemas import VALUES
from dvspark.tables.sinks.values_commits import PROPERTIES, RunKey, holds, racing
from dvspark.tables.sources.formats.delta import path_problem

# Errors of a conflicting commit. Commits of other runs are no conflict; deltalake commits after them.
LOST = (CommitFailedError,)


@dataclass(frozen=True)
class DeltaValues:
    """A values table in a folder; see `values_tables.ValuesTable`."""

    place: str

    def columns(self) -> pa.Schema | None:
        """Return the columns of the table, or None if there is no such table.

        Raises: ConfigError for a path that deltalake cannot open, OutputConflictError for a table with other
        partitions.
        """
        if (problem := path_problem("output.path", self.place)) is not None:
            raise ConfigError(problem)
        if not DeltaTable.is_deltatable(self.place):
            return None
        table = DeltaTable(self.place)
        if table.metadata().partition_columns != ["run_id"]:
            got, hint = f"by {table.metadata().partition_columns}", "choose another output.path"
            raise OutputConflictError(Problem(f"Delta table {self.place}", "partitioned by run_id", got, hint))
        return pa.schema(table.schema().to_arrow())

    def create(self, schema: pa.Schema) -> None:
        """Create the table in a commit without rows."""
        with racing(self.place, LOST):
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
        with racing(self.place, LOST):
            DeltaTable(self.place).alter.add_columns(Schema.from_arrow(columns).fields)

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Add a run's values in one commit. The run id is the application transaction, so of two at once one fails."""
        table = DeltaTable(self.place)
        there = _rows(table, run.run_id)
        if len(there) and holds(self, there, values, run):
            return  # by a run that was stopped after this commit and before its record
        write = partial(write_deltalake, table, values, schema_mode="merge", commit_properties=_properties(table, run))
        with racing(self.place, LOST):  # schema_mode: columns that only other runs have become null
            if len(there):
                write(mode="overwrite", predicate=_of_run(run.run_id))
            else:
                write(mode="append")

    def rows(self, run_id: str) -> pa.Table:
        """Return the rows of a run id; there may be none."""
        return _rows(DeltaTable(self.place), run_id)

    def remove(self, run_id: str) -> None:
        """Remove the rows of a run id in one commit; no commit if there are none."""
        table = DeltaTable(self.place)
        if not len(_rows(table, run_id)):
            return
        with racing(self.place, LOST):
            table.delete(_of_run(run_id), commit_properties=_properties(table, RunKey(run_id, "")))

    def written_by(self, run_id: str) -> str | None:
        """Return the fingerprint of the commit that last wrote a run id; None if the log no longer says."""
        for commit in DeltaTable(self.place).history():  # the latest first
            if commit.get("dvspark.run-id") == run_id:
                return str(commit["dvspark.fingerprint"])
        return None


def _properties(table: DeltaTable, run: RunKey) -> CommitProperties:
    """Return the properties by which a commit names the run; two commits of one run at once always conflict."""
    application = f"dvspark:{run.run_id}"
    number = (table.transaction_version(application) or 0) + 1
    return CommitProperties(
        custom_metadata={**run.record(), "userMetadata": run.run_id},
        app_transactions=[Transaction(application, number)],
    )


def _rows(table: DeltaTable, run_id: str) -> pa.Table:
    return table.to_pyarrow_table(filters=[("run_id", "=", run_id)])


def _of_run(run_id: str) -> str:
    return f"run_id = '{run_id}'"
