"""Values in a Delta table, without Spark: a commit a run, which the table's log knows by the run's id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.schemas import VALUES
from dvspark.tables.delta import path_problem
from dvspark.tables.values_tables import PROPERTIES, RunKey, racing

# A commit by another one at the same time; commits of other runs are none, deltalake follows these.
LOST = (CommitFailedError,)


@dataclass(frozen=True)
class DeltaValues:
    """A values table in a folder; see `values_tables.ValuesTable`."""

    place: str

    def columns(self) -> pa.Schema | None:
        """Return its columns, or None while there is no such table.

        Raises: ConfigError for a path deltalake cannot open, OutputConflictError for a table of other partitions.
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
        """Create it in a commit without rows."""
        with racing(self.place, LOST):
            DeltaTable.create(
                self.place,
                schema,
                mode="ignore",  # another run may be as far
                partition_by=["run_id"],
                name=VALUES.name,
                description=VALUES.meaning,
                configuration=PROPERTIES,
                raise_if_key_not_exists=False,
            )

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns, null in the rows that are there."""
        with racing(self.place, LOST):
            DeltaTable(self.place).alter.add_columns(Schema.from_arrow(columns).fields)

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Add a run's values in one commit; the run is its application transaction, so of two at once one fails."""
        table = DeltaTable(self.place)
        application = f"dvspark:{run.run_id}:{run.fingerprint}"
        before = table.transaction_version(application)
        there = _has_run(table, run.run_id)
        if there and before is not None:
            return  # by a run that was stopped between this commit and its record
        properties = CommitProperties(
            custom_metadata={**run.record(), "userMetadata": run.run_id},
            app_transactions=[Transaction(application, (before or 0) + 1)],
        )
        write = partial(write_deltalake, table, values, schema_mode="merge", commit_properties=properties)
        with racing(self.place, LOST):  # schema_mode: columns of other runs are null
            if there:
                write(mode="overwrite", predicate=f"run_id = '{run.run_id}'")
            else:
                write(mode="append")


def _has_run(table: DeltaTable, run_id: str) -> bool:
    actions = pa.table(table.get_add_actions(flatten=True))
    return actions.num_rows > 0 and run_id in actions["partition.run_id"].to_pylist()
