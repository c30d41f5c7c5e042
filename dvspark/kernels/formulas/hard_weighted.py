"""Weighted KNN-Shapley, hard: U(S) = 1 if the whole weights of the k nearest rows vote for the point's label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.errors import Problem
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Bools, Float64s, Int64s

# Tables grow with 2**bits signed weights times 2**bits k sums.
LARGEST_BITS = 8

# The reference keeps tables of so many float64 at once (8 MiB).
REFERENCE_CELLS = 2**20


def hard_limits(k: int, bits: int, n_nearest: int | None) -> list[Problem]:
    """Return the problems of parameters that are out of range, if any."""
    found = []
    if not 1 <= bits <= LARGEST_BITS:
        expected = f"a whole number from 1 to {LARGEST_BITS}: weights are whole numbers up to 2**bits - 1"
        found.append(Problem("parameter 'bits'", expected, str(bits), "3 is the default; tables grow with 4**bits"))
    if n_nearest is not None and n_nearest < k:
        expected = f"a whole number from k = {k}, or none: the bound k (1 / n_nearest - 1 / n) holds from k on"
        found.append(Problem("parameter 'n_nearest'", expected, str(n_nearest), "leave it out for exact values"))
    return found


def truncation_bound(n: int, k: int, n_nearest: int) -> float:
    """Return how far a value that looks at displaced rows only up to rank ``n_nearest`` >= k may be from the exact one.

    The bound is k (1 / n_nearest - 1 / n), because what is left out at rank r is at most k / (r (r - 1)).
    """
    return k * (1.0 / n_nearest - 1.0 / n) if n_nearest < n else 0.0


def quantized(weights: Float64s, bits: int) -> Int64s:
    """Return weights as whole numbers from 0 to 2**bits - 1, int64.

    Whole numbers in that range are taken as they are. Otherwise all weights of the point are scaled so that the largest
    is 2**bits - 1, and rounded, with halves to even.
    """
    largest = 2**bits - 1
    top = float(weights.max(initial=0.0))
    if top <= largest and bool((weights == np.rint(weights)).all()):
        return weights.astype(np.int64)
    return np.rint(weights / top * largest).astype(np.int64)


def point_values(
    point: OrderedPoint, *, k: int, bits: int = 3, empty_utility: float = 0.0, n_nearest: int | None = None
) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64; ``n_nearest`` as in `truncation_bound`.

    U(S) = 1 if Σ of +weight of a match, -weight of another row, over the k nearest of S is >= 0 (a tie is right).
    Row i gets two things. For each size l < k, it gets 1 / n of what it changes in a random coalition of size l. For
    each rank r > max(i, k), it gets k / (r (r - 1)) of what it changes by taking r's place beside k - 1 random rows
    nearer than r. Both need the distribution of sums of random l-subsets of the rows without i. This depends on i only
    through i's signed weight. So one table for each of at most 2**(bits + 1) - 1 signed weights, grown by one row at
    each rank, replaces one table for each row. (Rows of equal weight still have different values, because their ranks
    differ.)
    Tables hold probabilities, not counts, so C(n, k) may exceed 1e308, and they grow by additions alone.
    Cost: O(m 4**bits k**2) for m = n_nearest or n, in 100 4**bits k**2 + 32 m 2**bits bytes. Seconds a point (one
    core):

        n = 1,000, k = 5, bits = 3   0.05        n = 100,000, k = 5, bits = 3                        4.6
        n = 1,000, k = 5, bits = 8   17          n = 1 million, k = 5, bits = 3, n_nearest = 1,000   0.14

    Source: Wang, Mittal & Jia, Efficient Data Shapley for Weighted Nearest Neighbor Algorithms, AISTATS 2024,
    arXiv:2401.11103, whose count is quadratic in n; one table for each signed weight is this project's own.
    """
    signed = _signed(point, bits)
    n = len(signed)
    if n == 0:
        return np.empty(0)
    kinds, codes = np.unique(signed, return_inverse=True)
    tables = SumTables.empty(kinds, min(k, n))
    end = n if n_nearest is None else min(n_nearest, n)
    changed = np.zeros((end + 1, len(kinds)))
    seen = np.zeros(len(kinds), np.bool_)
    for rank in range(1, end + 1):
        kind = codes[rank - 1]
        if rank > k:
            changed[rank - 1] = tables.changed(k - 1, signed[rank - 1]) * (k / (rank * (rank - 1)))
        # Leaving out row i is leaving out one row of its kind. Each kind's table leaves out the first such row.
        tables.add_row(signed[rank - 1], seen | (np.arange(len(kinds)) != kind))
        seen[kind] = True
    np.cumsum(changed[::-1], axis=0, out=changed[::-1])
    values = changed[np.minimum(np.arange(1, n + 1), end), codes]
    for kind, copies in enumerate(np.bincount(codes[end:], minlength=len(kinds))):
        if copies:
            tables.add_rows(kinds[kind], copies - (~seen & (np.arange(len(kinds)) == kind)))
    of_small = (kinds >= 0) - empty_utility
    for size in range(1, tables.n_sizes):
        of_small = of_small + tables.changed(size, 0)
    return values + of_small[codes] / n


def utility(point: OrderedPoint, *, k: int, bits: int = 3, empty_utility: float = 0.0) -> tuple[float, float]:
    """Return U(N) and U(∅); without rows both are that of the empty set."""
    signed = _signed(point, bits)
    return (float(signed[:k].sum() >= 0), empty_utility) if len(signed) else (empty_utility, empty_utility)


def reference_values(
    point: OrderedPoint, *, k: int, bits: int = 3, empty_utility: float = 0.0, n_nearest: int | None = None
) -> Float64s:
    """Return the values by counting subsets for each row separately, for checks.

    Cost: O(n² k² 2**bits), 0.5 s at n = 1,000, k = 5, bits = 3, in 30 MiB. Counts are float64: C(n, k - 1) < 1e300.
    Source: Wang, Mittal & Jia 2024, with weights from the definition of the Shapley value.
    """
    signed = _signed(point, bits)
    n, width = len(signed), (k - 1) * int(np.abs(signed).max(initial=0))
    values, step = np.empty(n), max(REFERENCE_CELLS // (k * (2 * width + 1)), 1)
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        values[rows] = _counted_values(signed, rows, k, width, empty_utility, n_nearest or n)
    return values


@dataclass
class SumTables:
    """Distributions of sums of random subsets: for each kind of row, a table of the rows without one row of that kind.

    ``kinds`` (n_kinds,): signed weights. ``odds`` (n_kinds, n_sizes, n_sums) float64: the probability that a uniform
    l-subset has the sum s - width, 0 if there are fewer than l rows. ``n_rows`` (n_kinds,) float64.
    """

    kinds: Int64s
    odds: Float64s
    n_rows: Float64s
    width: int

    @classmethod
    def empty(cls, kinds: Int64s, n_sizes: int) -> SumTables:
        """Return the tables of no rows, for subsets of fewer than ``n_sizes`` rows."""
        width = (n_sizes - 1) * int(np.abs(kinds).max())
        odds = np.zeros((len(kinds), n_sizes, 2 * width + 1))
        odds[:, 0, width] = 1.0
        return cls(kinds, odds, np.zeros(len(kinds)), width)

    @property
    def n_sizes(self) -> int:
        """Number of subset sizes, from 0."""
        return self.odds.shape[1]

    def changed(self, size: int, other: int) -> Float64s:
        """Return P(a subset's sum + kind >= 0) - P(its sum + other >= 0), (n_kinds,).

        Only the terms between the two thresholds are added up, so nothing cancels.
        """
        low = np.clip(self.width - np.maximum(self.kinds, other), 0, 2 * self.width + 1)
        high = np.clip(self.width - np.minimum(self.kinds, other), 0, 2 * self.width + 1)
        places = np.arange(2 * self.width + 1)
        between = (places >= low[:, None]) & (places < high[:, None])
        return np.sign(self.kinds - other) * np.einsum("ks,ks->k", self.odds[:, size], between)

    def add_row(self, weight: int, to: Bools) -> None:
        """Add one row to the tables where ``to`` (n_kinds,) bool is True."""
        self.n_rows += to
        size = np.arange(self.n_sizes)
        drawn = np.where(to[:, None], size / np.maximum(self.n_rows, 1.0)[:, None], 0.0)
        moved = self._moved(1, weight) * drawn[:, 1:, None]
        self.odds *= np.maximum(1.0 - drawn, 0.0)[:, :, None]
        self._target(1, weight)[...] += moved

    def add_rows(self, weight: int, copies: Int64s) -> None:
        """Add ``copies`` (n_kinds,) rows of one signed weight to each table, by the chances of drawing j of them."""
        drawn = _draw_odds(self.n_rows, copies, self.n_sizes)
        before = SumTables(self.kinds, self.odds.copy(), self.n_rows, self.width)
        self.odds *= drawn[:, :, 0, None]
        for j in range(1, min(self.n_sizes, int(copies.max()) + 1)):
            self._target(j, j * weight)[...] += before._moved(j, j * weight) * drawn[:, j:, j, None]
        self.n_rows += copies

    def _moved(self, more: int, by: int) -> Float64s:
        """Return a view of the odds that move to another place when ``more`` rows with the sum ``by`` are added."""
        end = self.odds.shape[2]
        return self.odds[:, : self.n_sizes - more, max(-by, 0) : max(end - max(by, 0), 0)]

    def _target(self, more: int, by: int) -> Float64s:
        """Return a view of the places to which the odds of `_moved` go."""
        end = self.odds.shape[2]
        return self.odds[:, more:, max(by, 0) : max(end - max(-by, 0), 0)]


def _signed(point: OrderedPoint, bits: int) -> Int64s:
    """Return +weight of matches and -weight of the other rows, whole numbers."""
    whole = quantized(given(point.weights, "weights"), bits)
    return np.where(point.matches, whole, -whole)


def _draw_odds(n_rows: Float64s, copies: Int64s, n_sizes: int) -> Float64s:
    """Return P(j of l rows drawn are copies), (n_kinds, l, j), among n_rows others and the copies."""
    odds = np.zeros((len(copies), n_sizes, n_sizes))
    odds[:, 0, 0] = 1.0
    j = np.arange(n_sizes)
    for drawn in range(n_sizes - 1):
        left = np.maximum(n_rows + copies - drawn, 1.0)[:, None]
        odds[:, drawn + 1] = odds[:, drawn] * np.maximum(n_rows[:, None] - drawn + j, 0.0) / left
        odds[:, drawn + 1, 1:] += odds[:, drawn, :-1] * np.maximum(copies[:, None] - j[:-1], 0.0) / left
    return odds


def _counted_values(signed: Int64s, rows: Int64s, k: int, width: int, empty_utility: float, n_nearest: int) -> Float64s:
    """Return the values of some rows; each row's table counts the l-subsets of the other rows by signed sum."""
    n, sums = len(signed), np.arange(-width, width + 1)
    counts = np.zeros((len(rows), k, 2 * width + 1))
    counts[:, 0, width] = 1.0
    right = (sums + signed[rows, None] >= 0).astype(np.float64)
    values = (right[:, width] - empty_utility) / n
    for r, weight in enumerate(signed.tolist()):
        if k <= r < n_nearest:
            nearer = rows < r
            displaced = right[nearer] - (sums + weight >= 0)
            odds = 1 / ((r + 1 - k) * math.comb(r + 1, k))
            values[nearer] += odds * (counts[nearer, k - 1] * displaced).sum(axis=1)
        own = counts[rows == r]  # a copy: it must not grow by itself
        source = counts[:, :-1, max(-weight, 0) : 2 * width + 1 - max(weight, 0)].copy()
        counts[:, 1:, max(weight, 0) : 2 * width + 1 - max(-weight, 0)] += source
        counts[rows == r] = own
    for size in range(1, min(k, n)):
        of_size = (counts[:, size] * (right - (sums >= 0))).sum(axis=1)
        values += of_size / (n * math.comb(n - 1, size))
    return values
