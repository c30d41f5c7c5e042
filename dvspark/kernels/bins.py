"""Bins: rows beyond the nearest are ordered by bins of nearly equal distance, in O(n) and with a certificate.

Rows of one bin count as tied, averaged over all their orders; so the values are an average of exact ones, sum
to U(N) - U(∅) as these do, and lie in an interval that the counts of the bins certify.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dvspark.kernels.rank_values import RankWeights
from dvspark.schemas import Float64s, Floats, Int64s

# Bins are kept as uint16: 0 holds the near rows, the last is open. Tables of so many float64 stay in the
# second-level cache; with square-root spacing they are as good as 65,536 bins of equal width.
N_BINS = 2**13

# The width of bins is taken from the keys of so many training rows, evenly spread in id order.
SAMPLE_ROWS = 8_192

# Rows that one sweep handles: its bins, indexes and values stay in the second-level cache.
SWEEP_ROWS = 65_536


@dataclass(frozen=True)
class Tails:
    """Sums over the ranks beyond r, r = 0..n, of a method's weights: differences of small numbers, not of large.

    ``suffix`` Σ suffix_j, ``place`` Σ j suffix_j, ``own`` Σ own_j over j > r; each (n + 1,) float64.
    """

    suffix: Float64s
    place: Float64s
    own: Float64s

    @classmethod
    def of(cls, weights: RankWeights) -> Tails:
        """Return the tails of a method's weights; O(n)."""
        ranks = np.arange(1, len(weights.own) + 1)
        return cls(*(_beyond(table) for table in (weights.suffix, weights.suffix * ranks, weights.own)))


@dataclass(frozen=True)
class BinValues:
    """Values by bin: what a match and another row of bin b get, and what every near row loses.

    ``match`` and ``other`` (N_BINS,) float64, zero for bin 0; ``bound``: no row is further from its value under
    the sorted order.
    """

    match: Float64s
    other: Float64s
    near_loss: float
    bound: float


def near_rows(n_train: int, n_exact: int) -> int:
    """Return how many rows to order before the bins begin: 36 sqrt(n), and n_exact at least.

    The certificate falls with the square of that number: with 24 sqrt(n), two of three points at n = 1.5 million
    (normal data) did not keep 1e-8 and were binned twice.
    """
    return min(n_train, max(n_exact, int(36 * np.sqrt(n_train))))


def edges(sample_keys: Floats, share_near: float, share_open: float) -> tuple[np.float32, np.float32]:
    """Return the key at which bins begin, and squared bins per unit of key, from the keys of the sample.

    ``share_near``: of the rows, those to lie before the bins; ``share_open``: those for the last, open bin. The
    second number is 0 where all of the sample's keys beyond the near rows are equal: there are no bins then.
    """
    ordered = np.sort(sample_keys)
    low = ordered[min(int(np.ceil(share_near * len(ordered))), len(ordered) - 1)]
    high = ordered[max(int((1.0 - share_open) * len(ordered)) - 1, 0)]
    width = float(high) - float(low)
    return np.float32(low), np.float32((N_BINS - 2) ** 2 / width if width > 0 else 0.0)


def assign_bins(keys: Floats, low: np.float32, per_unit: np.float32, out: npt.NDArray[np.uint16]) -> None:
    """Fill ``out`` (n,) uint16 with the bins of keys (n,) float32: 0 up to ``low``, then ascending.

    Bins widen with the root of the distance from ``low``: the rows next to the near ones, whose values differ
    most from rank to rank, lie in the narrowest bins. Equal keys share a bin.
    """
    place = np.empty(min(SWEEP_ROWS, len(keys)), np.float32)
    for start in range(0, len(keys), SWEEP_ROWS):
        piece = keys[start : start + SWEEP_ROWS]
        here = place[: len(piece)]
        np.subtract(piece, low, out=here)
        np.multiply(here, per_unit, out=here)
        np.maximum(here, np.float32(0.0), out=here)
        np.sqrt(here, out=here)
        np.minimum(here, np.float32(N_BINS - 2), out=here)
        np.add(here, np.float32(1.0), out=here)
        np.multiply(here, piece > low, out=here)
        np.copyto(out[start : start + len(piece)], here, casting="unsafe")


def count_bins(bins: npt.NDArray[np.uint16]) -> Int64s:
    """Return how many rows each bin holds, (N_BINS,) int64."""
    counts = np.zeros(N_BINS, np.int64)
    step = 8 * SWEEP_ROWS  # bincount makes a table and an index array each time
    for start in range(0, len(bins), step):
        counts += np.bincount(bins[start : start + step], minlength=N_BINS)
    return counts


def bin_values(counts: Int64s, n_matches: Int64s, weights: RankWeights, tails: Tails) -> BinValues:
    """Return the values of the bins beyond the near rows, and the certificate.

    ``counts`` and ``n_matches`` (N_BINS,): rows and matches of each bin, bin 0 being the near rows, which are
    at least k. Requires suffix weights that do not grow with the rank. O(bins).
    Source: mean over tie orders of Jia et al. 2019, doi:10.14778/3342263.3342637, theorem 1; the interval is
    that of all orders within the bins.
    """
    full = np.flatnonzero(counts[1:]) + 1
    n, q = counts[full].astype(np.int64), n_matches[full].astype(np.int64)
    end = int(counts[0]) + np.cumsum(n)
    before = end - n
    suffix, place, own = tails.suffix, tails.place, tails.own
    mass = suffix[before] - suffix[end]
    # Mean over a rank of the bin of the suffix weights beyond it within the bin.
    within = ((place[before] - place[end]) - (before + 1) * mass) / n
    lost, least, most = q / n * mass, suffix[end - q] - suffix[end], suffix[before] - suffix[before + q]
    beyond, beyond_least, beyond_most = (_beyond(x)[1:] for x in (lost, least, most))
    fellows = np.maximum(n - 1, 1)
    match = (own[before] - own[end]) / n - (q - 1) / fellows * within - beyond
    other = -q / fellows * within - beyond
    first_own, last_own = weights.own[before], weights.own[end - 1]
    # A match loses least as the bin's first row with the other matches last, most as its last row.
    fewer = np.maximum(q - 1, 0)
    high_match = first_own - (suffix[end - fewer] - suffix[end]) - beyond_least
    low_match = last_own - beyond_most
    # Another row loses nothing within the bin as its last row, most as its first with the matches next.
    last = np.minimum(before + 1 + q, end)
    high_other, low_other = -beyond_least, -(suffix[before + 1] - suffix[last]) - beyond_most
    bounds = [np.zeros(1), np.abs([float(np.maximum(most - lost, lost - least).sum())])]
    bounds.append(np.where(q > 0, np.maximum(high_match - match, match - low_match), 0.0))
    bounds.append(np.where(q < n, np.maximum(high_other - other, other - low_other), 0.0))
    tables = np.zeros((2, N_BINS))
    tables[0, full], tables[1, full] = match, other
    return BinValues(tables[0], tables[1], float(lost.sum()), float(np.max(np.concatenate(bounds))))


def add_values(
    bins: npt.NDArray[np.uint16], match_rows: Int64s, found: BinValues, value: Float64s, squared: Float64s
) -> None:
    """Add every row's value to ``value`` and its square to ``squared``, (n_train,) float64; near rows add 0."""
    taken = np.empty(min(SWEEP_ROWS, len(bins)))
    for start in range(0, len(bins), SWEEP_ROWS):
        here = slice(start, start + SWEEP_ROWS)
        piece = bins[here]
        row_values = taken[: len(piece)]
        np.take(found.other, piece, out=row_values, mode="clip")
        value[here] += row_values
        np.multiply(row_values, row_values, out=row_values)
        squared[here] += row_values
    of_match = bins[match_rows]
    value[match_rows] += (found.match - found.other)[of_match]
    squared[match_rows] += (found.match**2 - found.other**2)[of_match]


def _beyond(table: Float64s) -> Float64s:
    """Return Σ table_j over j > r for r = 0..n, added up from the far end, (n + 1,) float64."""
    out = np.zeros(len(table) + 1)
    np.cumsum(table[::-1], out=out[-2::-1])
    return out


def sample_rows(n_train: int) -> Int64s:
    """Return the training rows whose keys tell where bins go; the same whatever the machine."""
    return np.unique(np.linspace(0, n_train - 1, min(SAMPLE_ROWS, n_train)).astype(np.int64))
