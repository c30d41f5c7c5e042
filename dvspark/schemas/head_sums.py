"""Head sums: what tasks tell of a pass over training rows."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

HEAD_SUMS = Table(
    "head_sums",
    "what a task has added up over a stretch of training rows in a pass, one row an array: see gradients.row_pass",
    (
        Column("stretch", "bigint", "number of the stretch"),
        Column("part", "string", "name of the array"),
        Column("shape", "array<bigint>", "its shape"),
        Column("numbers", "binary", "float64 little-endian: its numbers, row by row"),
    ),
)
