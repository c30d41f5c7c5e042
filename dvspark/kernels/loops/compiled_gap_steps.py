"""The loops of `compiled_gaps` in three calls a point, between which rows get exact keys: a call costs microseconds."""

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
from dvspark.kernels.loops.compiled_ranks import compiled, sort_packed
from dvspark.schemas import Float64s, Floats, Int32s, UInt16s, UInt64s

# Packed as no row can be. It stands behind the last match, so that the search for a gap ends there.
AFTER_ALL_ROWS = np.uint64(2**64 - 1)


@compiled
def code_rows(
    keys: Floats,
    matching: Int32s,
    limit: float,
    before: UInt16s,
    packed: UInt64s,
    spare: UInt64s,
    ends: Floats,
    gaps: UInt16s,
    counts: Int32s,
    doubtful: Int32s,
) -> int:
    """Fill ``gaps`` (n,) with the number of ``matching`` rows before each row, and list rows in doubt with a match.

    Matches are in the gap that none is in. ``packed`` (n_matches + 1,) is filled with the matches in order, and one that
    comes after all rows; ``counts`` (n_matches + 2,) as in `count_gaps`. ``before`` (n_places + 1,) and ``spare``
    (n_matches,) are scratch. Other arrays, and what is returned, are those of `find_gaps`.
    """
    place_rows(keys, matching, len(before) - 1, gaps)
    count_before(matching, gaps, before)
    pack_matches(keys, matching, packed)
    packed[-1] = AFTER_ALL_ROWS
    sort_packed(packed[:-1], spare)
    n_doubtful = find_gaps(keys, before, packed, limit, ends, gaps, doubtful)
    if n_doubtful >= 0:
        count_gaps(gaps, counts)
    return n_doubtful


@compiled
def list_doubt(
    keys: Floats,
    matches: UInt64s,
    doubtful: Int32s,
    counts: Int32s,
    others: UInt64s,
    spare: UInt64s,
    packed: UInt64s,
    ranks: Int32s,
    limits: Float64s,
    suffix: Float64s,
    falls_from: int,
    row_allowed: float,
    sum_allowed: float,
    sorted_keys: Floats,
    places: Int32s,
    groups: Int32s,
) -> tuple[int, int, float]:
    """Fill ``packed`` with matches and the ``doubtful`` rows in order, and list those whose order matters.

    ``others`` and ``spare``, of the length of ``doubtful``, are scratch. The other arrays, and what is returned, are
    those of `merge_doubtful` and `doubt_loops.list_doubtful`.
    """
    pack_rows(keys, doubtful, others)
    sort_packed(others, spare)
    merge_doubtful(matches, others, counts, packed, ranks)
    given = (packed, ranks, limits, suffix, falls_from, row_allowed, sum_allowed)
    return list_doubtful(*given, sorted_keys, places, groups)


@compiled
def value_rows(
    packed: UInt64s,
    n_settled: int,
    matches: UInt64s,
    counts: Int32s,
    of_rank: Float64s,
    of_match: float,
    of_other: float,
    codes: UInt16s,
    table: Float64s,
) -> None:
    """Replace gaps in ``codes`` by codes, and fill ``table`` with what these are worth; arrays as in the steps.

    Behind the first ``n_settled`` of the ``packed`` rows none was put in another order.
    """
    place_settled(packed[:n_settled], matches, counts, codes)
    of_matches = len(matches)
    value_gaps(counts, of_rank, of_match, of_other, table[:of_matches], table[of_matches:])
    number_packed(matches[:-1], of_matches, codes)
