"""Iceberg: tables of snapshots; without Spark the pyiceberg library finds the files of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from dvspark.errors import Problem
from dvspark.tables.sources.formats.lake import LakeReader
from dvspark.tables.sources.pinned import Pinned, require_library

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class IcebergReader(LakeReader):
    """Reads one snapshot of an Iceberg table: of a folder, of pyiceberg's catalogs, or of Spark's.

    ``schema_id``: with which columns, where a run has recorded it.
    """

    schema_id: int | None = None
    option = "snapshot-id"

    def only_spark(self) -> list[Problem]:
        """Return nothing: pyiceberg has catalogs, too."""
        return []

    def pinned(self) -> Pinned:
        """Return the snapshot that is asked for, or else the current one. Raises: ConfigError, InputError."""
        require_library("iceberg")
        from dvspark.tables.sources.formats.iceberg_files import pinned_iceberg  # noqa: PLC0415 - an extra

        return pinned_iceberg(self.side, self.reference, self.schema_id)

    def at(self, source: Mapping[str, Any]) -> Self:
        """Return what reads the state that a run recorded, with its columns: the snapshot alone may tell others."""
        return replace(super().at(source), schema_id=source.get("schema_id"))

    def stored_names(self, names: list[str]) -> dict[str, str]:
        """Return the names that writers give columns in files."""
        from dvspark.tables.sources.formats.iceberg_files import stored_names  # noqa: PLC0415 - an extra

        return stored_names(names)

    def history(self, spark: SparkSession) -> DataFrame:
        """Return when which snapshot became current, as Spark's connector reports it."""
        table, path = self.reference.table, self.reference.path
        made = spark.table(f"{table}.history") if table else spark.read.format("iceberg").load(f"{path}#history")
        return made.selectExpr("made_current_at AS at", "snapshot_id AS state")
