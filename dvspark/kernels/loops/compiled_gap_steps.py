"""The loops of `compiled_gaps` in two calls a point, between which rows get exact keys: a call costs microseconds."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiled_doubt import list_doubtful
from dvspark.kernels.loops.compiled_gaps import (
    count_before,
    count_gaps,
    find_gaps,
    merge_doubtful,
    number_packed,
    pack_matches,
    pack_rows,
    place_rows,
    place_settled,
    value_gaps,
)
from dvspark.kernels.loops.compiled_ranks import sort_packed
from dvspark.kernels.loops.compiling import compiled
from dvspark.schemas import Float64s, Floats, Int32s, UInt16s, UInt64s

# Packed as no row can be. It stands behind the last match, so that the search for a gap ends there.
AFTER_ALL_ROWS = np.uint64(2**64 - 1)


@compiled
def code_rows(
    keys: Floats,
    matching: Int32s,
    n_places: int,
    limits: Float64s,
    suffix: Float64s,
    falls_from: int,
    row_allowed: float,
    sum_allowed: float,
    gaps: UInt16s,
    before: UInt16s,
    matches: UInt64s,
    spare: UInt64s,
    ends: Floats,
    counts: Int32s,
    doubtful: Int32s,
    others: UInt64s,
    packed: UInt64s,
    ranks: Int32s,
    sorted_keys: Floats,
    places: Int32s,
    groups: Int32s,
) -> tuple[int, int, int, float]:
    """Find the gap of each row, and list matches and rows in doubt with one where their order matters.

    - ``gaps`` (n,) are filled with the number of ``matching`` rows before each row; matches are in the gap that none is
      in.
    - ``matches`` are filled with the matches in order, and one that comes after all rows; ``counts`` as `count_gaps`
      does.
    - ``packed`` are filled with matches and the rows in doubt with one, in order; ``places`` and ``groups`` as in
      `doubt_loops.list_doubtful`, which asks for ``limits`` and the numbers behind them.
    All arrays from ``before`` on have room for more than one point needs: a view for each costs a microsecond or two.
    Return how many rows were packed, or -1 if too many rows have one place, and what `list_doubtful` returns.
    """
    n_matches = len(matching)
    before, matches, counts = before[: n_places + 1], matches[: n_matches + 1], counts[: n_matches + 2]
    place_rows(keys, matching, n_places, gaps)
    count_before(matching, gaps, before)
    pack_matches(keys, matching, matches)
    matches[-1] = AFTER_ALL_ROWS
    sort_packed(matches[:-1], spare[:n_matches])
    n_doubtful = find_gaps(keys, before, matches, limits[0], ends[: n_matches + 2], gaps, doubtful)
    if n_doubtful < 0:
        return -1, 0, 1, 0.0
    count_gaps(gaps, counts)
    others, n_packed = others[:n_doubtful], n_matches + n_doubtful
    pack_rows(keys, doubtful[:n_doubtful], others)
    sort_packed(others, spare[:n_doubtful])
    packed, ranks = packed[:n_packed], ranks[:n_packed]
    merge_doubtful(matches, others, counts[:-1], packed, ranks)
    given = (packed, ranks, limits, suffix, falls_from, row_allowed, sum_allowed)
    count, largest, bound = list_doubtful(*given, sorted_keys[:n_packed], places, groups)
    return n_packed, count, largest, bound


@compiled
def value_rows(
    packed: UInt64s,
    n_settled: int,
    matches: UInt64s,
    n_matches: int,
    counts: Int32s,
    of_rank: Float64s,
    of_match: float,
    of_other: float,
    n_nearest: int,
    codes: UInt16s,
    table: Float64s,
) -> int:
    """Replace gaps in ``codes`` by codes, and fill ``table`` with what these are worth; arrays as in the steps.

    Behind the first ``n_settled`` of the ``packed`` rows none was put in another order. Return how many of the
    ``n_nearest`` rows match.
    """
    matches, counts, of_matches = matches[:n_matches], counts[: n_matches + 1], n_matches + 1
    place_settled(packed[:n_settled], matches, counts, codes)
    value_gaps(counts, of_rank, of_match, of_other, table[:of_matches], table[of_matches:])
    number_packed(matches, of_matches, codes)
    n_found, end = 0, 0
    for gap in range(min(n_matches, n_nearest)):  # a gap has one row at least
        end += counts[gap]
        n_found += end <= n_nearest
    return n_found
