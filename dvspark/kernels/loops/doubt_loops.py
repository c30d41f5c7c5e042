"""Loops over rows whose order float32 keys leave in doubt, in NumPy; `compiled_doubt` has the same in Numba."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.rank_loops import unpack
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, UInt64s

# For a group of more rows a coarse bound is enough: the number of its rows times the weight of its first rank.
LARGE_GROUP = 512


def relative_error(exact: Float64s, keys: Floats, sizes: Float64s, least: float) -> float:
    """Return the standard deviation of ``exact`` - ``keys``, relative to ``sizes``; at least ``least``.

    Keys leave out a constant, so the mean of the differences is subtracted. Each row counts for this mean as much as
    its size allows: a row much longer than the others says little about the mean, and its rounding is not theirs. All
    arrays are (n,), n >= 1. Sums are added up in order, as in the compiled loop.
    Cost: O(n).
    """
    error, sizes = exact - keys, np.maximum(sizes, least)
    total, weight = np.cumsum(error / sizes / sizes)[-1], np.cumsum(1.0 / sizes / sizes)[-1]
    error = (error - total / weight) / sizes
    return float(np.sqrt(np.cumsum(error * error)[-1] / len(error)))


def gap_starts(packed: UInt64s, ranks: Int32s) -> None:
    """Fill ``ranks`` (n,): for a match its rank from 0; for another row the first rank after the match before it.

    Cost: O(n).
    """
    matches, here = (packed & np.uint64(1)).astype(np.bool_), np.arange(len(packed), dtype=np.int32)
    np.maximum.accumulate(np.append(np.int32(-1), np.where(matches, here, -1))[:-1], out=ranks)
    ranks += 1
    ranks[matches] = here[matches]


def list_doubtful(
    packed: UInt64s,
    ranks: Int32s,
    limits: Float64s,
    suffix: Float64s,
    falls_from: int,
    row_allowed: float,
    sum_allowed: float,
    keys: Floats,
    places: Int32s,
    groups: Int32s,
) -> tuple[int, int, float]:
    """List the sorted ``packed`` rows (n,) whose order float32 keys leave in doubt, where that matters.

    - Two rows are in doubt if the smaller key is not below the larger one less that row's limit. ``limits`` is (1,)
      float64 for all rows, or (n,), where no limit grows faster than the key.
    - A match, the rows in doubt with it, other matches in doubt with these, and so on, form a group. No row of another
      group, and no other match, can really stand among them.
    - A group matters if it can change the value of a row by more than ``row_allowed``, or if all groups from there on
      can change the values of all rows before them by more than ``sum_allowed``. How much they can change follows from
      the ``suffix`` weights of all ranks (which do not grow beyond the first ``falls_from`` ranks), from ``ranks`` (n,)
      as in `gap_starts`, and from how many rows of the other kind, match or not, are in doubt with a row on either
      side.
    - Without weights (length 0), every row forms groups as a match does, and all groups matter.
    The loop fills ``keys`` (n,) float32. For rows in groups that matter it fills ``places``, descending, and
    ``groups``, numbers that descend from 0. Return how many rows these are, the rows of the largest group, and what the
    other groups may change.
    Cost: O(n log n) here, O(n) in Numba.
    """
    n = len(packed)
    rows, matches = np.empty(n, np.int64), np.empty(n, np.bool_)
    unpack(packed, rows, matches, keys)
    wide, here = keys.astype(np.float64), np.arange(n)
    least_key = wide - limits
    least_key[np.isnan(least_key)] = -np.inf
    first = np.minimum(np.searchsorted(wide, least_key), here)  # of the rows in doubt before a row
    end = np.maximum(np.searchsorted(first, here, side="right"), here + 1)  # of those beyond it
    makes = np.flatnonzero(matches) if len(suffix) else here
    if not len(makes):
        return 0, 1, 0.0
    parts = np.flatnonzero(np.append(True, first[makes[1:]] >= end[makes[:-1]]))
    begins, ends = first[makes[parts]], end[makes[np.append(parts[1:], len(makes)) - 1]]
    several, bound = ends - begins > 1, 0.0
    begins, ends = begins[several][::-1], ends[several][::-1]  # from the far end
    if len(suffix) and len(begins):
        of_row, of_sum = _weights(matches, first, end, ranks, suffix)
        of_row = np.array([of_row[b:e].max() for b, e in zip(begins, ends, strict=True)])
        # From the far end, one group after the other, as the compiled loop adds.
        sums = np.array([np.cumsum(of_sum[b:e][::-1])[-1] for b, e in zip(begins, ends, strict=True)])
        large, most = ends - begins > LARGE_GROUP, suffix[ranks[begins]]
        of_row[large] = ((ends - begins) * most)[large]
        before = np.concatenate([[0], np.cumsum(matches)])
        sums[large] = ((before[ends] - before[begins]) * most)[large]
        left = (of_row <= row_allowed) & (ranks[begins] >= falls_from)
        total = np.cumsum(sums[left])
        left[left] = total <= sum_allowed
        if left.any():
            bound = float(of_row[left].max() + total[np.count_nonzero(left) - 1])
        begins, ends = begins[~left], ends[~left]
    sizes = ends - begins
    count = int(sizes.sum())
    from_end = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places[:count] = np.repeat(ends - 1, sizes) - from_end
    groups[:count] = -np.repeat(np.arange(len(sizes)), sizes)
    return count, int(sizes.max(initial=1)), bound


def _weights(matches: Bools, first: Int64s, end: Int64s, ranks: Int32s, suffix: Float64s) -> tuple[Float64s, Float64s]:
    """Return what doubt may change for each row, and for all rows before it, (n,) float64 each.

    ``first`` and ``end`` (n,): the rows in doubt with a row are those from ``first`` to before ``end``.
    """
    here, of_matches = np.arange(len(matches)), np.flatnonzero(matches)
    before = np.concatenate([[0], np.cumsum(matches)])
    matches_before, matches_beyond = before[here] - before[first], before[end] - before[here + 1]
    others = np.stack([here - first - matches_before, end - here - 1 - matches_beyond])
    unlike = np.where(matches, others, np.stack([matches_before, matches_beyond]))
    alike = matches & (matches_before + matches_beyond > 0)
    # The lowest rank that a row may have: a match may come before other rows, another row before matches.
    lowest = np.where(matches, ranks - unlike[0], ranks)
    passes = ~matches & (matches_before > 0)
    lowest[passes] = ranks[of_matches[before[first[passes]]]]
    of_sum, at = np.zeros(len(matches)), ranks[of_matches]
    of_sum[of_matches] = suffix[at - unlike[0][of_matches]] - suffix[at + unlike[1][of_matches]]
    return np.maximum(unlike.max(axis=0), alike) * suffix[lowest], of_sum


def order_groups(groups: Int32s, exact: Float64s, rows: Int64s, order: Int64s) -> None:
    """Fill ``order`` (n,) with the order of rows by group, then by ``exact`` key, then by row.

    Cost: O(n log n) here, O(n × the rows of a group) in Numba.
    """
    order[:] = np.lexsort((rows, exact, groups))


def listed_rows(packed: UInt64s, places: Int32s, groups: Int32s) -> tuple[Int32s, Int32s, Int64s]:
    """Return the ``places`` and ``groups`` (n,) that `list_doubtful` listed, ascending, and the rows there.

    Cost: O(n).
    """
    places, groups = places[::-1].copy(), groups[::-1].copy()
    return places, groups, ((packed[places] & np.uint64(0xFFFFFFFF)) >> np.uint64(1)).astype(np.int64)


def put_rows(packed: UInt64s, places: Int32s, order: Int64s) -> None:
    """Put the ``packed`` rows at ``places`` (n,) in another ``order``, (n,) places among these; O(n)."""
    packed[places] = packed[places][order]
