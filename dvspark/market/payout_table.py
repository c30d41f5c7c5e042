"""Payout tables: what each row or owner is paid, and how sure its share and its rank are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import InputError, Problem, shown
from dvspark.market.given_tables import column_of, numbers_of
from dvspark.market.payouts import FIRST, payout
from dvspark.schemas import OWNER, PAYOUTS, Float64s, Int64s
from dvspark.schemas.arrow import arrow_type

# Values as far from each other as two standard errors of each take places in one order.
SURE = 2.0


def payout_table(values: pa.Table, budget: Any, *, by_owner: bool, floor: bool = True, decimals: Any = 2) -> pa.Table:
    """Return the `PAYOUTS` of values, in their order; ``by_owner``: of owners, ascending, whose rows' values add up.

    ``values`` has the columns id and value, standard_error if it is known, and owner under ``by_owner``.
    Standard errors come from those of the values alone, which vary together in a way that is not known. So those of
    sums and of shares are upper bounds: |a + b| varies by no more than the sum of what a and b vary by; of a quotient,
    to first order; under ``floor``, values that are below 0 by two standard errors or more vary by nothing. Ranks are
    those that values within two standard errors can have.
    Cost: O(n log n). Raises: InputError, ConfigError as `payout` does, and for a table that lacks what is needed.
    """
    names, earned, errors, n_rows = _by_owner(values) if by_owner else _by_row(values)
    paid = payout(earned, budget, floor=floor, decimals=decimals)
    kept = np.maximum(earned, 0.0) if floor else earned
    total = _sum(kept)
    shares = kept / total if total > 0 else np.zeros(len(kept))
    rank, low, high = ranks(earned, errors)
    columns: dict[str, Any] = {
        "id": names,
        "n_rows": n_rows,
        "value": earned,
        "standard_error": errors,
        "share": shares,
        "share_standard_error": None if errors is None else _share_errors(shares, earned, errors, total, floor=floor),
        "payout": paid,
        "rank": rank,
        "rank_low": low,
        "rank_high": high,
    }
    types = {one.name: names.type if one.name == "id" else arrow_type(one.type) for one in PAYOUTS.columns}
    empty = {name: pa.nulls(len(names), kind) for name, kind in types.items()}
    arrays = [
        empty[name] if columns[name] is None else pa.array(columns[name], kind, from_pandas=True)
        for name, kind in types.items()
    ]
    return pa.table(arrays, names=PAYOUTS.names)


def ranks(values: Float64s, errors: Float64s | None) -> tuple[Int64s, Int64s | None, Int64s | None]:
    """Return the rank of each value, 1 the highest, and the best and the worst rank within two standard errors.

    Of equal values the earlier ranks first. Without errors there are no best and worst ranks.
    """
    n = len(values)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(1, n + 1)
    if errors is None:
        return rank, None, None
    lows, highs = values - SURE * errors, values + SURE * errors
    # Surely above are those whose lowest value is higher than one's highest; surely below, the reverse.
    n_above = n - np.searchsorted(np.sort(lows), highs, side="right")
    n_below = np.searchsorted(np.sort(highs), lows, side="left")
    return rank, np.minimum(rank, 1 + n_above), np.maximum(rank, n - n_below)


def _share_errors(shares: Float64s, values: Float64s, errors: Float64s, total: float, *, floor: bool) -> Float64s:
    """Return upper bounds of the standard errors of shares v / Σ v, to first order.

    With ``floor``, max(v, 0) varies by no more than v. It surely is 0 only where v is so within two standard errors: a
    value just below 0 may as well be above it, and then takes from all others.
    """
    if total <= 0:
        return np.full(len(shares), np.nan)
    counted = np.where(values + SURE * errors > 0, errors, 0.0) if floor else errors
    others = counted.sum() - counted
    bounds: Float64s = (np.abs(1.0 - shares) * counted + np.abs(shares) * others) / total
    return bounds


def _by_row(values: pa.Table) -> tuple[pa.Array, Float64s, Float64s | None, None]:
    """Return ids, values and standard errors of rows."""
    return column_of(values, "id"), numbers_of(values, "value"), _errors(values), None


def _by_owner(values: pa.Table) -> tuple[pa.Array, Float64s, Float64s | None, Int64s]:
    """Return owners, ascending, the sums of their rows' values and standard errors, and the numbers of rows."""
    owners = column_of(values, OWNER.name)
    n_without = pc.sum(owners.is_null(nan_is_null=True)).as_py()
    if n_without or pa.types.is_nested(owners.type):
        got, hint = f"{n_without} without, of type {owners.type}", "give each row an owner, or leave these rows out"
        raise InputError(Problem("owner of rows", "an owner in every row", got, hint))
    names = pc.unique(owners)
    names = names.take(pc.sort_indices(names))
    codes, n = pc.index_in(owners, value_set=names).to_numpy(), len(names)
    order, errors = np.argsort(codes, kind="stable"), _errors(values)
    n_rows = np.bincount(codes, minlength=n).astype(np.int64)

    def added(numbers: Float64s) -> Float64s:
        return np.array([_sum(own) for own in np.split(numbers[order], np.cumsum(n_rows)[:-1])])

    return names, added(numbers_of(values, "value")), None if errors is None else added(errors), n_rows


def _sum(numbers: Float64s) -> float:
    """Return the sum, rounded once: the order of rows plays no part; NaN if a number is not finite.

    Raises: InputError if float64 does not hold it.
    """
    try:
        return math.fsum(numbers.tolist()) if np.isfinite(numbers).all() else math.nan
    except OverflowError:
        hint = "divide all values by the same number: shares stay as they are"
        raise InputError(Problem("values", "a sum below 1.8e308", "a larger one", hint)) from None


def _errors(values: pa.Table) -> Float64s | None:
    """Return the standard errors, or None if they are not known of all. Raises: InputError for what is no error."""
    if "standard_error" not in values.column_names or values["standard_error"].null_count:
        return None
    errors = numbers_of(values, "standard_error")
    if len(bad := np.flatnonzero((errors < 0) | np.isinf(errors))):
        got = f"{len(bad)} others; the first: {shown(errors[bad[:FIRST]].tolist())}"
        hint = "leave a cell empty if it is not known"
        raise InputError(Problem("column standard_error", "finite numbers from 0", got, hint))
    return None if np.isnan(errors).any() else errors
