"""The loops of `gap_values`, in Numba alone: without it all rows are sorted, which gives the same bits."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.compiled_ranks import compiled, ordered_bits, packed_row
from dvspark.schemas import Float64s, Floats, Int32s, Int64s, UInt16s, UInt64s

# So many of the matches tell where places lie.
SAMPLED_MATCHES = 256
TILE_ROWS = 4_096

# Where rows take more steps beyond the second, in the mean, to find their gap, the sort is faster.
STEPS_PER_ROW = 1


@compiled
def place_rows(keys: Floats, matching: Int32s, n_places: int, places: UInt16s) -> None:
    """Fill ``places`` (n,) with the place of every row, which ascends with its key.

    Places grow with the distance from the nearest ``matching`` row, about as its logarithm does beyond the geometric
    mean: a float's bits are such a scale. The first and the last one are open.
    """
    sampled = range(0, len(matching), max(1, len(matching) // SAMPLED_MATCHES))
    low = high = keys[matching[0]]
    for index in sampled:
        key = keys[matching[index]]
        low, high = min(low, key), max(high, key)
    total = 0
    for index in sampled:
        total += int(np.float32(keys[matching[index]] - low).view(np.int32))
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
    """Fill ``before`` (n_places,) with how many matching rows have a place before each."""
    before[:] = 0
    for index in range(len(matching)):
        before[places[matching[index]]] += np.uint16(1)
    count = np.uint16(0)
    for place in range(len(before)):
        here = before[place]
        before[place] = count
        count += here


@compiled
def pack_matches(keys: Floats, rows: Int32s, packed: UInt64s) -> None:
    """Pack some ``rows`` as `rank_loops.pack` does, all of which match."""
    for index in range(len(rows)):
        packed[index] = packed_row(ordered_bits(keys[rows[index]]), rows[index]) | np.uint64(1)


@compiled
def pack_listed(keys: Floats, rows: Int32s, gaps: UInt16s, matches: UInt64s, packed: UInt64s) -> None:
    """Pack some ``rows`` as `rank_loops.pack` does: a row is a match where it is the one at the end of its gap."""
    for index in range(len(rows)):
        row = rows[index]
        word = packed_row(ordered_bits(keys[row]), row)
        packed[index] = word | np.uint64(matches[gaps[row]] == (word | np.uint64(1)))


@compiled
def find_gaps(keys: Floats, before: UInt16s, packed: UInt64s, gaps: UInt16s) -> bool:
    """Replace the places in ``gaps`` (n,) by how many of the sorted matches come before each row.

    ``packed`` are the matches, in order, and one that comes after all rows. Gives up where too many have one place.
    """
    bits, steps_left = np.empty(TILE_ROWS, np.uint32), STEPS_PER_ROW * len(keys)
    for start in range(0, len(keys), TILE_ROWS):
        size = min(TILE_ROWS, len(keys) - start)
        key_of, gap_of = keys[start : start + size], gaps[start : start + size]
        for index in range(size):  # by SIMD
            bits[index] = ordered_bits(key_of[index])
        for index in range(size):
            word = packed_row(bits[index], start + index)
            gap = np.uint32(before[gap_of[index]])
            gap += np.uint32(packed[gap] < word)  # twice without a branch, which would often be guessed wrong
            gap += np.uint32(packed[gap] < word)
            while packed[gap] < word:
                gap += np.uint32(1)
                steps_left -= 1
                if steps_left < 0:
                    return False
            gap_of[index] = np.uint16(gap)
    return True


@compiled
def count_gaps(gaps: UInt16s, counts: Int32s) -> None:
    """Fill ``counts`` (n_matches + 1,) with how many rows are in each gap, the match at its end being one."""
    counts[:] = 0
    for row in range(len(gaps)):
        counts[gaps[row]] += np.int32(1)


@compiled
def value_gaps(
    counts: Int32s,
    n_near: int,
    of_rank: Float64s,
    of_match: float,
    of_other: float,
    of_gap: Float64s,
    of_matches: Float64s,
) -> tuple[int, float]:
    """Fill in what rows in a gap are worth, ``of_gap``, and the matches, beyond the ``n_near`` nearest rows.

    ``of_rank`` (n_players, 2) are the weights own and suffix, side by side since a match asks for both. Adds what
    `rank_loops.rank_values` does, in its order. Returns the gap in which the last near row is, and what every near row
    loses to the matches beyond.
    """
    beyond, begin = 0.0, len(of_rank)
    for gap in range(len(counts) - 1, -1, -1):
        end = begin
        if end <= n_near:
            return gap, beyond
        if gap < len(of_matches):  # the last row of a gap is the match
            of_matches[gap] = of_rank[end - 1, 0] - beyond + of_match
            beyond += of_rank[end - 1, 1]
        of_gap[gap] = 0.0 - beyond + of_other
        begin -= counts[gap]
        if begin < n_near:
            return gap, beyond
    return 0, beyond


@compiled
def list_up_to(codes: UInt16s, last: int, rows: Int32s) -> int:
    """List the rows whose code is not above ``last``, ascending, in ``rows`` (n + 1,); return how many they are."""
    highest, count = np.uint16(last), np.uint32(0)
    for row in range(len(codes)):  # each is written, so that no branch is guessed wrong
        rows[count] = row
        count += np.uint32(codes[row] <= highest)
    return int(count)


@compiled
def number_packed(packed: UInt64s, first: int, codes: UInt16s) -> None:
    """Give packed rows, in their order, the codes from ``first`` on."""
    for index in range(len(packed)):
        codes[np.uint32(packed[index]) >> np.uint32(1)] = first + index


@compiled
def number(rows: Int64s, first: int, codes: UInt16s) -> None:
    """Give rows, in their order, the codes from ``first`` on."""
    for index in range(len(rows)):
        codes[rows[index]] = first + index
