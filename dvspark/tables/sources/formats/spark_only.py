"""Spark only: tables of Spark's catalogs, and formats that no process reads without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvspark.errors import Problem
from dvspark.tables.sources.formats.npy_shards import NPY
from dvspark.tables.sources.not_local import NotLocalError, not_local_problem
from dvspark.tables.sources.plain import inferred_schema, plain_frame
from dvspark.tables.sources.reader import Reader, SparkTable, TableFiles, WholeTable
from dvspark.tables.sources.whole_tables import unwritable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Formats of files for which Spark reads columns from folder names.
FILE_FORMATS = ("orc", "avro", "json", "text", "xml")


@dataclass(frozen=True)
class SparkReader(Reader):
    """Reads what Spark alone can read."""

    def only_spark(self) -> list[Problem]:
        """Return why only Spark can read the table."""
        expected = "parquet, csv, delta or iceberg"
        return super().only_spark() or [not_local_problem(f"{self.side}.format", expected, self.reference.format)]

    def files(self) -> TableFiles:
        """Raise NotLocalError."""
        raise NotLocalError(self.only_spark())

    def frame(self, spark: SparkSession) -> SparkTable:
        """Return the table of a catalog, files with the columns of their folders' names, or what a connector gives."""
        if self.reference.table is not None:
            return SparkTable(spark.table(self.reference.table), {})
        if self.reference.format in FILE_FORMATS:
            return plain_frame(spark, self, lambda folders, _: inferred_schema(spark, self, folders))
        if self.reference.format == NPY:  # a session learns the formats that come with dvspark here
            from dvspark.tables.sources.formats.npy_source import NpySource  # noqa: PLC0415 - an extra

            spark.dataSource.register(NpySource)
        return SparkTable(spark.read.format(self.reference.format).load(str(self.reference.path)), {})

    def whole(self) -> WholeTable:
        """Raise ConfigError."""
        raise unwritable(self)
