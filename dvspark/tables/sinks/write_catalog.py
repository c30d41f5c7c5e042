"""Values in a table of Spark's catalogs: in one commit, a run's rows replace all rows of that run id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.errors import OutputConflictError, Problem
from dvspark.schemas import VALUES
from dvspark.tables.sinks.values_commits import PROPERTIES, RunKey, lost_race
from dvspark.tables.sources.types import spark_type

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Names by which Delta's and Iceberg's connectors report that a commit met another one, or that they do not know whether
# the commit was made. Of a Java error, Spark passes on only the text.
MET_ANOTHER = re.compile(
    r"Concurrent\w+Exception|DELTA_CONCURRENT_\w+|CommitFailedException|CommitStateUnknownException"
    r"|Found (?:new )?conflicting (?:delete )?files"
)


@dataclass(frozen=True)
class CatalogValues:
    """A values table of a catalog whose connector overwrites by a filter; see `values_tables.ValuesTable`."""

    place: str
    spark: SparkSession

    def columns(self) -> pa.Schema | None:
        """Return the columns of the table, or None if there is no such table.

        Raises: OutputConflictError for Spark's built-in catalog, whose tables are folders that cannot commit.
        """
        if self._is_built_in():
            raise self._cannot_commit("a table of Spark's built-in catalog")
        if not self.spark.catalog.tableExists(self.place):
            return None
        return self.spark.table(self.place).limit(0).toArrow().schema

    def create(self, schema: pa.Schema) -> None:
        """Create the table in the way that is the catalog's default."""
        properties = ", ".join(f"'{name}' = '{value}'" for name, value in PROPERTIES.items())
        self._commit_sql(
            f"CREATE TABLE IF NOT EXISTS {self._name()} ({_ddl(schema)}) PARTITIONED BY (run_id) "
            f"COMMENT {_text(VALUES.meaning)} TBLPROPERTIES ({properties})"
        )

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns, which are null in the rows that are there."""
        self._commit_sql(f"ALTER TABLE {self._name()} ADD COLUMNS ({_ddl(columns)})")

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Replace all rows of a run id by a run's values. A second call changes nothing.

        Raises: LostRaceError if the connector says that it met another commit.
        """
        from pyspark.errors import AnalysisException  # noqa: PLC0415 - an extra
        from pyspark.sql import functions as sf  # noqa: PLC0415

        frame = self.spark.createDataFrame(values)
        for field in self.spark.table(self.place).schema.fields:
            if field.name not in values.column_names:
                frame = frame.withColumn(field.name, sf.lit(None).cast(field.dataType))
        with self._racing():
            try:
                frame.writeTo(self.place).overwrite(sf.col("run_id") == run.run_id)
            except AnalysisException as error:
                raise self._cannot_commit(str(error).split("\n", 1)[0]) from error

    def rows(self, run_id: str) -> pa.Table:
        """Return the rows of a run id; there may be none."""
        from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

        return self.spark.table(self.place).where(sf.col("run_id") == run_id).toArrow()

    def remove(self, run_id: str) -> None:
        """Remove the rows of a run id in one commit. Raises: OutputConflictError if the connector cannot do this."""
        from pyspark.errors import AnalysisException  # noqa: PLC0415 - an extra

        try:
            self._commit_sql(f"DELETE FROM {self._name()} WHERE run_id = {_text(run_id)}")  # noqa: S608 - quoted
        except AnalysisException as error:
            raise self._cannot_commit(str(error).split("\n", 1)[0]) from error

    def written_by(self, run_id: str) -> str | None:  # noqa: ARG002 - of other tables
        """Return None: each connector has another way to ask about commits."""
        return None

    def require_takes(self, run_id: str, *, replaces: bool) -> None:
        """Do nothing: each connector has another way to ask."""

    def _commit_sql(self, statement: str) -> None:
        with self._racing():
            self.spark.sql(statement)

    @contextmanager
    def _racing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            met = MET_ANOTHER.search(f"{type(error).__name__}: {error}")
            if met is None:
                raise
            raise lost_race(self.place, met[0]) from error

    def _is_built_in(self) -> bool:
        first, *others = self.place.split(".")
        catalog = first if len(others) > 1 else self.spark.catalog.currentCatalog()
        # Unset until Spark 4.0 gave it a name.
        is_plain = self.spark.conf.get("spark.sql.catalog.spark_catalog", "builtin") == "builtin"
        return catalog == "spark_catalog" and is_plain

    def _cannot_commit(self, got: str) -> OutputConflictError:
        expected = "a table whose connector overwrites by a filter"
        hint = "name one of a Delta or Iceberg catalog of Spark's, or set output.format"
        return OutputConflictError(Problem(f"output.table {self.place}", expected, got, hint))

    def _name(self) -> str:
        return ".".join(f"`{part}`" for part in self.place.split("."))


def _ddl(schema: pa.Schema) -> str:
    columns = [(f.name, spark_type(f.type), (f.metadata or {}).get(b"comment", b"").decode()) for f in schema]
    return ", ".join(f"`{name}` {kind} COMMENT {_text(meaning)}" for name, kind, meaning in columns)


def _text(words: str) -> str:
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"
