"""Tables that tasks of games exchange."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

RANGE_TOTALS = Table(
    "range_totals",
    "what ranges of draws of a game have told",
    (
        Column("number", "bigint", "number of the range, from 0"),
        Column("n_draws", "bigint", "draws"),
        Column("n_ranges", "bigint", "ranges"),
        Column("n_asked", "bigint", "coalitions whose worth was asked for"),
        Column("n_calls", "bigint", "calls of the utility"),
        Column("least", "double", "least worth"),
        Column("most", "double", "largest worth"),
        Column("moments", "binary", "of each moment and player, little-endian: int64 counts, float64 means, squares"),
    ),
)
