"""Values in a table of Spark's catalogs: a run's rows take the place of all rows of that run id, in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.errors import OutputConflictError, Problem
from dvspark.schemas import VALUES
from dvspark.tables.types import spark_type
from dvspark.tables.values_tables import PROPERTIES, RunKey

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class CatalogValues:
    """A values table of a catalog whose connector overwrites by a filter; see `values_tables.ValuesTable`."""

    place: str
    spark: SparkSession

    def columns(self) -> pa.Schema | None:
        """Return its columns, or None while there is no such table.

        Raises: OutputConflictError for Spark's built-in catalog, whose tables are folders that cannot commit.
        """
        if self._is_built_in():
            raise self._cannot_commit("a table of Spark's built-in catalog")
        if not self.spark.catalog.tableExists(self.place):
            return None
        return self.spark.table(self.place).limit(0).toArrow().schema

    def create(self, schema: pa.Schema) -> None:
        """Create it as the catalog does by default."""
        properties = ", ".join(f"'{name}' = '{value}'" for name, value in PROPERTIES.items())
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self._name()} ({_ddl(schema)}) PARTITIONED BY (run_id) "
            f"COMMENT {_text(VALUES.meaning)} TBLPROPERTIES ({properties})"
        )

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns, null in the rows that are there."""
        self.spark.sql(f"ALTER TABLE {self._name()} ADD COLUMNS ({_ddl(columns)})")

    def commit(self, values: pa.Table, run: RunKey) -> None:
        """Put a run's values in the place of all rows of that run id; a second time, nothing changes."""
        from pyspark.errors import AnalysisException  # noqa: PLC0415 - an extra
        from pyspark.sql import functions as sf  # noqa: PLC0415

        frame = self.spark.createDataFrame(values)
        for field in self.spark.table(self.place).schema.fields:
            if field.name not in values.column_names:
                frame = frame.withColumn(field.name, sf.lit(None).cast(field.dataType))
        try:
            frame.writeTo(self.place).overwrite(sf.col("run_id") == run.run_id)
        except AnalysisException as error:
            raise self._cannot_commit(str(error).split("\n", 1)[0]) from error

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
