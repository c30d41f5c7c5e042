"""The loops of `bin_loops` in Numba: the same functions, the same bits."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.compiled_ranks import compiled
from dvspark.schemas import Bools, Float64s, Int64s


@compiled
def value_bins(
    counts: Int64s,
    linked: Bools,
    near_doubt: Int64s,
    tails: Float64s,
    own: Float64s,
    scratch: Int64s,
    values: Float64s,
    bounds: Float64s,
) -> tuple[float, float]:
    """See `bin_loops.value_bins`; groups are listed from the far end, while their bins are valued."""
    end, doubt = 0, len(counts) // 2
    for code in range(len(counts)):
        end += counts[code]
    values[:] = 0.0
    bounds[:] = 0.0
    # Of each group: rows before it, and up to its end; its matches; rows in doubt, matches among these; its last bin.
    befores, ends, matches, doubts, doubtful_matches, lasts = scratch[:6]
    losses = scratch[6].view(np.float64)
    beyond, group, is_open = 0.0, -1, False
    for bin_ in range(len(linked) - 1, 0, -1):
        others_in_doubt, doubt_q = counts[doubt + 2 * bin_], counts[doubt + 2 * bin_ + 1]
        q = counts[2 * bin_ + 1] + doubt_q
        n = counts[2 * bin_] + others_in_doubt + q
        is_linked = linked[bin_]
        is_open = is_open and is_linked
        if n == 0:
            continue
        before = end - n
        per_row = 1.0 / n
        mass = tails[before, 0] - tails[end, 0]
        within = ((tails[before, 1] - tails[end, 1]) - (before + 1) * mass) * per_row
        lost, of_fellow = q * per_row * mass, within / max(n - 1, 1)
        values[2 * bin_ + 1] = (tails[before, 2] - tails[end, 2]) * per_row - (q - 1) * of_fellow - beyond
        values[2 * bin_] = -q * of_fellow - beyond
        beyond += lost
        if is_linked:
            others_in_doubt, doubt_q = n - q, q
        if is_open:
            matches[group] += q
            doubts[group] += others_in_doubt + doubt_q
            doubtful_matches[group] += doubt_q
            losses[group] += lost
        else:
            group, is_open = group + 1, True
            ends[group], lasts[group], matches[group], losses[group] = end, bin_, q, lost
            doubts[group], doubtful_matches[group] = others_in_doubt + doubt_q, doubt_q
        befores[group] = end = before
    n_groups = group + 1
    doubts[n_groups], doubtful_matches[n_groups], lasts[n_groups] = near_doubt[0], near_doubt[1], 0
    return beyond, _certify(counts, scratch, n_groups, tails, own, values, bounds)


@compiled
def _certify(
    counts: Int64s,
    groups: Int64s,
    n_groups: int,
    tails: Float64s,
    own: Float64s,
    values: Float64s,
    bounds: Float64s,
) -> float:
    """Fill in the certificates, and return what near rows in doubt may change beside them."""
    doubt = len(counts) // 2
    befores, ends, matches, doubts, doubtful_matches, lasts = groups[:6]
    losses, near_matches = groups[6].view(np.float64), doubtful_matches[n_groups]
    beyond_least = beyond_most = near_bound = crossed = later = 0.0
    up_n = up_q = 0
    for group in range(n_groups):
        group_q, doubt_n, doubt_q = matches[group], doubts[group], doubtful_matches[group]
        low, high = befores[group] - doubts[group + 1], ends[group] + up_n
        at_low, next_to_low, at_high = tails[low, 0], tails[low + 1, 0], tails[high, 0]
        step = at_low - next_to_low
        most_of_match = own[low] - (tails[high - max(group_q - 1, 0), 0] - at_high) - beyond_least
        least_of_match = own[high - 1] - beyond_most
        most_of_other = up_q * step - beyond_least
        next_matches = min(low + 1 + group_q + doubtful_matches[group + 1], high)
        least_of_other = -(next_to_low - tails[next_matches, 0]) - beyond_most
        for bin_ in range(lasts[group], lasts[group + 1], -1):
            if counts[2 * bin_ + 1] + counts[doubt + 2 * bin_ + 1] > 0:
                match = values[2 * bin_ + 1]
                bounds[2 * bin_ + 1] = max(most_of_match - match, match - least_of_match)
            if counts[2 * bin_] + counts[doubt + 2 * bin_] > 0:
                other = values[2 * bin_]
                bounds[2 * bin_] = max(most_of_other - other, other - least_of_other)
        least, most = tails[high - group_q, 0] - at_high, at_low - tails[low + group_q, 0]
        beyond_least += least
        beyond_most += most
        near_bound += max(most - losses[group], losses[group] - least)
        if group == n_groups - 1:
            crossed = max(doubt_q, doubt_n - doubt_q if near_matches else 0) * step
            later = near_matches * (step - (tails[high - 1, 0] - at_high))
        up_n, up_q = doubt_n, doubt_q
    bounds[0] = bounds[1] = near_bound + later
    return crossed
