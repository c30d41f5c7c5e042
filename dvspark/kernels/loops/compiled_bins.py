"""The loops of `bin_loops` in Numba: the same functions, the same bits.

Each step is a loop of its own over all bins, which runs by SIMD, or has many tails on their way from memory at once.
"""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiling import compiled
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s

# What is counted of a bin, or of a group of bins: rows before it, its rows and matches, and how many of them may really
# be in the one before and in the one behind.
BEFORE, ROWS, MATCHES, AT_BEGIN, MATCHES_AT_BEGIN, AT_END, MATCHES_AT_END = range(7)


@compiled
def count_from(keys: Floats, matches: Bools, least: float) -> tuple[int, int]:
    """See `bin_loops.count_from`."""
    count = n_matches = 0
    for place in range(len(keys)):  # by SIMD
        reached = not np.float64(keys[place]) < least
        count += reached
        n_matches += reached & matches[place]
    return count, n_matches


@compiled
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
    """See `bin_loops.value_bins`."""
    values[:], bounds[:] = 0.0, 0.0
    counted = np.empty((MATCHES_AT_END + 1, len(linked) + 1), np.int32)
    full, group_of = np.empty(len(linked), np.int32), np.empty(len(linked), np.int32)
    n_full, n_groups = _list_full(counts, linked, counted, full, group_of)
    if not n_full:
        return 0.0, 0.0
    match, other, lost = np.empty(n_full), np.empty(n_full), np.empty(n_full)
    near_loss = _value_full(counted, suffix, tails, match, other, lost)
    for index in range(n_full):
        values[2 * full[index] + 1], values[2 * full[index]] = match[index], other[index]
    kinds = counted[ROWS : MATCHES + 1, :n_full].copy()
    if n_groups < n_full:
        _join(counted, lost, n_full, group_of)
    limits = np.empty((4, n_groups))
    of_near, crossed = _certify(counted, near_doubt, suffix, own, lost[:n_groups], limits)
    _bound_full(kinds, full, group_of, match, other, limits, bounds)
    bounds[:2] = of_near
    return near_loss, crossed


@compiled
def _list_full(counts: Int32s, linked: Bools, counted: Int32s, full: Int32s, group_of: Int32s) -> tuple[int, int]:
    """List the bins with rows, count each, and number their groups; return how many bins and groups these are.

    Behind the last one, the rows before are all rows.
    """
    third = len(counts) // 3
    surely, at_begin, at_end = counts[:third], counts[third : 2 * third], counts[2 * third :]
    count, group, before, is_linked = 0, -1, surely[0] + surely[1], False
    for bin_ in range(1, len(linked)):
        begin_q, end_q = at_begin[2 * bin_ + 1], at_end[2 * bin_ + 1]
        begin_n, end_n = at_begin[2 * bin_] + begin_q, at_end[2 * bin_] + end_q
        q = surely[2 * bin_ + 1] + begin_q + end_q
        n = surely[2 * bin_] + surely[2 * bin_ + 1] + begin_n + end_n
        if n == 0:  # an empty bin between linked bins does not separate them into groups
            is_linked = is_linked and linked[bin_]
            continue
        if linked[bin_]:  # all of its rows are at its ends
            begin_n, begin_q, end_n, end_q = n, q, n, q
        counted[BEFORE, count], counted[ROWS, count], counted[MATCHES, count] = before, n, q
        counted[AT_BEGIN, count], counted[MATCHES_AT_BEGIN, count] = begin_n, begin_q
        counted[AT_END, count], counted[MATCHES_AT_END, count] = end_n, end_q
        group += not is_linked
        full[count], group_of[count] = bin_, group
        is_linked, count, before = linked[bin_], count + 1, before + n
    counted[BEFORE, count] = before
    return count, group + 1


@compiled
def _value_full(
    counted: Int32s, suffix: Float64s, tails: Float64s, match: Float64s, other: Float64s, lost: Float64s
) -> float:
    """Fill in what a match and another row of each bin get, and what rows before lose to it; return all they lose."""
    n_full = len(lost)
    mass, of_place, of_own = np.empty(n_full + 1), np.empty(n_full + 1), np.empty(n_full + 1)
    before, n_of, q_of = counted[BEFORE], counted[ROWS], counted[MATCHES]
    for index in range(n_full + 1):
        rank = np.uint32(before[index])
        mass[index], of_place[index], of_own[index] = suffix[rank], tails[rank, 0], tails[rank, 1]
    for index in range(n_full):
        n, q, at = n_of[index], q_of[index], before[index] + 1
        per_row, of_bin = 1.0 / n, mass[index] - mass[index + 1]
        within = ((of_place[index] - of_place[index + 1]) - at * of_bin) * per_row
        of_fellow = within / max(n - 1, 1)
        match[index] = (of_own[index] - of_own[index + 1]) * per_row - (q - 1) * of_fellow
        other[index], lost[index] = -q * of_fellow, q * per_row * of_bin
    beyond = 0.0
    for index in range(n_full - 1, -1, -1):
        match[index], other[index] = match[index] - beyond, other[index] - beyond
        beyond += lost[index]
    return beyond


@compiled
def _join(counted: Int32s, lost: Float64s, n_full: int, group_of: Int32s) -> None:
    """Replace bins by their groups. At the end of a group are the rows at the end of its farthest bin."""
    of_group = np.zeros(n_full)
    for index in range(n_full - 1, -1, -1):
        of_group[group_of[index]] += lost[index]
    lost[:] = of_group
    group = -1
    for index in range(n_full):
        if group_of[index] != group:
            group += 1
            counted[:, group] = counted[:, index]
            continue
        for what in range(ROWS, MATCHES_AT_BEGIN + 1):
            counted[what, group] += counted[what, index]
        counted[AT_END:, group] = counted[AT_END:, index]
    counted[BEFORE, group + 1] = counted[BEFORE, n_full]


@compiled
def _certify(
    counted: Int32s, near_doubt: Int64s, suffix: Float64s, own: Float64s, lost: Float64s, limits: Float64s
) -> tuple[float, float]:
    """Fill in the most and the least that a match, and another row, of each group is worth, in the rows of ``limits``.

    Return how far near rows may be from what they lose, and what near rows in doubt may change beside that.
    """
    n, last = len(lost), len(lost) - 1
    least, most, first_step, last_step = np.empty(n), np.empty(n), 0.0, 0.0
    high_match, low_match, high_other, low_other = limits[0], limits[1], limits[2], limits[3]
    before, q_of, begin_n, begin_q = counted[BEFORE], counted[MATCHES], counted[AT_BEGIN], counted[MATCHES_AT_BEGIN]
    end_n, end_q = counted[AT_END], counted[MATCHES_AT_END]
    for group in range(last, -1, -1):
        down_n, down_q = (end_n[group - 1], end_q[group - 1]) if group > 0 else (near_doubt[0], near_doubt[1])
        up_n, up_q = (begin_n[group + 1], begin_q[group + 1]) if group < last else (0, 0)
        low, high, q = before[group] - down_n, before[group + 1] + up_n, q_of[group]
        # Weights fall with the rank: those of a group are no more than its first one, and no less than its last one.
        first_step, last_step = suffix[low] - suffix[low + 1], suffix[high - 1] - suffix[high]
        least[group], most[group] = q * last_step, q * first_step
        # A match loses least as the first row with the other matches last, most as the last row. Another row loses
        # least as the last row, with matches of the next group before it, most as the first with the matches next.
        high_match[group], low_match[group] = own[low] - max(q - 1, 0) * last_step, own[high - 1]
        high_other[group], low_other[group] = up_q * first_step, -min(q + down_q, high - low - 1) * first_step
    beyond_least = beyond_most = of_near = 0.0
    for group in range(last, -1, -1):
        high_match[group], high_other[group] = high_match[group] - beyond_least, high_other[group] - beyond_least
        low_match[group], low_other[group] = low_match[group] - beyond_most, low_other[group] - beyond_most
        beyond_least, beyond_most = beyond_least + least[group], beyond_most + most[group]
        of_near += max(most[group] - lost[group], lost[group] - least[group])
    # Matches among near rows may come later, where these may change places with rows in doubt of the first group.
    later = near_doubt[1] * (first_step - last_step)
    others = begin_n[0] - begin_q[0] if near_doubt[1] else 0
    return of_near + later, max(begin_q[0], others) * first_step


@compiled
def _bound_full(
    kinds: Int32s,
    full: Int32s,
    group_of: Int32s,
    match: Float64s,
    other: Float64s,
    limits: Float64s,
    bounds: Float64s,
) -> None:
    """Fill in the certificates of bins with so many rows and matches, from the limits of their groups."""
    for index in range(len(match)):
        group, bin_, n, q = group_of[index], full[index], kinds[0, index], kinds[1, index]
        of_match = max(limits[0, group] - match[index], match[index] - limits[1, group])
        of_other = max(limits[2, group] - other[index], other[index] - limits[3, group])
        bounds[2 * bin_ + 1], bounds[2 * bin_] = (of_match if q > 0 else 0.0), (of_other if q < n else 0.0)
