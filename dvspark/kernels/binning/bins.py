"""Bins: rows beyond the nearest are ordered by bins of nearly equal distance, in O(n), with a certificate.

Rows of one bin count as tied, so their values are averaged over all orders of the rows. Therefore the values are an
average of exact values, they sum to U(N) - U(∅) as exact values do, and each lies in an interval that follows from the
counts of the bins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.schemas import Bools, Float64s, Floats, Int64s

# Returns for keys how near another key may be for the order of the two to be in doubt.
LimitsOf = Callable[[Float64s], Float64s]

# Bin 0 holds the near rows, the last one is open. With its match flag a bin takes 14 bits, and the tables of a point
# (128 KiB) stay in the second-level cache.
N_BINS = 2**13
# Set in the code of a row whose key is so near to the beginning, or to the end, of its bin that the row may really be
# in the bin before, or in the one behind.
AT_BEGIN, AT_END = 2 * N_BINS, 4 * N_BINS
N_COUNTS = 6 * N_BINS

# Bins lie in so many cells of equal width, on a scale of the root of the distance beyond the near rows.
N_CELLS = 512

# The keys of a sample say where cells lie and how many bins each has: training rows evenly spread in id order,
# one in 64, within these limits. Their products cost as much as theirs elsewhere; twice as many make the
# widest certificate a tenth narrower (docs/decisions/0015).
SAMPLE_ONE_IN = 64
SAMPLE_LIMITS = (1_024, 16_384)

# Distance of a line's ends from whole numbers at the ends of a cell; float32 rounds off a tenth of that.
LINE_MARGIN = 0.01

# Cells that are too narrow for a bin are near if that makes no more of the rows near than such a share more.
NARROW_SHARE = 0.01

# Tables over all ranks are made in pieces of so many ranks, so no second array of their length is held.
PIECE_ROWS = 65_536

# Rows in such a share of their bin at its beginning, or at its end, are taken to be in doubt. Bins are so wide that
# rounding moves no row by more. One share for all bins needs no look-up for each row (docs/decisions/0031).
SHARE_AT_END = 0.125

# Ranks are interpolated over so many keys of the sample, and over more farther out, because single gaps are noise.
KNOT_STEP, KNOT_GROWTH = 24, 1.3

# Where doubt makes bins wider than the certificate asks for, that is made good by more near rows: where it is wider by
# more than the first factor, so many times more (docs/decisions/0050).
NEAR_WHERE_WIDER = ((1.1, 1.25), (1.28, 1.5))
MOST_TIMES_NEAR = NEAR_WHERE_WIDER[-1][1]

# Of the bins, this share is spread evenly over the rows, the rest as the certificate asks for. It keeps bins that lie
# far away, where the certificate would allow millions of rows, small enough to have an error far under it.
EVEN_SHARE = 0.1


@dataclass(frozen=True)
class Tails:
    """Sums of a method's weights over the ranks beyond r, for r = 0..n; so differences are of small numbers.

    - ``suffix`` (n + 1,) float64: Σ suffix_j over j > r. It is an array of its own, since certificates use it alone, at
      neighboring ranks.
    - ``sums`` (n + 1, 2) float64: Σ j suffix_j and Σ own_j, side by side, since a bin uses both.
    - ``own`` (n,): the method's own weights.
    - ``falls_from``: from this rank on, suffix weights do not grow with the rank. The certificate of bins needs this.
    """

    suffix: Float64s
    sums: Float64s
    own: Float64s
    falls_from: int

    @classmethod
    def of(cls, weights: RankWeights) -> Tails:
        """Return the tails of a method's weights. Cost: O(n), in place except for one piece of ranks."""
        n = len(weights.own)
        total, sums = np.zeros(n + 1), np.zeros((n + 1, 2))
        total[:n] = weights.suffix
        for start in range(0, n, PIECE_ROWS):
            suffix, own = weights.suffix[start : start + PIECE_ROWS], weights.own[start : start + PIECE_ROWS]
            ranks = np.arange(start + 1, start + len(own) + 1)
            sums[start : start + len(own)] = np.stack([suffix * ranks, own], axis=1)
        for table in (total, sums):
            np.cumsum(table[-2::-1], axis=0, out=table[-2::-1])
        return cls(total, sums, weights.own, weights.falls_from)


@dataclass(frozen=True)
class BinDoubt:
    """What rounding leaves in doubt about the bins of one point.

    - ``linked`` (N_BINS,) bool: bins so narrow that a row in them may really be in the next bin.
    - ``low``: the largest key of a near row. ``limit``: how close two keys near ``low`` may be for their order to be in
      doubt.
    """

    linked: Bools
    low: float
    limit: float


@dataclass(frozen=True)
class BinEdges:
    """Where the bins of one point lie.

    Rows with keys up to ``low`` are near: they are in bin 0. The place of another key among the cells is sqrt((key -
    origin) per_unit), at most N_CELLS. The whole part of the place is the cell, and the fraction f the position in the
    cell. The bin is the whole part of f × slope + offset, where slope and offset are in the cell's column of ``lines``
    (2, N_CELLS + 1) float32. The last cell is the open bin. A row that is no further than `SHARE_AT_END` of its bin
    from an end of it may really be in the next bin. ``doubt`` has what else is in doubt.
    """

    low: np.float32
    origin: np.float32
    per_unit: np.float32
    lines: Floats
    doubt: BinDoubt


def near_rows(n_train: int, n_exact: int, tolerance: float) -> int:
    """Return how many rows to order before the bins begin.

    If bins begin at rank m and hold n rows each there, the certificate is about n / (2 m²). To keep n from being so
    small that chance rules it, m is at least 3.4 / sqrt(tolerance), and more if the sample says little about it
    (docs/decisions/0031).
    """
    certified = 3.4 / np.sqrt(tolerance) + 12.0 * np.sqrt(n_train)
    return min(n_train, int(max(1.2 * n_exact, certified)))  # the sample says only roughly where rank n_exact is


def edges(sample_keys: Floats, n_train: int, n_near: int, limits_of: Sequence[LimitsOf]) -> list[BinEdges | None]:
    """Return where the bins of each point begin and end, from the keys of the sample; None if it gives no bins.

    ``sample_keys`` (n_points, n_sample) float32 are sorted in place. A point has no bins if its keys beyond the near
    rows are all equal, or almost equal. Bins hold more rows the farther out they lie, about in proportion to the square
    of the rank, as the certificate needs. ``limits_of`` has a function for each point, which returns for keys how near
    another key may be for the order of the two to be in doubt. About ``n_near`` rows lie before the bins, and more, at
    most `MOST_TIMES_NEAR` times as many, where doubt makes bins wide.
    Cost: O(n_points × sample log sample).
    """
    sample_keys.sort(axis=1)
    found, wider = _edges(sample_keys, n_train, n_near, limits_of)
    level = np.searchsorted([least for least, _ in NEAR_WHERE_WIDER], wider)
    for number, (_, times) in enumerate(NEAR_WHERE_WIDER, 1):
        some, more = np.flatnonzero(level == number).tolist(), int(times * n_near)
        if some and more < n_train:
            again, _ = _edges(sample_keys[some], n_train, more, [limits_of[point] for point in some])
            for point, of_point in zip(some, again, strict=True):
                found[point] = found[point] if of_point is None else of_point
    return found


def _edges(
    sample_keys: Floats, n_train: int, n_near: int, limits_of: Sequence[LimitsOf]
) -> tuple[list[BinEdges | None], Float64s]:
    """Return the edges of each point's bins, from sorted keys, and how much wider doubt makes its certificate.

    That is 1 where doubt makes no bin wider, and 0 for points without bins.
    """
    n_sample = sample_keys.shape[1]
    knots, ranks = _knots(n_sample, n_train, n_near)
    at_knots = sample_keys[:, knots].astype(np.float64)
    # The farthest rows lie beyond the sample's last key, by about as much as its last 64th part is wide.
    high = 2.0 * at_knots[:, -1] - sample_keys[:, n_sample - n_sample // 64 - 2]
    reach = high - at_knots[:, 0]
    binned = np.flatnonzero(reach * np.finfo(np.float32).max >= N_CELLS**2)
    found: list[BinEdges | None] = [None] * len(sample_keys)
    wider = np.zeros(len(sample_keys))
    if len(binned):
        given = (at_knots[binned], reach[binned], ranks, [limits_of[point] for point in binned.tolist()])
        for point, (of_point, times) in zip(binned.tolist(), _layouts(*given), strict=True):
            found[point], wider[point] = of_point, times
    return found, wider


def _layouts(
    at_knots: Float64s, reach: Float64s, ranks: Float64s, limits_of: Sequence[LimitsOf]
) -> Iterator[tuple[BinEdges, float]]:
    """Yield what `_edges` tells of each point, from its keys at the knots, (n_points, n_knots), which have ``ranks``.

    Cells reach so far beyond the first knot. Most steps take all points at once: single ones cost more in calls.
    """
    origin, per_unit = at_knots[:, :1], N_CELLS**2 / reach[:, None]
    distance = reach[:, None] * (np.arange(N_CELLS + 1) / N_CELLS) ** 2
    places = np.append(at_knots - origin, reach[:, None], axis=1)
    rank = np.stack([np.interp(*of_point, ranks) for of_point in zip(distance, places, strict=True)])
    inverse, first_rank = 1.0 / rank, rank[:, :1]
    nearness = (inverse[:, :1] - inverse) / (inverse[:, :1] - inverse[:, -1:])
    share = (1.0 - EVEN_SHARE) * nearness + EVEN_SHARE * (rank - first_rank) / (rank[:, -1:] - first_rank)
    # Bins 1 .. N_BINS - 2 lie in the cells, one at least in each, and no more than are so wide that rows in doubt are
    # at their ends. A key's place moves most where the cell begins, by per_unit / (2 × place) a unit of the key.
    limits = np.stack([of_point(keys) for of_point, keys in zip(limits_of, origin + distance, strict=True)])
    moved = limits[:, 2:] * per_unit / (2.0 * np.arange(1, N_CELLS))
    most = np.zeros((len(reach), N_CELLS))
    np.floor((SHARE_AT_END - 2.0 * LINE_MARGIN) / moved + 2.0 * LINE_MARGIN, out=most[:, 1:])
    wanted = 1 + np.diff(np.floor(share * (N_BINS - 2 - N_CELLS)), axis=1)
    begins = np.ones((len(reach), N_CELLS + 1), np.int64)
    n_bins = np.minimum(wanted, np.maximum(most, 1)).astype(np.int64)
    begins[:, 1:] += np.cumsum(n_bins, axis=1)
    # A bin of n rows at rank r adds about n² / r³ to the certificate.
    of_cell = np.diff(rank, axis=1) ** 2 / rank[:, :-1] ** 3
    wider = (of_cell / n_bins).sum(axis=1) / (of_cell / wanted).sum(axis=1)
    # The first cells are too narrow for a bin. Where few rows are in them, these count as near.
    first = np.argmax(most >= 1, axis=1)
    first[rank[np.arange(len(first)), first] > (1.0 + NARROW_SHARE) * rank[:, 0]] = 0
    low = np.where(first > 0, origin[:, 0] + (first + 0.1 * LINE_MARGIN) ** 2 / per_unit[:, 0], origin[:, 0])
    limit = limits[np.arange(len(first)), first + (first > 0)]
    # A little inside the whole numbers at both ends, so that no rounding moves a key into a bin of another cell.
    lines = np.empty((len(reach), 2, N_CELLS + 1), np.float32)
    lines[:, 0, :-1], lines[:, 0, -1] = n_bins - 2.0 * LINE_MARGIN, 1 - 2.0 * LINE_MARGIN
    lines[:, 1] = begins + LINE_MARGIN
    begin, scale, lowest = origin[:, 0].astype(np.float32), per_unit[:, 0].astype(np.float32), low.astype(np.float32)
    for point in range(len(reach)):
        linked = np.zeros(N_BINS, np.bool_)
        linked[begins[point, :-1][most[point] < 1]] = True  # such a cell has one bin
        doubt = BinDoubt(linked, float(lowest[point]), float(limit[point]))
        yield BinEdges(lowest[point], begin[point], scale[point], lines[point], doubt), float(wider[point])


@functools.lru_cache(maxsize=64)
def _knots(n_sample: int, n_train: int, n_near: int) -> tuple[Int64s, Float64s]:
    """Return the places in the sorted sample between which ranks are interpolated, their ranks and the last rank."""
    last = n_sample - 1
    knots, step = [min(int(np.ceil(n_near / n_train * n_sample)), last)], float(KNOT_STEP)
    while knots[-1] < last:
        knots.append(min(int(knots[-1] + step), last))
        step *= KNOT_GROWTH
    if len(knots) > 2 and knots[-1] - knots[-2] < KNOT_STEP:
        knots.pop(-2)
    return np.array(knots), np.maximum(np.array([*knots, n_sample]) / n_sample * n_train, 1.0)


def sample_size(n_train: int) -> int:
    """Return how many training rows are in the sample that says where bins lie."""
    return min(n_train, int(np.clip(n_train // SAMPLE_ONE_IN, *SAMPLE_LIMITS)))


def sample_rows(n_train: int) -> Int64s:
    """Return the training rows in the sample that says where bins lie; the same on every machine."""
    return np.unique(np.linspace(0, n_train - 1, sample_size(n_train)).astype(np.int64))
