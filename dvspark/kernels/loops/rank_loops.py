"""Loops over ranked rows, in NumPy; `compiled_ranks` has the same in Numba."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Bools, Float64s, Floats, Int64s, UInt64s


def pack(keys: Floats, matches: Bools, packed: UInt64s) -> None:
    """Fill ``packed`` (n,) with one unsigned integer a row: key bits in numeric order, then place and match flag.

    Minus zero counts as zero.
    """
    words = packed.view(np.uint32)
    low, high = words[0::2], words[1::2]
    bits = (keys + np.float32(0.0)).view(np.int32)
    flip = (bits >> 31) | np.int32(-(2**31))  # all bits of a negative key, the sign of another
    np.bitwise_xor(bits, flip, out=high.view(np.int32))
    np.add(np.arange(0, 2 * len(keys), 2, dtype=np.uint32), matches, out=low)


def sort_packed(packed: UInt64s, spare: UInt64s) -> None:  # noqa: ARG001 - the compiled loop asks for it
    """Sort ``packed`` rows (n,), whose places come ascending; ``spare`` (n,) is scratch.

    Cost: O(n log n) here, O(n) in Numba.
    """
    packed.sort()


def unpack(packed: UInt64s, places: Int64s, matches: Bools, keys: Floats) -> None:
    """Fill ``places`` (n,) int64, ``matches`` (n,) bool and ``keys`` (n,) float32 from packed rows."""
    halves, bits = packed.view(np.uint32), keys.view(np.uint32)
    low, high = halves[0::2], halves[1::2]
    np.right_shift(low, 1, out=places)
    np.bitwise_and(low, 1, out=bits)
    np.not_equal(bits, 0, out=matches)
    bits[:] = np.where(high >> 31, high ^ np.uint32(1 << 31), ~high)


def rank_values(
    matches: Bools, own: Float64s, suffix: Float64s, of_match: float, of_other: float, beyond: float, out: Float64s
) -> float:
    """Fill ``out`` (n,) with a_r own_r - Σ_{j>r} a_j suffix_j for the match flags a of ranks 1..n. Cost: O(n).

    ``of_match`` is added for a match, ``of_other`` for another row. ``beyond`` is the sum beyond rank n. Return the sum
    beyond rank 0.
    """
    # What a row loses to the matches beyond it is a running sum from the far end, one place behind.
    lost = np.cumsum(np.append(beyond, (suffix * matches)[::-1]))
    np.subtract(own * matches, lost[-2::-1], out=out)
    out += np.where(matches, of_match, of_other)
    return float(lost[-1])


def value_packed(
    packed: UInt64s, own: Float64s, suffix: Float64s, of_match: float, of_other: float, out: Float64s
) -> None:
    """Fill ``out``, at the places of sorted ``packed`` rows (n,), with the values that `rank_values` gives their ranks.

    Cost: O(n).
    """
    places, matches, values = np.empty(len(packed), np.int64), np.empty(len(packed), np.bool_), np.empty(len(packed))
    unpack(packed, places, matches, np.empty(len(packed), np.float32))
    rank_values(matches, own, suffix, of_match, of_other, 0.0, values)
    out[places] = values


def add_rows(values: Float64s, value: Float64s, squared: Float64s) -> None:
    """Add a point's values (n,) and their squares to the sums of all rows. Cost: O(n)."""
    value += values
    squared += values * values


def add_ranked(rows: Int64s, values: Float64s, value: Float64s, squared: Float64s) -> None:
    """Add values and their squares to the sums of ``rows`` (n,), each of which occurs once. Cost: O(n)."""
    value[rows] += values
    squared[rows] += values * values
