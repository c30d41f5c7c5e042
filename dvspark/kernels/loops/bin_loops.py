"""Values and certificates of rows in bins, in NumPy; `compiled_bins` has the same in Numba."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s

# One sweep over the points adds to the sums of so many rows (docs/decisions/0009). Fewer would fit a nearer cache,
# but read every point's table more often.
ADDED_ROWS = 65_536


def count_from(keys: Floats, matches: Bools, least: float) -> tuple[int, int]:
    """Return how many of the ``keys`` (n,) float32 are not below the ``least``, and how many of these match; O(n)."""
    reached = ~(keys < least)
    return int(np.count_nonzero(reached)), int(np.count_nonzero(matches[reached]))


def value_bins(
    counts: Int32s,
    linked: Bools,
    near_doubt: Int64s,
    suffix: Float64s,
    tails: Float64s,
    own: Float64s,
    values: Float64s,
    bounds: Float64s,
) -> tuple[float, float]:
    """Fill in by code what the rows of bins get, and how far that may be from their values in the exact order.

    - ``counts`` (6 N_BINS,) int32: rows of each code, a third of them each for rows in the middle, at the beginning and
      at the end of their bin; bin 0, the near rows, has at least k.
    - ``linked`` (N_BINS,) bool as in `bins.BinDoubt`.
    - ``near_doubt`` (2,): how many near rows, and how many matches among them, may really be in the bins.
    - ``suffix`` (n + 1,), ``tails`` (n + 1, 2) and ``own`` (n,) float64 as in `bins.Tails`, of weights that do not grow
      with the rank.
    - ``values`` (2 N_BINS,) float64 are zero for near rows. ``bounds`` are the certificates of all rows, near or not,
      without the order among near rows.
    Return what every near row loses to the rows beyond, and what near rows in doubt may change beside their
    certificate. Linked bins form one group, and any other bin is a group of its own. A group may really hold the rows
    at the end of the group before it, and those at the beginning of the one behind, and its own such rows may be there.
    All rows of linked bins are at the beginning of their group; at its end are those of its farthest bin.
    Cost: O(bins).
    Source: mean over tie orders of Jia et al. 2019, doi:10.14778/3342263.3342637, theorem 1; the interval is that of
    all orders within what the groups may hold.
    """
    counts = counts.astype(np.int64)
    by_code = np.sum(np.split(counts, 3), axis=0)[: 2 * len(linked)]
    n_all = by_code[0::2] + by_code[1::2]
    full = np.flatnonzero(n_all[1:]) + 1
    n, q = n_all[full], by_code[1::2][full]
    end = int(n_all[0]) + np.cumsum(n)
    before = end - n
    place, own_tail = tails[:, 0], tails[:, 1]
    mass = suffix[before] - suffix[end]
    # Mean over a rank of the bin of the suffix weights beyond it within the bin.
    per_row = 1.0 / n
    within = ((place[before] - place[end]) - (before + 1) * mass) * per_row
    lost = q * per_row * mass
    beyond = _beyond(lost)
    near_loss, beyond = float(beyond[0]), beyond[1:]
    of_fellow = within / np.maximum(n - 1, 1)
    match = (own_tail[before] - own_tail[end]) * per_row - (q - 1) * of_fellow - beyond
    other = -q * of_fellow - beyond
    values[:], bounds[:] = 0.0, 0.0
    values[2 * full], values[2 * full + 1] = other, match
    if not len(full):
        return near_loss, 0.0
    crossed = _certify(counts, linked, near_doubt, suffix, own, (full, n, q, before, end, lost), values, bounds)
    return near_loss, crossed


def _certify(
    counts: Int32s,
    linked: Bools,
    near_doubt: Int64s,
    suffix: Float64s,
    own: Float64s,
    of_bins: tuple[Int64s, Int64s, Int64s, Int64s, Int64s, Float64s],
    values: Float64s,
    bounds: Float64s,
) -> float:
    """Fill in the certificates, and return what near rows in doubt may change beside them.

    ``of_bins`` are for each bin with rows: the bin, its rows and matches, rows before it and up to its end, and what
    rows before it lose to it.
    """
    full, n, q, before, end, lost = of_bins
    match, other = values[2 * full + 1], values[2 * full]
    # An empty bin between linked bins does not separate them into groups.
    parts = np.append(0, np.cumsum(~linked[:-1]))[full]
    first = np.flatnonzero(np.diff(parts, prepend=-1))
    in_group = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(full))))
    group_q = np.add.reduceat(q, first)
    # Rows and matches at the beginning of each group, and at the end of its last bin, which is wide.
    ends = [np.stack([of[0::2][full] + of[1::2][full], of[1::2][full]]) for of in np.split(counts, 3)[1:]]
    at_begin, at_end = (np.where(linked[full], (n, q), of) for of in ends)
    begin_n, begin_q = np.add.reduceat(at_begin, first, axis=1)
    end_n, end_q = at_end[:, np.append(first[1:], len(full)) - 1]
    group_lost = np.bincount(in_group[::-1], weights=lost[::-1])  # one after the other, as the compiled loop adds
    begin, finish = before[first], np.append(before[first[1:]], end[-1])
    down_n = np.append(near_doubt[0], end_n[:-1])
    down_q = np.append(near_doubt[1], end_q[:-1])
    up_n, up_q = np.append(begin_n[1:], 0), np.append(begin_q[1:], 0)
    low_rank, high_rank = begin - down_n, finish + up_n
    # Weights fall with the rank: those of a group are no more than its first one, and no less than its last one.
    step = suffix[low_rank] - suffix[low_rank + 1]
    last_step = suffix[high_rank - 1] - suffix[high_rank]
    least, most = group_q * last_step, group_q * step
    beyond_least, beyond_most = _beyond(least)[1:], _beyond(most)[1:]
    # A match loses least as the first row with the other matches last, most as the last row.
    high_match = own[low_rank] - np.maximum(group_q - 1, 0) * last_step - beyond_least
    low_match = own[high_rank - 1] - beyond_most
    # Another row loses least as the last row, with matches of the next group before it, most as the first with the
    # matches next.
    high_other = up_q * step - beyond_least
    low_other = -np.minimum(group_q + down_q, high_rank - low_rank - 1) * step - beyond_most
    high_match, low_match, high_other, low_other = (
        of[in_group] for of in (high_match, low_match, high_other, low_other)
    )
    bounds[2 * full] = np.where(q < n, np.maximum(high_other - other, other - low_other), 0.0)
    bounds[2 * full + 1] = np.where(q > 0, np.maximum(high_match - match, match - low_match), 0.0)
    # Matches among near rows may come later, where these may change places with rows in doubt of the first group.
    later = near_doubt[1] * (step[0] - last_step[0])
    bounds[:2] = float(_beyond(np.maximum(most - group_lost, group_lost - least))[0]) + later
    others = begin_n[0] - begin_q[0] if near_doubt[1] else 0
    return float(max(begin_q[0], others) * step[0])


def _beyond(table: Float64s) -> Float64s:
    """Return Σ table_j over j >= r for r = 0..n, added up from the far end, (n + 1,) float64."""
    out = np.zeros(len(table) + 1)
    np.cumsum(table[::-1], out=out[-2::-1])
    return out
