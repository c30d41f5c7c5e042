"""Values in an Iceberg table, without Spark: one snapshot for each run; its summary has the run id."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchTableError,
    NotInstalledError,
    ResolveError,
    TableAlreadyExistsError,
    ValidationError,
    ValidationException,
)
from pyiceberg.expressions import EqualTo
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table
from requests import RequestException

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.schemas import VALUES
from dvspark.tables.sinks.values_commits import PROPERTIES, RunKey, holds, racing

# A snapshot came in between, or the catalog's answer is lost: then the snapshot is there, or never will be on this one.
LOST = (CommitFailedException, ValidationException, CommitStateUnknownException, RequestException)
# What pyiceberg says of tables that it cannot read or write; it says so only once rows are to be read or written.
REFUSED = (ValueError, TypeError, NotImplementedError, NotInstalledError, ResolveError, ValidationError)
# Of the versions of Iceberg's format, the last one that pyiceberg 0.12 writes.
LATEST_FORMAT = 2
ELSEWHERE = "choose another output.table"
# Changes this copy of the table only; nobody else sees it.
NO_RETRIES = "commit.retry.num-retries"


@dataclass(frozen=True)
class IcebergValues:
    """The values table CATALOG.NAMESPACE.TABLE in a catalog of pyiceberg's configuration; see `ValuesTable`."""

    place: str

    def columns(self) -> pa.Schema | None:
        """Return the columns of the table, or None if there is no such table."""
        catalog, name = self._catalog()
        try:
            return schema_to_pyarrow(catalog.load_table(name).schema(), include_field_ids=False)
        except NoSuchTableError:
            return None

    def create(self, schema: pa.Schema) -> None:
        """Create the table, and its namespace, without a snapshot."""
        catalog, name = self._catalog()
        properties = {**PROPERTIES, "comment": VALUES.meaning}
        namespace = name.rpartition(".")[0]
        try:
            catalog.create_namespace_if_not_exists(namespace)
        except Exception:  # of two at once; what is raised is the database's
            if not catalog.namespace_exists(namespace):
                raise
        with (
            contextlib.suppress(TableAlreadyExistsError, CommitFailedException),  # another run has created it
            catalog.create_table_transaction(name, schema=schema, properties=properties) as creation,
        ):
            creation.update_spec().add_identity("run_id").commit()

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns, which are null in the rows that are there."""
        with racing(self.place, LOST), self._table().update_schema() as update:
            update.union_by_name(columns)

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Add a run's values in one snapshot, directly on top of the snapshot that did not have them."""
        table = self._table_as_read()
        there = self._rows(table, run.run_id)
        if len(there) and holds(self, there, values, run):
            return  # by a run that was stopped after this commit and before its record
        with self._refusing("a table that takes the rows"), racing(self.place, LOST):
            if len(there):
                table.overwrite(values, overwrite_filter=_of_run(run.run_id), snapshot_properties=run.record())
            else:
                table.append(values, snapshot_properties=run.record())

    def rows(self, run_id: str) -> pa.Table:
        """Return the rows of a run id; there may be none."""
        return self._rows(self._table(), run_id)

    def remove(self, run_id: str) -> None:
        """Remove the rows of a run id in one snapshot; no snapshot if there are none."""
        table = self._table_as_read()
        if not len(self._rows(table, run_id)):
            return
        with self._refusing("a table that lets rows go"), racing(self.place, LOST):
            table.delete(_of_run(run_id), snapshot_properties=RunKey(run_id, "").record())

    def written_by(self, run_id: str) -> str | None:
        """Return the fingerprint of the snapshot that last wrote a run id; None if no snapshot that is kept says."""
        table = self._table()
        last = table.current_snapshot()
        while last is not None:
            told = last.summary.additional_properties if last.summary else {}
            if told.get("dvspark.run-id") == run_id:
                return told["dvspark.fingerprint"]
            last = table.snapshot_by_id(last.parent_snapshot_id) if last.parent_snapshot_id is not None else None
        return None

    def require_takes(self, run_id: str, *, replaces: bool) -> None:  # noqa: ARG002 - which Delta needs
        """Raise OutputConflictError for a table that pyiceberg cannot write; no property of one keeps rows."""
        table, problems = self._table(), list[Problem]()

        def refuse(expected: str, got: str, hint: str = ELSEWHERE) -> None:
            problems.append(Problem(f"Iceberg table {self.place}", expected, got, hint))

        if (version := table.metadata.format_version) > LATEST_FORMAT:
            refuse(f"format 1 or {LATEST_FORMAT}, which pyiceberg writes", f"format {version}")
        if required := [field.name for field in table.schema().fields if field.required]:
            refuse(
                "columns that may be null", f"required: {', '.join(required)}", f"{ELSEWHERE}, or make them optional"
            )
        if (kind := table.properties.get("write.format.default", "parquet").lower()) != "parquet":
            refuse("files of Parquet", f"write.format.default = {kind}", f"{ELSEWHERE}, or unset the property")
        for field in table.spec().fields:
            try:
                field.transform.pyarrow_transform(table.schema().find_type(field.source_id))
            except REFUSED as error:
                refuse("partitions that pyiceberg writes", f"{field.name}, {field.transform}: {_first_line(error)}")
        if problems:
            raise OutputConflictError(problems)

    def _table_as_read(self) -> Table:
        table = self._table()
        # pyiceberg would commit on top of any other snapshot, too: also on one that the same run, started twice, added.
        table.metadata.properties[NO_RETRIES] = "0"
        return table

    def _table(self) -> Table:
        catalog, name = self._catalog()
        return catalog.load_table(name)

    def _rows(self, table: Table, run_id: str) -> pa.Table:
        with self._refusing("rows that can be read"):
            return table.scan(row_filter=_of_run(run_id)).to_arrow()

    @contextmanager
    def _refusing(self, expected: str) -> Iterator[None]:
        try:
            yield
        except REFUSED as error:
            problem = Problem(f"Iceberg table {self.place}", expected, _first_line(error), ELSEWHERE)
            raise OutputConflictError(problem) from error

    def _catalog(self) -> tuple[Catalog, str]:
        catalog, _, name = self.place.partition(".")
        try:
            return load_catalog(catalog), name
        except (ValueError, OSError) as error:
            expected, hint = f"a catalog {catalog!r} pyiceberg knows", "see .pyiceberg.yaml or PYICEBERG_CATALOG__*"
            raise ConfigError(Problem("output.table", expected, str(error), hint)) from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__


def _of_run(run_id: str) -> EqualTo:
    return EqualTo(term="run_id", value=run_id)
