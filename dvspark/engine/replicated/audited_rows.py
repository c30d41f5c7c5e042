"""The validation rows that the audit values once more: some drawn, some with the widest certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.chunks import in_chunks
from dvspark.engine.replicated.replicated import chunked, sample_rows
from dvspark.errors import ComputeError, Problem
from dvspark.schemas import Float64s

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def audited_rows(validation_rows: DataFrame, n_drawn: int, n_chunks: int, widest: Float64s) -> pa.Table:
    """Return ``n_drawn`` rows and those of the ``widest`` certificates, see `schemas.Partial`, each once, in id order.

    ``n_chunks`` is the number of chunks into which the rows are cut.
    Raises: ComputeError if a place in ``widest`` is not in the table.
    """
    drawn = sample_rows(validation_rows, n_drawn)
    if not len(widest):
        return drawn
    places = widest[:, 1:].astype(np.int64).tolist()
    wide = (
        chunked(validation_rows, n_chunks)
        .where(in_chunks(chunk for chunk, _ in places))
        .selectExpr("*", "row_number() OVER (PARTITION BY chunk_id ORDER BY id) - 1 AS place")
        .where(" OR ".join(f"(chunk_id = {chunk} AND place = {place})" for chunk, place in places))
        .drop("chunk_id", "place")
        .toArrow()
    )
    if len(wide) != len(places):
        expected, got = f"{len(places)} rows with the widest certificates", f"{len(wide)}"
        raise ComputeError(Problem("rows to audit", expected, got, "did the validation table change meanwhile?"))
    others = pc.invert(pc.is_in(wide["id"], value_set=drawn["id"].combine_chunks()))
    return pa.concat_tables([drawn, wide.filter(others)]).sort_by("id")


def each_a_chunk(rows: pa.Table, like: DataFrame) -> DataFrame:
    """Return ``rows`` as a DataFrame of the session of ``like``, each row as a chunk of its own, in their order."""
    from pyspark.sql.types import IntegerType, StructField, StructType  # noqa: PLC0415 - an extra

    numbered = rows.append_column("chunk_id", pa.array(np.arange(len(rows), dtype=np.int32)))
    schema = StructType([*like.schema.fields, StructField("chunk_id", IntegerType())])
    return like.sparkSession.createDataFrame(numbered, schema=schema)
