"""The loops of `rank_loops` in Numba: the same functions, the same bits."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiling import compiled
from dvspark.schemas import Bools, Float64s, Floats, Int64s, UInt32s, UInt64s

# The table of such a digit, 32 KiB, is still in the nearest cache: two digits take 3.6 ns a row where three take 5, and
# NumPy's sort 5 to 35, as the processor is (docs/decisions/0019).
DIGIT_BITS = 13


@compiled
def ordered_bits(key: np.float32) -> np.uint32:
    """Return the bits of a float32 key, changed so that they ascend with the key; minus zero counts as zero."""
    bits = np.float32(key + np.float32(0.0)).view(np.int32)
    return np.uint32(bits ^ ((bits >> 31) | np.int32(-(2**31))))


@compiled
def packed_row(bits: np.uint32, row: int) -> np.uint64:
    """Return a row in the form of `rank_loops.pack`, from its key's `ordered_bits`, without its match flag.

    The match flag is the last bit.
    """
    return (np.uint64(bits) << np.uint64(32)) | np.uint64(2 * row)


@compiled
def pack(keys: Floats, matches: Bools, packed: UInt64s) -> None:
    """See `rank_loops.pack`."""
    for place in range(len(keys)):
        packed[place] = packed_row(ordered_bits(keys[place]), place) | np.uint64(matches[place])


@compiled
def sort_packed(packed: UInt64s, spare: UInt64s) -> None:
    """See `rank_loops.sort_packed`. Keys are sorted digit by digit, the last first, which keeps the order of ties.

    Two digits are enough for keys at most 2²⁶ float32 numbers apart, as distances mostly are.
    """
    lowest = highest = packed[0] if len(packed) else np.uint64(0)
    for index in range(len(packed)):  # by SIMD
        lowest, highest = min(lowest, packed[index]), max(highest, packed[index])
    lowest &= ~np.uint64(0xFFFFFFFF)
    n_bits, apart = 0, (highest - lowest) >> np.uint64(32)
    while apart > 0:
        n_bits, apart = n_bits + 1, apart >> np.uint64(1)
    n_digits = -(-n_bits // DIGIT_BITS)
    width = -(-n_bits // max(n_digits, 1))
    places = np.empty(1 << width, np.uint32)
    source, target = packed, spare
    for digit in range(n_digits):
        _sort_digit(source, target, lowest, np.uint64(32 + digit * width), places)
        source, target = target, source
    if n_digits % 2:
        packed[:] = spare


@compiled
def _sort_digit(source: UInt64s, target: UInt64s, lowest: np.uint64, shift: np.uint64, places: UInt32s) -> None:
    """Fill ``target`` with the rows in order of one digit; ``places`` (values of a digit,) uint32 is scratch."""
    mask = np.uint64(len(places) - 1)
    places[:] = 0
    for index in range(len(source)):
        places[((source[index] - lowest) >> shift) & mask] += np.uint32(1)
    place = np.uint32(0)
    for value in range(len(places)):
        count = places[value]
        places[value] = place
        place += count
    for index in range(len(source)):
        word = source[index]
        value = ((word - lowest) >> shift) & mask
        target[places[value]] = word
        places[value] += np.uint32(1)


@compiled
def unpack(packed: UInt64s, places: Int64s, matches: Bools, keys: Floats) -> None:
    """See `rank_loops.unpack`."""
    bits = keys.view(np.uint32)
    for rank in range(len(packed)):
        word = packed[rank]
        places[rank] = np.int64((word & np.uint64(0xFFFFFFFF)) >> np.uint64(1))
        matches[rank] = (word & np.uint64(1)) != 0
        high = np.uint32(word >> np.uint64(32))
        bits[rank] = high ^ np.uint32(1 << 31) if high >> np.uint32(31) else ~high


@compiled
def unpack_keys(packed: UInt64s, keys: Floats) -> None:
    """Fill ``keys`` (n,) float32 from packed rows, by SIMD."""
    bits = keys.view(np.uint32)
    for place in range(len(packed)):
        high = np.uint32(packed[place] >> np.uint64(32))
        sign = np.int32(high) >> np.int32(31)  # all ones where the key is not negative
        bits[place] = high ^ (np.uint32(~sign) | np.uint32(1 << 31))


@compiled
def rank_values(
    matches: Bools, own: Float64s, suffix: Float64s, of_match: float, of_other: float, beyond: float, out: Float64s
) -> float:
    """See `rank_loops.rank_values`."""
    for rank in range(len(matches) - 1, -1, -1):
        out[rank] = own[rank] * matches[rank] - beyond + (of_match if matches[rank] else of_other)
        beyond += suffix[rank] * matches[rank]
    return beyond


@compiled
def value_packed(
    packed: UInt64s, own: Float64s, suffix: Float64s, of_match: float, of_other: float, out: Float64s
) -> None:
    """See `rank_loops.value_packed`. Nothing is written in rank order."""
    beyond = 0.0
    for rank in range(len(packed) - 1, -1, -1):
        word = packed[rank]
        match = np.float64(word & np.uint64(1))
        place = np.uint32(word) >> np.uint32(1)
        out[place] = own[rank] * match - beyond + (of_match if match else of_other)
        beyond += suffix[rank] * match


@compiled
def add_rows(values: Float64s, value: Float64s, squared: Float64s) -> None:
    """See `rank_loops.add_rows`."""
    for row in range(len(values)):
        added = values[row]
        value[row] += added
        squared[row] += added * added


@compiled
def add_ranked(rows: Int64s, values: Float64s, value: Float64s, squared: Float64s) -> None:
    """See `rank_loops.add_ranked`."""
    for place in range(len(rows)):
        row, added = rows[place], values[place]
        value[row] += added
        squared[row] += added * added
