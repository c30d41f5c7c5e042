"""Bins: rows beyond the nearest are ordered by bins of nearly equal distance, in O(n) and with a certificate.

Rows of one bin count as tied, averaged over all their orders; so the values are an average of exact ones, sum
to U(N) - U(∅) as these do, and lie in an interval that the counts of the bins certify.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dvspark.schemas import Bools, Float64s, Floats, Int64s

if TYPE_CHECKING:
    from dvspark.kernels.ranking.rank_values import RankWeights

# Bin 0 holds the near rows, the last one is open. With its match flag a bin takes 14 bits, and the tables of a point
# (128 KiB) stay in the second-level cache.
N_BINS = 2**13
# Set in the code of a row whose key is so near to an end of its bin that in truth it may be in the next one.
IN_DOUBT = 2 * N_BINS

# Bins are laid out in so many cells of one width each, on the root of the distance beyond the near rows.
N_CELLS = 512

# Where cells lie and how many bins each takes is told by the keys of so many training rows, evenly spread in id order:
# one in 64, within these limits. Their products cost as much as theirs elsewhere; twice as many make the
# widest certificate a tenth narrower (docs/decisions/0015).
SAMPLE_ONE_IN = 64
SAMPLE_LIMITS = (1_024, 16_384)

# Between the lines that give bins and the whole numbers at the ends of a cell; float32 rounds off a tenth of that.
LINE_MARGIN = 0.01

# Tables over all ranks are made in pieces of so many, beside which nothing is held.
PIECE_ROWS = 65_536

# Where rounding may move a row by so much of a bin, or more, bins are too narrow to tell which it is in.
LARGEST_MARGIN = 0.45

# Ranks between two of the sample's keys are interpolated over so many keys, ever more outward: single gaps are noise.
KNOT_STEP, KNOT_GROWTH = 24, 1.3

# Of the bins, this share is spread evenly over the rows, the rest as the certificate asks for. It keeps bins that lie
# far away, where the certificate would allow millions of rows, small enough to have an error far under it.
EVEN_SHARE = 0.1


@dataclass(frozen=True)
class Tails:
    """Sums over the ranks beyond r, r = 0..n, of a method's weights: differences of small numbers, not of large.

    ``suffix`` (n + 1,) float64: Σ suffix_j over j > r, apart since certificates ask for it alone, at ranks near to each
    other; ``sums`` (n + 1, 2) float64: Σ j suffix_j and Σ own_j, side by side since a bin asks for both; ``own`` (n,)
    the method's weights. ``falls_from``: beyond so many ranks suffix weights do not grow with the rank, which the
    certificate of bins rests on.
    """

    suffix: Float64s
    sums: Float64s
    own: Float64s
    falls_from: int

    @classmethod
    def of(cls, weights: RankWeights) -> Tails:
        """Return the tails of a method's weights; O(n), in place but for a piece of rows."""
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
    """What rounding leaves in doubt of one point's bins.

    ``linked`` (N_BINS,) bool: bins that are too narrow to tell which rows are in them, and which in the bin beyond.
    ``low``, up to which keys are near, and how close keys may be there for their order to be in doubt: ``limit``.
    """

    linked: Bools
    low: float
    limit: float


@dataclass(frozen=True)
class BinEdges:
    """Where the bins of one point lie.

    Rows with keys up to ``low`` are near: bin 0. Another key's place among the cells is sqrt((key - low) per_unit),
    N_CELLS at most: the whole part tells its cell, the fraction f where in the cell. Its bin is the whole part of
    f × slope + offset, these being the cell's column of ``lines`` (3, N_CELLS + 1) float32. The last cell is
    the open bin. Rows no further from an end of their bin than the cell's third number, a share of the bin, are
    in doubt: in truth they may be in the next one; ``doubt`` says what else is.
    """

    low: np.float32
    per_unit: np.float32
    lines: Floats
    doubt: BinDoubt


def near_rows(n_train: int, n_exact: int, tolerance: float) -> int:
    """Return how many rows to order before the bins begin.

    The certificate of bins that begin at rank m and hold n rows each there is about n / (2 m²). So that n is not so
    small that chance rules it, m is 3.4 / sqrt(tolerance) at least, and more where the sample says less about it
    (docs/decisions/0008).
    """
    certified = 3.4 / np.sqrt(tolerance) + 10.0 * np.sqrt(n_train)
    return min(n_train, int(max(1.2 * n_exact, certified)))  # the sample tells only about where rank n_exact is


def edges(sample_keys: Floats, n_train: int, n_near: int, limits_of: Callable[[Float64s], Float64s]) -> BinEdges | None:
    """Return where bins begin and end, from the keys of the sample; O(sample log sample).

    ``limits_of`` keys says how near another key may be for the order of the two to be in doubt.

    Bins hold ever more rows outward, about in proportion to the square of the rank, as the certificate asks for.
    None where the sample's keys beyond the near rows are all equal, or as good as that: there are no bins then.
    """
    ordered = np.sort(sample_keys).astype(np.float64)
    last = len(ordered) - 1
    knots, ranks = _knots(len(ordered), n_train, n_near)
    low = np.float32(ordered[knots[0]])
    # The farthest rows lie beyond the sample's last key, by about as much as its last 64th part is wide.
    high = 2.0 * ordered[last] - ordered[last - len(ordered) // 64 - 1]
    per_unit = N_CELLS**2 / (high - float(low)) if high > float(low) else np.inf
    if per_unit > np.finfo(np.float32).max:
        return None
    distance = (high - float(low)) * (np.arange(N_CELLS + 1) / N_CELLS) ** 2
    rank = np.interp(distance, np.append(ordered[knots], high) - float(low), ranks)
    reach = (1.0 / rank[0] - 1.0 / rank) / (1.0 / rank[0] - 1.0 / rank[-1])
    share = (1.0 - EVEN_SHARE) * reach + EVEN_SHARE * (rank - rank[0]) / (rank[-1] - rank[0])
    # Bins 1 .. N_BINS - 2 lie in the cells, one at least in each.
    begins = 1 + np.arange(N_CELLS + 1) + np.floor(share * (N_BINS - 2 - N_CELLS)).astype(np.int64)
    # A little inside of whole numbers at both ends, so that no rounding takes a key into the bins of another cell.
    slopes = np.append(np.diff(begins), 1) - 2.0 * LINE_MARGIN
    # A key's place moves most where the cell begins, by slope × per_unit / (2 × place) bins a unit of the key.
    limits = limits_of(float(low) + np.append(distance, 2.0 * distance[-1]))
    margins = np.empty(N_CELLS + 1)
    margins[1:] = limits[2:] * slopes[1:] * per_unit / (2.0 * np.arange(1, N_CELLS + 1)) + 1.1 * LINE_MARGIN
    margins[0] = 1.0  # bins of the first cell are as narrow as they like
    margins[-1] = 1.0  # keys beyond the last cell have no place
    wide = np.append(margins[:-1] > LARGEST_MARGIN, False)
    linked = np.zeros(N_BINS, np.bool_)
    linked[1 : begins[-1]] = np.repeat(wide[:-1], np.diff(begins))
    lines = np.stack([slopes, begins + LINE_MARGIN, margins]).astype(np.float32)
    return BinEdges(low, np.float32(per_unit), lines, BinDoubt(linked, float(low), float(limits[0])))


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
    """Return how many training rows tell where bins go."""
    return min(n_train, int(np.clip(n_train // SAMPLE_ONE_IN, *SAMPLE_LIMITS)))


def sample_rows(n_train: int) -> Int64s:
    """Return the training rows whose keys tell where bins go; the same whatever the machine."""
    return np.unique(np.linspace(0, n_train - 1, sample_size(n_train)).astype(np.int64))
