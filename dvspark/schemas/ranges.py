"""Tables that tasks of games exchange."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

COALITIONS = Table(
    "coalitions",
    "coalitions whose worths are asked for",
    (
        Column("number", "bigint", "number of the coalition, from 0"),
        Column("joined", "binary", "its players, a bit each"),
    ),
)

WORTHS = Table(
    "worths",
    "what coalitions are worth",
    (
        Column("number", "bigint", "number of the coalition, from 0"),
        Column("worth", "double", "its worth"),
        Column("seconds", "double", "CPU time that its utility took"),
    ),
)

RANGE_NOTES = Table(
    "range_notes",
    "what the audit of a game knows of its ranges",
    (
        Column("number", "bigint", "number of the range, from 0"),
        Column("n_draws", "bigint", "draws"),
        Column("sketch", "binary", "a few float64 numbers of its totals, little-endian"),
        Column("probe", "binary", "players of one coalition, a bit each; null in all but a few ranges"),
        Column("probe_worth", "double", "what it is worth"),
    ),
)

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
        Column("probe", "binary", "players of one coalition, a bit each; null if none was asked for its worth"),
        Column("probe_worth", "double", "what it is worth"),
        Column("moments", "binary", "of each moment and player, little-endian: int64 counts, float64 means, squares"),
        Column("record", "binary", "the draws one by one, of an estimator that needs them"),
    ),
)
