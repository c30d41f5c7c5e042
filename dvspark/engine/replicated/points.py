"""Points on Spark: what stages ask of validation rows besides values, under either plan; see `engine.points.Points`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import chunk_expression, in_chunks, sizes_of
from dvspark.engine.groups import Groups
from dvspark.engine.tasks import ListedRows, nearest_validation
from dvspark.schemas import CHUNK_SIZES, NEIGHBOR_COUNTS, NEIGHBORS
from dvspark.schemas.arrow import arrow_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]


def chunked(validation_rows: DataFrame, n_chunks: int, groups: Groups | None = None) -> DataFrame:
    """Return the rows with their chunk_id, which depends on the id alone, and on the group where rows have one."""
    if groups is not None:
        return _chunked_by_group(validation_rows, groups)
    return validation_rows.selectExpr("*", f"{chunk_expression(n_chunks)} AS chunk_id")


def _chunked_by_group(validation_rows: DataFrame, groups: Groups) -> DataFrame:
    """Return the rows of all groups with their chunk_id; each task is sent the table of groups."""
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra
    from pyspark.sql.types import LongType, StructField, StructType  # noqa: PLC0415 - an extra

    spark, given = validation_rows.sparkSession, [validation_rows.schema[name] for name in groups.columns]
    kinds = [arrow_type(field.dataType.simpleString()) for field in given]
    schema = StructType([*given, *(StructField(name, LongType()) for name in ("first_chunk", "n_chunks"))])
    told = spark.createDataFrame(groups.table(kinds), schema=schema)
    chunk = "cast(first_chunk + pmod(xxhash64(id), n_chunks) AS int) AS chunk_id"
    found = validation_rows.join(sf.broadcast(told), list(groups.columns))
    return found.selectExpr(*(f"`{name}`" for name in validation_rows.columns), chunk)


def chunk_sizes(chunks: DataFrame) -> dict[int, int]:
    """Return how many validation rows each chunk has; chunks without rows do not appear."""
    # Not by Spark's groupBy: Java takes half a second to get ready for its first one.
    found = Counter[int]()
    for batch in chunks.select("chunk_id").mapInArrow(sizes_of, CHUNK_SIZES.ddl()).toArrow().to_pylist():
        found[batch["chunk_id"]] += batch["n_rows"]
    return dict(sorted(found.items()))


def chunk_rows(chunks: DataFrame, ids: list[int]) -> pa.Table:
    """Return the rows of some chunks, in any order, with their chunk_id."""
    return chunks.where(in_chunks(ids)).toArrow()


def rows_of(chunks: DataFrame, chunk_id: int) -> DataFrame:
    """Return the rows of a chunk."""
    return chunks.where(in_chunks([chunk_id])).drop("chunk_id")


def n_rows(rows: DataFrame) -> int:
    """Return how many rows there are."""
    return rows.count()


def sample_rows(validation_rows: DataFrame, n_points: int) -> pa.Table:
    """Return a few validation rows, drawn by a hash of their ids whatever the partitions, in id order."""
    drawn = validation_rows.selectExpr("*", "xxhash64(id, 'sample') AS draw").orderBy("draw", "id")
    return drawn.limit(n_points).drop("draw").toArrow().sort_by("id")


def rows_at(
    validation_rows: DataFrame, n_chunks: int, places: list[tuple[int, int]], groups: Groups | None = None
) -> pa.Table:
    """Return the rows at these places, each a chunk and a row's place in it in id order; those that are there."""
    return (
        chunked(validation_rows, n_chunks, groups)
        .where(in_chunks(chunk for chunk, _ in places))
        .selectExpr("*", "row_number() OVER (PARTITION BY chunk_id ORDER BY id) - 1 AS place")
        .where(" OR ".join(f"(chunk_id = {chunk} AND place = {place})" for chunk, place in places))
        .drop("chunk_id", "place")
        .toArrow()
    )


def each_a_chunk(rows: pa.Table, like: DataFrame) -> DataFrame:
    """Return rows of another frame, each as a chunk of its own, in their order."""
    from pyspark.sql.types import IntegerType, StructField, StructType  # noqa: PLC0415 - an extra

    numbered = rows.append_column("chunk_id", pa.array(np.arange(len(rows), dtype=np.int32)))
    schema = StructType([*like.schema.fields, StructField("chunk_id", IntegerType())])
    return like.sparkSession.createDataFrame(numbered, schema=schema)


def with_counts(validation_rows: DataFrame, noisy: pa.Table) -> DataFrame:
    """Return validation rows with their noisy counts, `NEIGHBOR_COUNTS`."""
    kind = validation_rows.schema["id"].dataType.simpleString()
    counts = validation_rows.sparkSession.createDataFrame(noisy, schema=NEIGHBOR_COUNTS.ddl(id=kind))
    return validation_rows.join(counts, "id")


def neighbors(validation_rows: DataFrame, listed: ListedRows, metric: str, n_nearest: int) -> pa.Table:
    """Return `NEIGHBORS`: of each batch of validation rows the nearest ones of some train rows."""

    def nearest(batches: Batches) -> Batches:
        return nearest_validation(batches, listed, metric, n_nearest)

    ddl = NEIGHBORS.ddl(label=validation_rows.schema["label"].dataType.simpleString())
    return validation_rows.mapInArrow(nearest, ddl).toArrow()
