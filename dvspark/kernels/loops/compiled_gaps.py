"""The loops of `gap_values`, only in Numba. Without Numba all rows are sorted, which gives the same bits."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiled_doubt import TILE_ROWS, list_marked
from dvspark.kernels.loops.compiled_ranks import ordered_bits, packed_row, unpack_keys
from dvspark.kernels.loops.compiling import compiled
from dvspark.schemas import Float64s, Floats, Int32s, UInt16s, UInt32s, UInt64s

# So many of the matches determine where places lie.
SAMPLED_MATCHES = 256

# If rows need more steps than this after the second, in the mean, to find their gap, the sort is faster.
STEPS_PER_ROW = 1


@compiled
def place_rows(keys: Floats, matching: Int32s, n_places: int, places: UInt16s) -> None:
    """Fill ``places`` (n,) with the place of every row; places ascend with keys.

    Places grow with the distance from the nearest ``matching`` row, beyond the geometric mean about as its logarithm:
    the bits of a float are such a scale. The first and the last place are open.
    """
    sampled = range(0, len(matching), max(1, len(matching) // SAMPLED_MATCHES))
    low = high = keys[matching[0]]
    for index in sampled:
        key = keys[matching[index]]
        low, high = min(low, key), max(high, key)
    total = 0
    for index in sampled:  # minus zero less zero is minus zero, whose bits are those of no distance
        total += int(np.float32(keys[matching[index]] - low + np.float32(0.0)).view(np.int32))
    mean = np.int32(total // len(sampled)).view(np.float32)
    low, least = low - mean, np.float32(0.5) * mean
    first = np.float32(least).view(np.int32)
    bits = np.float32(high - low).view(np.int32) - first
    per_bit = np.float32(n_places) / np.float32(bits + bits // 8 + 1)
    last = np.float32(n_places - 1)
    for row in range(len(keys)):  # by SIMD
        distance = keys[row] - low
        distance = distance if distance > least else least
        place = np.float32(np.float32(distance).view(np.int32) - first) * per_bit
        places[row] = np.uint16(np.int32(place if place < last else last))


@compiled
def count_before(matching: Int32s, places: UInt16s, before: UInt16s) -> None:
    """Fill ``before`` (n_places + 1,) with the number of matching rows that have an earlier place.

    Matching rows then get the last place, which no other row has. They look for no gap, so that place gets the number
    of the gap that none is in, n_matches + 1.
    """
    last = len(before) - 1
    before[:] = 0
    for index in range(len(matching)):
        before[places[matching[index]]] += np.uint16(1)
        places[matching[index]] = last
    count = np.uint16(0)
    for place in range(last):
        here = before[place]
        before[place] = count
        count += here
    before[last] = len(matching) + 1


@compiled
def pack_matches(keys: Floats, rows: Int32s, packed: UInt64s) -> None:
    """Pack the given ``rows``, which all match, as `rank_loops.pack` does."""
    for index in range(len(rows)):
        packed[index] = packed_row(ordered_bits(keys[rows[index]]), rows[index]) | np.uint64(1)


@compiled
def pack_rows(keys: Floats, rows: Int32s, packed: UInt64s) -> None:
    """Pack the given ``rows``, none of which matches, as `rank_loops.pack` does."""
    for index in range(len(rows)):
        packed[index] = packed_row(ordered_bits(keys[rows[index]]), rows[index])


@compiled
def _gap_insides(ends: Floats, limit: float) -> Floats:
    """Return the middle of each gap, and how near to it no row is in doubt with a match, (n_matches + 2, 2) float32.

    ``ends`` as in `find_gaps`. All rows of the first and of the last gap may be in doubt, those of the gap that none is
    in never are.
    """
    insides, half, eps = np.empty((len(ends), 2), np.float32), np.float32(0.5), np.float32(2.0**-22)
    # A little more than the limit, and than what float32 rounds off of both; those few are looked at again.
    wide, last = np.float32(limit) * (np.float32(1.0) + eps), len(ends) - 2
    for gap in range(last + 1):
        begin, end = ends[gap], ends[gap + 1]
        insides[gap, 0] = half * (begin + end)
        insides[gap, 1] = half * (end - begin) - wide - (abs(begin) + abs(end)) * eps
    insides[0, 0] = insides[last, 0] = 0.0
    insides[0, 1] = insides[last, 1] = -np.inf
    insides[last + 1] = np.nan  # as far from any key as no number is
    return insides


@compiled
def find_gaps(
    keys: Floats, before: UInt16s, packed: UInt64s, limit: float, ends: Floats, gaps: UInt16s, doubtful: Int32s
) -> int:
    """Replace the places in ``gaps`` (n,) by the number of sorted matches that come before each row.

    ``before`` as in `count_before`. ``packed`` are the matches in order, and one that comes after all rows. Their keys
    fill ``ends`` (n_matches + 2,), between two keys of no match. The loop lists in ``doubtful`` (n + 1,), ascending,
    the other rows that are in doubt with a match: rows whose keys are no further than ``limit`` from its key, compared
    as in `doubt_loops.list_doubtful`. Return how many these are, or -1 as soon as too many rows have one place.
    """
    bits, steps_left = np.empty(TILE_ROWS, np.uint32), STEPS_PER_ROW * len(keys)
    unpack_keys(packed[:-1], ends[1:-1])
    ends[0], ends[-1] = -np.inf, np.inf
    # Gaps are found by key alone; rows with the key of a match are among those that are looked at again.
    match_bits, insides = np.empty(len(packed) + 2, np.uint32), _gap_insides(ends, limit)
    for match in range(len(packed)):
        match_bits[match] = packed[match] >> np.uint64(32)
    match_bits[len(packed) :] = match_bits[len(packed) - 1]
    n_doubtful, flags, near_match = 0, np.empty(TILE_ROWS, np.uint8), np.empty(TILE_ROWS + 1, np.int32)
    for start in range(0, len(keys), TILE_ROWS):
        size = min(TILE_ROWS, len(keys) - start)
        key_of, gap_of = keys[start : start + size], gaps[start : start + size]
        for index in range(size):  # by SIMD
            bits[index] = ordered_bits(key_of[index])
        for index in range(size):
            gap = np.uint32(before[gap_of[index]])
            # Twice without a branch, often guessed wrong; matches ascend, so the two need not wait for each other.
            at_next = np.uint32(match_bits[gap + np.uint32(1)] < bits[index])
            gap += np.uint32(match_bits[gap] < bits[index]) + at_next
            while match_bits[gap] < bits[index]:
                gap += np.uint32(1)
                steps_left -= 1
                if steps_left < 0:
                    return -1
            gap_of[index] = np.uint16(gap)
        flags[size:] = 0
        for index in range(size):  # flagged, then listed: listing at once takes three times as long
            gap = np.uint32(gap_of[index])
            flags[index] = abs(key_of[index] - insides[gap, 0]) >= insides[gap, 1]
        n_near = list_marked(flags, near_match)
        given = (packed, limit, ends, key_of, bits, start)
        n_doubtful, steps_left = _look_again(near_match[:n_near], *given, gap_of, doubtful, n_doubtful, steps_left)
        if steps_left < 0:
            return -1
    return n_doubtful


@compiled
def _look_again(
    near_match: Int32s,
    packed: UInt64s,
    limit: float,
    ends: Floats,
    keys: Floats,
    bits: UInt32s,
    start: int,
    gaps: UInt16s,
    doubtful: Int32s,
    n_doubtful: int,
    steps_left: int,
) -> tuple[int, int]:
    """Settle the gaps of rows near a match, and list those in doubt; return the number listed and the steps left."""
    for place in range(len(near_match)):
        index = near_match[place]
        gap, word = np.uint32(gaps[index]), packed_row(bits[index], start + index)
        while packed[gap] < word and steps_left >= 0:
            gap += np.uint32(1)
            steps_left -= 1
        gaps[index] = np.uint16(gap)
        key = np.float64(keys[index])
        with_next = key >= np.float64(ends[gap + np.uint32(1)]) - limit
        doubtful[n_doubtful] = start + index
        n_doubtful += int(with_next | (np.float64(ends[gap]) >= key - limit))
    return n_doubtful, steps_left


@compiled
def merge_doubtful(matches: UInt64s, others: UInt64s, counts: Int32s, packed: UInt64s, ranks: Int32s) -> None:
    """Fill ``packed`` with sorted matches and other rows between them, and ``ranks`` as `doubt_loops.gap_starts` does.

    ``matches`` (n_matches + 1,): the last comes after all rows. ``counts`` (n_matches + 1,): rows of each gap.
    """
    place, other, rank = 0, 0, np.int32(0)
    for match in range(len(matches)):
        while other < len(others) and others[other] < matches[match]:
            packed[place], ranks[place] = others[other], rank
            place, other = place + 1, other + 1
        if match < len(matches) - 1:
            rank += counts[match]
            packed[place], ranks[place] = matches[match], rank - 1
            place += 1


@compiled
def place_settled(packed: UInt64s, matches: UInt64s, counts: Int32s, gaps: UInt16s) -> None:
    """Take over the order of ``packed`` rows: the order of matches, and the gaps of other rows.

    The loop fills ``matches`` in their order, and changes ``gaps`` of other rows and ``counts``, the rows of each gap.
    """
    match = 0
    for place in range(len(packed)):
        word = packed[place]
        if word & np.uint64(1):
            matches[match] = word
            match += 1
            continue
        row = np.uint32(word) >> np.uint32(1)
        if gaps[row] != match:
            counts[gaps[row]] -= np.int32(1)
            counts[match] += np.int32(1)
            gaps[row] = match


@compiled
def count_gaps(gaps: UInt16s, counts: Int32s) -> None:
    """Fill ``counts`` (n_matches + 1,) with the number of rows in each gap, the match at its end included.

    ``gaps`` (n,) as `find_gaps` leaves them: matches are in the gap that none is in, for which ``counts`` has one more
    place.
    """
    counts[:-2], counts[-2] = 1, 0
    for row in range(len(gaps)):
        counts[gaps[row]] += np.int32(1)


@compiled
def value_gaps(
    counts: Int32s, of_rank: Float64s, of_match: float, of_other: float, of_gap: Float64s, of_matches: Float64s
) -> None:
    """Fill ``of_gap`` with what rows in each gap are worth, and ``of_matches`` with what the matches are worth.

    ``of_rank`` (n_players, 2) has the weights own and suffix side by side, since a match uses both. The order of
    additions is that of `rank_loops.rank_values`.
    """
    n_matches, end = len(counts) - 1, np.int32(0)
    # What matches weigh is read first, from ranks that do not wait for sums: a third of the time if it is far away.
    for gap in range(n_matches):
        end += counts[gap]  # the last row of a gap is the match
        rank = np.uint32(end - 1)
        of_matches[gap], of_gap[gap] = of_rank[rank, 0], of_rank[rank, 1]
    beyond = 0.0
    of_gap[n_matches] = 0.0 - beyond + of_other
    for gap in range(n_matches - 1, -1, -1):
        of_matches[gap] = of_matches[gap] - beyond + of_match
        beyond += of_gap[gap]
        of_gap[gap] = 0.0 - beyond + of_other


@compiled
def number_packed(packed: UInt64s, first: int, codes: UInt16s) -> None:
    """Give packed rows, in their order, consecutive codes from ``first`` on."""
    for index in range(len(packed)):
        codes[np.uint32(packed[index]) >> np.uint32(1)] = first + index
