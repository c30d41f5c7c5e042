"""Selection: the rows that a budget of rows or of money should keep, with every group covered, and their weights."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import ConfigError, InputError, Problem, shown, written
from dvspark.market.given_tables import OWNER_HINT, column_of, numbers_of
from dvspark.market.payouts import FIRST, largest_remainders
from dvspark.schemas import SELECTION, Float64s, Int64s

GROUPS = ("label", "owner")


def select_rows(values: pa.Table, n_rows: int, by: str | None = None) -> pa.Table:
    """Return ``n_rows`` rows of a values table as `SELECTION`, the highest values first.

    With ``by``, "label" or "owner", each group keeps its share of the rows, by largest remainders, and one row at
    least; in a group the highest values are taken. Without it the highest values of all are taken.
    Cost: O(n log n). Raises: ConfigError for fewer rows than groups, InputError for a table that lacks what is needed.
    """
    n = len(values)
    if not 1 <= n_rows <= n:
        raise ConfigError(Problem("rows", f"a whole number from 1 to {n}", str(n_rows), "select some of the rows"))
    order, groups = _by_value(_values(values)), _groups(values, by)
    if groups is None:
        return _selected(values, order[:n_rows], None, None)
    sizes = np.bincount(groups)
    if n_rows < len(sizes):
        hint = f"select {len(sizes)} rows or more, or leave --by {by} out"
        raise ConfigError(Problem("rows", f"a row of each of {len(sizes)} groups by {by}", str(n_rows), hint))
    quotas = np.array(largest_remainders(sizes.tolist(), n_rows))
    while (empty := np.flatnonzero(quotas == 0)).size:  # the largest groups give up a row each
        quotas[empty[0]] += 1
        quotas[int(np.argmax(quotas))] -= 1
    taken = order[_place_in_group(groups[order]) < quotas[groups[order]]]
    return _selected(values, taken, groups, None)


def select_within(values: pa.Table, costs: Float64s, budget: float, by: str | None = None) -> pa.Table:
    """Return rows whose ``costs`` (n,), above 0, add up to no more than ``budget``, as `SELECTION`.

    With ``by``, the row of the highest value for its cost of each group comes first, whatever its value. Then rows come
    by value for cost as long as they fit; rows without a positive value are not bought.
    Cost: O(n log n). Raises: ConfigError for a budget that does not cover the groups or is no amount, InputError for
    unusable costs, and for a table that lacks what is needed.
    """
    if not 0 <= budget < math.inf:
        hint = "give an amount of 0 or more"
        raise ConfigError(Problem("budget", "an amount of money, finite and from 0", written(budget), hint))
    if costs.shape != (len(values),) or not np.all(np.isfinite(costs) & (costs > 0)):
        got = f"{int(np.count_nonzero(~(np.isfinite(costs) & (costs > 0))))} others"
        raise InputError(Problem("costs", "a finite cost above 0 of each row", got, "give every row its price"))
    worth, groups = _values(values), _groups(values, by)
    order = _by_value(worth / costs)
    first = np.empty(0, np.int64)
    left, bought = _decimal(budget), list[int]()
    if groups is not None:
        first = order[_place_in_group(groups[order]) == 0]
        if (of_groups := sum(map(_decimal, costs[first].tolist()), Fraction(0))) > left:
            hint = f"raise the budget, or leave --by {by} out"
            expected = f"enough for a row of each of {len(first)} groups by {by}: {float(of_groups):g}"
            raise ConfigError(Problem("budget", expected, f"{budget:g}", hint))
        left -= of_groups
    rest = order[~np.isin(order, first) & (worth[order] > 0)]
    for row in rest.tolist():
        if (cost := _decimal(costs[row])) <= left:
            left -= cost
            bought.append(row)
    taken = np.concatenate([first, np.array(bought, np.int64)])
    if not len(taken):
        hint = "raise the budget: nothing of positive value costs so little"
        raise ConfigError(Problem("budget", "enough for one row", f"{budget:g}", hint))
    return _selected(values, taken[_by_value(worth[taken])], groups, costs)


def _decimal(amount: float) -> Fraction:
    """Return an amount as it is written: three rows at 0.1 cost 0.3, which float64 numbers do not."""
    return Fraction(repr(float(amount)))


def _selected(values: pa.Table, rows: Int64s, groups: Int64s | None, costs: Float64s | None) -> pa.Table:
    """Return some rows with their weights, in this order."""
    weights = np.ones(len(rows))
    if groups is not None:  # what a group weighs stays: n of group / n over selected of group / selected
        before, after = (np.bincount(some, minlength=int(groups.max()) + 1) for some in (groups, groups[rows]))
        weights = (before / len(groups))[groups[rows]] / (after / len(rows))[groups[rows]]
    kept = ["id", "value", *(name for name in GROUPS if name in values.column_names)]
    columns: dict[str, Any] = {name: column_of(values, name).take(pa.array(rows)) for name in kept}
    if costs is not None:
        columns["cost"] = pa.array(costs[rows])
    columns["weight"] = pa.array(weights)
    return pa.table({name: columns[name] for name in SELECTION.names if name in columns})


def _by_value(worth: Float64s) -> Int64s:
    """Return positions by value, the highest first; of equal ones the earlier first."""
    return np.argsort(-worth, kind="stable")


def _place_in_group(groups: Int64s) -> Int64s:
    """Return for each row, in this order, how many rows of its group come before it."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    places = np.empty(len(groups), np.int64)
    places[order] = np.arange(len(groups)) - np.searchsorted(in_order, in_order)
    return places


def _values(values: pa.Table) -> Float64s:
    """Return the values. Raises: InputError unless all are finite numbers."""
    worth = numbers_of(values, "value")
    if len(bad := np.flatnonzero(~np.isfinite(worth))):
        got = f"{len(bad)} NaN, infinite or missing; the first: {shown(bad[:FIRST].tolist())}"
        raise InputError(Problem("values", "finite numbers", got, "find out why they have no value, or leave them out"))
    return worth


def _groups(values: pa.Table, by: str | None) -> Int64s | None:
    """Return the group of each row as a number, groups in the order in which they first occur; None without ``by``."""
    if by is None:
        return None
    column = values[by].combine_chunks() if by in values.column_names else None
    n_without = 0 if column is None else pc.sum(column.is_null(nan_is_null=True)).as_py()
    if column is None or n_without or pa.types.is_nested(column.type):
        got = "no such column" if column is None else f"{n_without} nulls, of type {column.type}"
        hint = OWNER_HINT if by == "owner" else "leave out --by label; values of owners have no labels"
        raise InputError(Problem(f"column {by}", f"{'an' if by == 'owner' else 'one'} {by} in every row", got, hint))
    return np.asarray(pc.index_in(column, value_set=pc.unique(column)).to_numpy(), np.int64)
