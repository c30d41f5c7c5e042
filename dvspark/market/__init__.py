"""Market: what values are worth in money, and which rows a budget should buy or keep."""

from __future__ import annotations

from dvspark.market.composite import CompositeValues, composite_values
from dvspark.market.gaming import gaming_gains
from dvspark.market.payout_table import payout_table
from dvspark.market.payouts import payout
from dvspark.market.selection import select_rows, select_within

__all__ = [
    "CompositeValues",
    "composite_values",
    "gaming_gains",
    "payout",
    "payout_table",
    "select_rows",
    "select_within",
]
