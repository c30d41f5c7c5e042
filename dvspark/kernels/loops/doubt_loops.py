"""The loops of `loops` over rows that float32 keys leave in doubt, in NumPy; `compiled_doubt` has the same in Numba."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.rank_loops import unpack
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, UInt64s

# Of a group of more rows a coarse bound is enough: its rows, times the weight of its first rank.
LARGE_GROUP = 512


def relative_error(exact: Float64s, keys: Floats, sizes: Float64s, least: float) -> float:
    """Return the standard deviation of ``exact`` less ``keys``, in proportion to ``sizes``, ``least`` at least.

    The mean, which keys leave out, is told by each row as well as its size allows: one row much longer than the others
    says little about it, and what it rounds off is not theirs. All (n,), n >= 1; sums are added up in order, as the
    compiled loop does. O(n).
    """
    error, sizes = exact - keys, np.maximum(sizes, least)
    total, weight = np.cumsum(error / sizes / sizes)[-1], np.cumsum(1.0 / sizes / sizes)[-1]
    error = (error - total / weight) / sizes
    return float(np.sqrt(np.cumsum(error * error)[-1] / len(error)))


def gap_starts(packed: UInt64s, ranks: Int32s) -> None:
    """Fill ``ranks`` (n,) with the rank of each match, from 0; of another row, with the first after the match before.

    O(n).
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
    """List which of sorted ``packed`` rows (n,) float32 keys do not tell apart, where that matters.

    Two rows are in doubt where the smaller key is not below the larger one less that row's limit: ``limits`` (1,)
    float64 for all rows, or (n,), by which no limit grows faster than the key. A match, the rows in doubt with it,
    other matches in doubt with these, and so on, are a group: in truth no row of another group, and no other match,
    stands among them. A group matters if a row may be worth ``row_allowed`` less or more, or all rows before it
    ``sum_allowed``, by all groups from there on. How much follows from the ``suffix`` weights of all ranks, which do
    not grow beyond the first ``falls_from`` ranks, from ``ranks`` (n,) as in `gap_starts`, and from how many rows in
    doubt, that match or do not as it does not or does, stand before a row, and how many beyond. Without weights, of
    length 0, every row makes groups as a match does, and all groups matter. Fills ``keys`` (n,) float32, and in the
    ``places`` of rows in groups that matter, descending, and the numbers of their ``groups``, which descend from 0.
    Returns how many rows these are, the rows of the largest group, and what the other groups may change. O(n log n)
    here, O(n) in Numba.
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
        # From the far end, a group at a time: so the compiled loop adds.
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

    ``first`` and ``end`` (n,): the rows in doubt with a row are those from the first one to before the end.
    """
    here, of_matches = np.arange(len(matches)), np.flatnonzero(matches)
    before = np.concatenate([[0], np.cumsum(matches)])
    matches_before, matches_beyond = before[here] - before[first], before[end] - before[here + 1]
    others = np.stack([here - first - matches_before, end - here - 1 - matches_beyond])
    unlike = np.where(matches, others, np.stack([matches_before, matches_beyond]))
    alike = matches & (matches_before + matches_beyond > 0)
    # The lowest rank that a row may have: a match passes others, another row the matches before it.
    lowest = np.where(matches, ranks - unlike[0], ranks)
    passes = ~matches & (matches_before > 0)
    lowest[passes] = ranks[of_matches[before[first[passes]]]]
    of_sum, at = np.zeros(len(matches)), ranks[of_matches]
    of_sum[of_matches] = suffix[at - unlike[0][of_matches]] - suffix[at + unlike[1][of_matches]]
    return np.maximum(unlike.max(axis=0), alike) * suffix[lowest], of_sum


def order_groups(groups: Int32s, exact: Float64s, rows: Int64s, order: Int64s) -> None:
    """Fill ``order`` (n,) with the order of rows by ``exact`` key, then by row, each in its group; groups ascend.

    O(n log n) here, O(n × the rows of a group) in Numba.
    """
    order[:] = np.lexsort((rows, exact, groups))
