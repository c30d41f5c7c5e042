"""Chunk frames: chunks of validation rows on their way to tasks of Spark, whether the driver holds the rows or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa

from dvspark.engine.chunks import in_chunks
from dvspark.engine.local_chunks import LocalChunks
from dvspark.engine.planning.cluster import session_of
from dvspark.engine.replicated.points import chunk_rows
from dvspark.local.rows import LocalRows
from dvspark.schemas.arrow import arrow_type
from dvspark.tables.sources.types import ddl_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame

# Validation rows of up to so many bytes are held by the driver. Otherwise Spark reads their table for each question
# that a stage asks, six times in a run, and Java plans a job each time (docs/decisions/0049).
HELD_BYTES = 16 * 2**20
# What a row takes besides its embedding, about: id, label and the rest.
KEYS_BYTES = 64


def held_if_few(rows: DataFrame, types: dict[str, str], n_rows: int, n_features: int) -> Frame:
    """Return the rows, held by the driver if they take at most HELD_BYTES. Cost: then one pass, and thrice that memory.

    ``types``: the columns with their Spark DDL.
    """
    width = 8 if types["embedding"] == "array<double>" else 4
    if n_rows * (width * n_features + KEYS_BYTES) > HELD_BYTES:
        return rows
    schema = pa.schema([(name, arrow_type(kind)) for name, kind in types.items()])
    return LocalRows.of_table(rows.sparkSession, types, rows.select(*types).toArrow().cast(schema))


def spark_session_of(rows: Frame | Chunked) -> SparkSession:
    """Return the session of Spark that values the rows or chunks."""
    return cast("SparkSession", session_of(rows))


def frame_of_chunks(chunks: Chunked, ids: list[int]) -> DataFrame:
    """Return the rows of some chunks as a DataFrame with their chunk_id, in any order."""
    if not isinstance(chunks, LocalChunks):
        return chunks.where(in_chunks(ids))
    ddl = ddl_of({**chunks.rows.types, "chunk_id": "int"})
    return spark_session_of(chunks).createDataFrame(chunks.take(ids), schema=ddl)


def table_of_chunks(chunks: Chunked, ids: list[int]) -> pa.Table:
    """Return the rows of some chunks with their chunk_id, in any order, held by the driver."""
    return chunks.take(ids) if isinstance(chunks, LocalChunks) else chunk_rows(chunks, ids)
