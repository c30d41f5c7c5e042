"""Compared: what tasks tell of validation rows that they value twice, for the audit."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

COMPARED = Table(
    "compared",
    "for each chunk of audited validation rows, whether its values are those of the reference",
    (
        Column("chunk_id", "int", "the chunk, whose rows are valued on their own"),
        Column("verdict", "string", "pass or fail"),
        Column("measured", "double", "the largest difference of a mean value"),
        Column("allowed", "double", "what rounding and the chunk's certificate allow"),
        Column("meaning", "string", "what was compared"),
        Column("values_sha256", "string", "the sha256 of the sums of values, float64 little-endian, by train row"),
    ),
)
