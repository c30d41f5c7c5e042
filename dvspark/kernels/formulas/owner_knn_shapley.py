"""Owner KNN-Shapley: players are owners; U(T) is the `knn_shapley` utility of all rows of the owners in T; exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.errors import Problem
from dvspark.kernels.formulas.kinds import OrderedFormulas
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Float64s, Int32s, Int64s

# Odds are scaled by m**s / s!, which passes 1e300 at s = m = 143.
LARGEST_K = 140


def owner_limit(k: int) -> list[Problem]:
    """Return the problem of a k whose probabilities float64 cannot hold, or nothing."""
    if k <= LARGEST_K:
        return []
    expected = f"k <= {LARGEST_K} under owner_knn_shapley: beyond, float64 cannot hold the chances"
    return [Problem("parameter 'k'", expected, str(k), "take a smaller k; 10 is the default")]


@dataclass(frozen=True)
class OwnerKnnShapley(OrderedFormulas):
    """Owner KNN-Shapley, k <= 140 (`owner_limit`)."""

    def point_values(self, point: OrderedPoint) -> Float64s:
        """Return the values of the owners, (n_owners,) float64, any number of rows, k <= 140 (`owner_limit`).

        An owner without rows is worth 0.

        A match of owner o at rank r counts 1 / k in T if o is in T and the owners in T have fewer than k rows before r.
        In the game of this match, o gains by the chance that so few rows come before. An owner with rows before r loses
        by the chance that these rows are the ones too many. Both follow from how many rows a random set of owners has
        before r, which depends only on how many owners have 0, 1, .. k rows there. All owners with equally many such
        rows lose the same.
        Only the first k rows of an owner matter. Each match among them takes one product over the numbers 1..k - 1,
        from scratch and by additions alone, so it is accurate to rounding. (Taking one owner out of a sum of floats is
        not; whole numbers, as in `reference_values`, are twice as slow.) Chances are kept, not counts, because
        C(n_owners, k) may exceed 1e308.
        Cost of a match: O(k**4 log k) in O(k log k) array operations. A point takes 1.1 s at 1,000 owners, 20,000 rows,
        k = 10, and 4 s at k = 20 (one core). Memory: 24 k**3 bytes and 40 a row.
        Raises: ValueError for k > 140.
        Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, on several rows per curator, whose
        enumeration takes O(n_owners**k); here a knapsack count for each match.
        """
        k = self.k
        if found := owner_limit(k):
            raise ValueError(str(found[0]))
        owners = given(point.owners, "owners")
        values = np.zeros(point.n_owners)
        rows_before = np.zeros(point.n_owners, np.int64)
        # How many owners have 0..k rows before this rank; what one of them has lost up to here, and at its last row.
        n_having, lost, lost_then = np.zeros(k + 1, np.int64), np.zeros(k + 1), np.zeros(point.n_owners)
        n_having[0] = point.n_owners
        for row in _counting_rows(owners, k).tolist():
            owner = int(owners[row])
            before = int(rows_before[owner])
            values[owner] -= lost[before] - lost_then[owner]
            n_having[before] -= 1
            if point.matches[row]:
                gain, losses = _shares(n_having, k - 1 - before)
                values[owner] += gain / k
                lost += losses / k
            rows_before[owner] = before + 1
            n_having[before + 1] += 1
            lost_then[owner] = lost[before + 1]
        return values - (lost[rows_before] - lost_then)

    def utilities(self, point: OrderedPoint) -> tuple[float, float]:
        """Return U of all owners and U(∅)."""
        return np.count_nonzero(point.matches[: self.k]) / self.k, 0.0

    def reference_values(self, point: OrderedPoint) -> Float64s:
        """Return the values in whole numbers, for checks: sets of owners are counted, not weighed.

        The table of all owners changes by one owner at a time, who is taken out and put in again with one row more.
        Taking out is a subtraction, which is exact. Cost: 3 s at 1,000 owners, 20,000 rows, k = 10.
        """
        k, owners = self.k, given(point.owners, "owners")
        values, rows_before = np.zeros(point.n_owners), np.zeros(point.n_owners, np.int64)
        table = [[0] * k for _ in range(k)]  # table[s][c]: sets of s owners who have c rows before this one
        table[0][0] = 1
        for row, owner in enumerate(owners.tolist()):
            before = int(rows_before[owner])
            if before == k:
                continue
            table = _without(table, before) if before else table
            if point.matches[row]:
                cap, m = k - 1 - before, int(np.count_nonzero(rows_before)) - (before > 0)
                few = [sum(sizes[: cap + 1]) for sizes in table[: m + 1]]
                values[owner] += sum(count / math.comb(m, s) for s, count in enumerate(few)) / (k * (m + 1))
                for having in set(rows_before[rows_before > 0].tolist()):
                    others = _without(table, having)[:m]
                    tight = [sum(sizes[max(cap + 1 - having, 0) : cap + 1]) for sizes in others]
                    loss = sum((s + 1) * (count / math.comb(m - 1, s)) for s, count in enumerate(tight))
                    losers = rows_before == having
                    losers[owner] = False
                    values[losers] -= loss / (k * m * (m + 1)) if losers.any() else 0.0
            rows_before[owner] += 1
            table = _with(table, before + 1)
        return values


def _counting_rows(owners: Int32s, k: int) -> Int64s:
    """Return the first k rows of every owner, in rank order."""
    order = np.argsort(owners, kind="stable")
    starts = np.flatnonzero(np.diff(owners[order], prepend=-1))
    place = np.arange(len(owners)) - np.repeat(starts, np.diff(np.append(starts, len(owners))))
    return np.sort(order[place < k])


def _shares(n_having: Int64s, cap: int) -> tuple[float, Float64s]:
    """Return what the owner of a match gains, and what each other owner loses by its number of rows before the match.

    ``n_having`` (k + 1,) counts the other owners by that number. ``cap`` is how many rows of others leave the match a
    place. The losses are (k + 1,); an owner without rows loses nothing.
    """
    losses = np.zeros(len(n_having))
    m = int(n_having[1:].sum())
    if m == 0:
        return 1.0, losses
    having = np.flatnonzero(n_having[1:]) + 1
    # One table of all, first, and one without an owner of each number: odds[e, s, c] m**s / s! is the number of
    # sets of s owners that have c rows. They never exceed s!, whatever m.
    odds = np.zeros((len(having) + 1, cap + 1, cap + 1))
    odds[:, 0, 0] = 1.0
    for place, number in enumerate(having.tolist(), 1):
        copies = np.full(len(odds), float(n_having[number]))
        copies[place] -= 1.0
        before, ways = odds.copy(), np.ones(len(odds))
        for j in range(1, cap // number + 1):
            ways = ways * np.maximum(copies - j + 1.0, 0.0) / (j * m)
            odds[:, j:, j * number :] += ways[:, None, None] * before[:, :-j, : -j * number]
    size = np.arange(cap + 1)
    gain = float(odds[0].sum(axis=1) @ _one_over_sets(m, m, cap)) / (m + 1)
    room = np.arange(cap + 1) > cap - having[:, None]
    one_too_many = np.einsum("esc,ec->es", odds[1:], room)
    losses[having] = one_too_many @ ((size + 1) * _one_over_sets(m - 1, m, cap)) / (m * (m + 1))
    return gain, losses


def _one_over_sets(n: int, scale: int, cap: int) -> Float64s:
    """Return scale**s / C(n, s) for s = 0..cap, (cap + 1,); 0 beyond n."""
    size = np.arange(1.0, cap + 1)
    left = n - size + 1.0
    return np.append(1.0, np.cumprod(np.where(left > 0, size * scale / np.maximum(left, 1.0), 0.0)))


def _with(table: list[list[int]], rows: int) -> list[list[int]]:
    """Return the table with one more owner who has ``rows`` rows."""
    k = len(table)
    return [[table[s][c] + (table[s - 1][c - rows] if s and c >= rows else 0) for c in range(k)] for s in range(k)]


def _without(table: list[list[int]], rows: int) -> list[list[int]]:
    """Return the table without one owner who has ``rows`` rows: the reverse of `_with`."""
    k = len(table)
    left = [row.copy() for row in table]
    for s in range(1, k):
        for c in range(rows, k):
            left[s][c] -= left[s - 1][c - rows]
    return left
