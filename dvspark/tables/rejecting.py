"""Rejecting: rows with problems are set aside, each with its reasons, and the rest is valued."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.local.rows import LocalRows
from dvspark.schemas import REJECTED
from dvspark.schemas.arrow import arrow_schema
from dvspark.tables.row_checks import RowChecks, mark_rows
from dvspark.tables.sources.keys import repeated_frame
from dvspark.tables.sources.rows import Rows
from dvspark.tables.sources.types import ddl_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Rows set aside, as `REJECTED`: where Spark has them, or here.
Rejected: TypeAlias = "DataFrame | pa.Table"
TWICE = "id occurs more than once"


def split(rows: Rows, checks: RowChecks) -> tuple[Rows, Rejected]:
    """Return the good rows and the rejected ones with their reasons; all rows of a repeated id are bad."""
    if isinstance(rows.frame, LocalRows):
        return _split_here(rows, rows.frame, checks)

    def mark(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return mark_rows(batches, checks)

    ddl = ddl_of({**rows.types, "reason": "string"})
    marked = rows.data_frame.mapInArrow(mark, ddl)
    marked = marked.join(repeated_frame(rows).selectExpr("id", f"'{TWICE}' AS again"), "id", "left")
    marked = marked.selectExpr(*rows.types, "nullif(concat_ws('; ', reason, again), '') AS reason")
    good = marked.where("reason IS NULL").select(*rows.types)
    bad = marked.where("reason IS NOT NULL")
    rejected = bad.selectExpr(f"'{rows.side}' AS side", "cast(id AS string) AS id", "reason")
    return rows.with_frame(good), rejected.select(*REJECTED.names)


def together(parts: list[Rejected]) -> Rejected | None:
    """Return the rejected rows of all parts, None of no part."""
    if not parts:
        return None
    if isinstance(parts[0], pa.Table):
        return pa.concat_tables(cast("list[pa.Table]", parts))
    first, *others = cast("list[DataFrame]", parts)
    for other in others:
        first = first.unionByName(other)
    return first


def _split_here(rows: Rows, frame: LocalRows, checks: RowChecks) -> tuple[Rows, pa.Table]:
    """Do so where this process reads the rows, whose keys are at hand."""
    assert rows.keys is not None  # noqa: S101 - they come with the checks
    counts = pc.value_counts(rows.keys["id"].drop_null().combine_chunks())
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    ids, reasons = list[pa.Array](), list[pa.Array]()
    for batch in mark_rows(frame.read(list(rows.types)), checks):
        again = pc.if_else(pc.is_in(batch.column("id"), value_set=twice), TWICE, pa.scalar(None, pa.string()))
        reason = batch.column("reason")
        ids.append(batch.column("id"))
        reasons.append(pc.coalesce(pc.binary_join_element_wise(reason, again, "; "), reason, again))
    found = pa.table({"id": pa.chunked_array(ids), "reason": pa.chunked_array(reasons)}).combine_chunks()
    is_kept = found["reason"].is_null().combine_chunks()
    good, bad = found.filter(is_kept)["id"].combine_chunks(), found.filter(pc.invert(is_kept))
    told = [pa.array([rows.side] * len(bad), pa.string()), bad["id"].cast(pa.string()), bad["reason"]]
    kept = rows.with_frame(frame.where(is_kept))
    keys = rows.keys.filter(pc.is_in(rows.keys["id"], value_set=good))
    schema = pa.schema([one.with_nullable(one.name != "side") for one in arrow_schema(REJECTED)])
    return replace(kept, keys=keys), pa.table(told, schema=schema)
