"""Tables of the market: who is paid what, and which rows are selected."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

PAYOUTS = Table(
    "payouts",
    "what `dvspark pay` writes: one row for each training row, or owner, who is paid",
    (
        Column("id", "{id}", "the training row, or the owner"),
        Column("n_rows", "bigint", "how many rows of the owner were added up; null where none were"),
        Column("value", "double", "its value"),
        Column("standard_error", "double", "of the value; of a sum of rows an upper bound; null if not known"),
        Column("share", "double", "its share of the budget, before units"),
        Column("share_standard_error", "double", "an upper bound of the share's standard error; null if not known"),
        Column("payout", "double", "what it is paid, a whole number of units"),
        Column("rank", "bigint", "1 = the highest value; of equal ones the earlier row first"),
        Column("rank_low", "bigint", "the best rank within two standard errors of all values; null if not known"),
        Column("rank_high", "bigint", "the worst such rank"),
    ),
)
SELECTION = Table(
    "selection",
    "what `dvspark select` writes: one row for each training row that is selected, the highest value first",
    (
        Column("id", "{id}", "the training row"),
        Column("label", "{label}", "its label"),
        Column("owner", "{owner}", "its owner, where the values have owners"),
        Column("value", "double", "its value"),
        Column("cost", "double", "its cost, where costs decide"),
        Column("weight", "double", "its weight in training: groups then weigh as before the selection; 1 in the mean"),
    ),
)
