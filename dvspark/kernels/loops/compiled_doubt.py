"""The loops of `doubt_loops` in Numba: the same functions, the same bits."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiled_ranks import unpack_keys
from dvspark.kernels.loops.compiling import borrowing, compiled, inlined
from dvspark.kernels.loops.doubt_loops import LARGE_GROUP
from dvspark.schemas import Float64s, Floats, Int32s, Int64s, UInt8s, UInt64s

# So many rows are looked at together for keys that are in doubt.
TILE_ROWS = 4_096


@borrowing
def relative_error(exact: Float64s, keys: Floats, sizes: Float64s, least: float) -> float:
    """See `doubt_loops.relative_error`."""
    n, total, weight, squares = len(exact), 0.0, 0.0, 0.0
    for row in range(n):
        size = max(sizes[row], least)
        total += (exact[row] - np.float64(keys[row])) / size / size
        weight += 1.0 / size / size
    for row in range(n):
        error = (exact[row] - np.float64(keys[row]) - total / weight) / max(sizes[row], least)
        squares += error * error
    return np.sqrt(squares / n)


@inlined
def _key(word: np.uint64) -> np.float32:
    """Return the float32 key of a packed row."""
    high = np.uint32(word >> np.uint64(32))
    sign = np.int32(high) >> np.int32(31)  # all ones where the key is not negative
    return np.uint32(high ^ (np.uint32(~sign) | np.uint32(1 << 31))).view(np.float32)


@borrowing
def gap_starts(packed: UInt64s, ranks: Int32s) -> None:
    """See `doubt_loops.gap_starts`."""
    start = np.int32(0)
    for rank in range(len(packed)):
        is_match = np.int32(packed[rank] & np.uint64(1))
        ranks[rank] = np.int32(rank) if is_match else start
        start = np.int32(rank + 1) if is_match else start


@inlined
def _least_key(keys: Floats, place: int, limits: Float64s) -> float:
    """Return the smallest key before a row's that is in doubt with it; all keys from there on are in doubt too."""
    least = np.float64(keys[place]) - (limits[place] if len(limits) > 1 else limits[0])
    return -np.inf if np.isnan(least) else least


@borrowing
def _mark_doubt(packed: UInt64s, keys: Floats, limits: Float64s, all_rows: np.uint64, flags: UInt8s) -> None:
    """Flag rows (n,), except the first, that are in doubt with the row before, if one of the two forms groups."""
    # Loops that count from 0, each of which runs by SIMD; in one nothing does.
    before, here = keys[:-1], keys[1:]
    if len(limits) > 1:
        for place in range(len(here)):
            flags[place] = np.float64(before[place]) >= _least_key(keys, place + 1, limits)
    else:
        limit = limits[0]
        for place in range(len(here)):
            flags[place] = not np.float64(before[place]) < np.float64(here[place]) - limit
    words_before, words = packed[:-1], packed[1:]
    for place in range(len(here)):
        flags[place] &= np.uint8((words_before[place] | words[place] | all_rows) & np.uint64(1))


@inlined
def _first_in_doubt(keys: Floats, place: int, limits: Float64s) -> int:
    least = _least_key(keys, place, limits)
    while place > 0 and np.float64(keys[place - 1]) >= least:
        place -= 1
    return place


@borrowing
def _group_of(packed: UInt64s, keys: Floats, place: int, limits: Float64s, all_rows: np.uint64) -> tuple[int, int]:
    """Return where the group of a row begins and ends; the row is in doubt with the row before.

    No group beyond this one is listed.
    """
    # One of the two makes the group; the farther one is the last that does.
    last = place if (packed[place] | all_rows) & np.uint64(1) else place - 1
    end, key = place + 1, np.float64(keys[last])
    while end < len(packed) and key >= _least_key(keys, end, limits):
        end += 1
    begin, lowest = _first_in_doubt(keys, last, limits), last
    while True:
        # Another one that makes it is among the rows, or in doubt with the first of them.
        least, other = _least_key(keys, begin, limits), lowest - 1
        while other >= 0 and (other >= begin or np.float64(keys[other]) >= least):
            if (packed[other] | all_rows) & np.uint64(1):
                break
            other -= 1
        if other < 0 or (other < begin and np.float64(keys[other]) < least):
            return begin, end
        # Which rows are in doubt with one that stands before another begins no later: looked for from there on.
        least, lowest = _least_key(keys, other, limits), other
        begin = min(begin, other)
        while begin > 0 and np.float64(keys[begin - 1]) >= least:
            begin -= 1


@inlined
def _unlike(packed: UInt64s, keys: Floats, ranks: Int32s, place: int, limits: Float64s) -> tuple[int, int, int, int]:
    """Return how many rows of the other kind are in doubt with a row, before and beyond, and how many of its kind.

    Also return the lowest rank that the row may have: a match may come before other rows, another row before matches.
    """
    own, key, least = packed[place] & np.uint64(1), np.float64(keys[place]), _least_key(keys, place, limits)
    first, before, beyond, alike, lowest = place, 0, 0, 0, ranks[place]
    while first > 0 and np.float64(keys[first - 1]) >= least:
        first -= 1
        is_unlike = int((packed[first] & np.uint64(1)) != own)
        before, alike = before + is_unlike, alike + 1 - is_unlike
        if is_unlike and not own:
            lowest = ranks[first]
    other = place + 1
    while other < len(packed) and key >= _least_key(keys, other, limits):
        is_unlike = int((packed[other] & np.uint64(1)) != own)
        beyond, alike = beyond + is_unlike, alike + 1 - is_unlike
        other += 1
    return before, beyond, alike, lowest - before if own else lowest


@borrowing
def _weigh(
    packed: UInt64s, keys: Floats, ranks: Int32s, begin: int, end: int, limits: Float64s, suffix: Float64s
) -> tuple[float, float]:
    """Return what a group's order may change for one of its rows, and for all rows before it."""
    of_row = of_sum = 0.0
    if end - begin > LARGE_GROUP:
        most, n_matches = suffix[ranks[begin]], 0
        for place in range(begin, end):
            n_matches += int(packed[place] & np.uint64(1))
        return (end - begin) * most, n_matches * most
    for place in range(end - 1, begin - 1, -1):
        before, beyond, alike, lowest = _unlike(packed, keys, ranks, place, limits)
        passed = max(before, beyond)
        if packed[place] & np.uint64(1):
            of_sum += suffix[ranks[place] - before] - suffix[ranks[place] + beyond]
            passed = max(passed, min(alike, 1))
        of_row = max(of_row, passed * suffix[lowest])
    return of_row, of_sum


@inlined
def _is_pair(packed: UInt64s, keys: Floats, place: int, limits: Float64s) -> bool:
    """Return whether a row and the row before, which are in doubt and one of which is a match, form a group of two.

    For some such pairs the answer is False: those with rows before them that are in doubt and do not match.
    """
    if place > 1 and np.float64(keys[place - 2]) >= _least_key(keys, place - 1, limits):
        return False
    if place + 1 == len(packed) or not packed[place - 1] & np.uint64(1):
        return True
    return bool(np.float64(keys[place - 1]) < _least_key(keys, place + 1, limits))


@inlined
def _weigh_pair(packed: UInt64s, ranks: Int32s, place: int, suffix: Float64s) -> tuple[float, float]:
    """Return what `_weigh` returns for a group of a row and the row before; weights do not grow from there on."""
    rank = ranks[place - 1]
    first, second = packed[place - 1] & np.uint64(1), packed[place] & np.uint64(1)
    match = rank if first else ranks[place] - 1
    of_sum = suffix[match] - suffix[match + 1]
    return suffix[rank], 0.0 if first & second else of_sum


@borrowing
def list_marked(flags: UInt8s, marked: Int32s) -> int:
    """List the flagged places, ascending, and return their number; eight places without a flag take one look."""
    eights, count = flags.view(np.uint64), 0
    for eight in range(len(eights)):
        if eights[eight] != 0:
            for place in range(8 * eight, 8 * eight + 8):
                marked[count] = place  # listed whether flagged or not, so that no branch must be predicted
                count += flags[place]
    return count


@compiled
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
    """See `doubt_loops.list_doubtful`."""
    flags, marked = np.empty(TILE_ROWS, np.uint8), np.empty(TILE_ROWS + 1, np.int32)
    unpack_keys(packed, keys)
    given = (packed, ranks, limits, suffix, falls_from, row_allowed, sum_allowed, keys)
    return _list_groups(*given, places, groups, flags, marked)


@borrowing
def _list_groups(
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
    flags: UInt8s,
    marked: Int32s,
) -> tuple[int, int, float]:
    """List groups as `list_doubtful` does; ``flags`` (TILE_ROWS,) and ``marked`` (TILE_ROWS + 1,) are scratch."""
    n, all_rows = len(packed), np.uint64(len(suffix) == 0)
    count, number, largest, done = 0, 0, 1, n
    # What doubt the groups leave that do not matter: the most of one row and the sum, until that is full.
    left_of_row, left_sum, is_full = 0.0, 0.0, False
    for start in range((n - 1) // TILE_ROWS * TILE_ROWS, -1, -TILE_ROWS):
        tile_end = min(start + TILE_ROWS, n)
        first, flags[:] = max(start - 1, 0), 0  # the first row of a tile is compared with the last one of another
        here = limits if len(limits) == 1 else limits[first:tile_end]
        _mark_doubt(packed[first:tile_end], keys[first:tile_end], here, all_rows, flags[first + 1 - start :])
        for index in range(list_marked(flags, marked) - 1, -1, -1):
            place = start + marked[index]
            if place >= done:
                continue
            begin, end = place - 1, place + 1
            is_pair = not all_rows and _is_pair(packed, keys, place, limits)
            if not is_pair:
                begin, end = _group_of(packed, keys, place, limits, all_rows)
            done = begin + 1  # the first row is in doubt with none before it
            if not all_rows and ranks[begin] >= falls_from:
                if is_pair:
                    of_row, of_sum = _weigh_pair(packed, ranks, place, suffix)
                else:
                    of_row, of_sum = _weigh(packed, keys, ranks, begin, end, limits, suffix)
                if of_row <= row_allowed:
                    is_full = is_full or left_sum + of_sum > sum_allowed
                    if not is_full:
                        left_of_row, left_sum = max(left_of_row, of_row), left_sum + of_sum
                        continue
            largest = max(largest, end - begin)
            count = _list_group(begin, end, number, count, places, groups)
            number -= 1
    return count, largest, left_of_row + left_sum


@inlined
def _list_group(begin: int, end: int, number: int, count: int, places: Int32s, groups: Int32s) -> int:
    for place in range(end - 1, begin - 1, -1):
        places[count], groups[count] = place, number
        count += 1
    return count


@borrowing
def order_groups(groups: Int32s, exact: Float64s, rows: Int64s, order: Int64s) -> None:
    """See `doubt_loops.order_groups`."""
    for place in range(len(groups)):
        key, row, group = exact[place], rows[place], groups[place]
        before = place
        while before > 0 and groups[before - 1] == group:
            other = order[before - 1]
            if exact[other] < key or (exact[other] == key and rows[other] < row):
                break
            order[before] = other
            before -= 1
        order[before] = place


@compiled
def listed_rows(packed: UInt64s, places: Int32s, groups: Int32s) -> tuple[Int32s, Int32s, Int64s]:
    """See `doubt_loops.listed_rows`."""
    n = len(places)
    of_places, of_groups, rows = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64)
    for index in range(n):
        place = places[n - 1 - index]
        of_places[index], of_groups[index] = place, groups[n - 1 - index]
        rows[index] = np.uint32(packed[place]) >> np.uint32(1)
    return of_places, of_groups, rows


@compiled
def put_rows(packed: UInt64s, places: Int32s, order: Int64s) -> None:
    """See `doubt_loops.put_rows`."""
    words = np.empty(len(places), np.uint64)
    for index in range(len(places)):
        words[index] = packed[places[index]]
    for index in range(len(places)):
        packed[places[index]] = words[order[index]]
