"""Draws: random orders and coalitions, from a seed and the number of a range alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Bools, Float64s, Int64s, UInt64s

# A float64 in [0, 1) has 53 bits.
_SHIFT, _UNIT = np.uint64(11), 2.0**-53


@dataclass(frozen=True)
class Drawn:
    """A stretch of draws: the ``n`` first ones of range ``number``."""

    number: int
    n: int


class Draws:
    """The draws of one range, in order.

    They are made of raw 64-bit words of Philox (Salmon et al. 2011, doi:10.1145/2063384.2063405), seeded by NumPy's
    SeedSequence: NumPy promises the same words in every version, which it does not of permutations.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(number,)))

    def words(self, n: int) -> UInt64s:
        """Return ``n`` random words."""
        return self._bits.random_raw(n)

    def order(self, n: int) -> Int64s:
        """Return a random order of ``n`` players, int64 (n,): that of as many random words. Cost: O(n log n).

        Two words are equal with a chance of 2^-64, in which case the sort decides.
        """
        return np.argsort(self.words(n))

    def uniform(self, n: int) -> Float64s:
        """Return ``n`` numbers in [0, 1), multiples of 2^-53."""
        return np.multiply(self.words(n) >> _SHIFT, _UNIT, dtype=np.float64)

    def halves(self, n: int) -> Bools:
        """Return a coalition that each of ``n`` players joins with chance 1/2, bool (n,)."""
        bits = np.unpackbits(self.words(-(-n // 64)).astype("<u8").view(np.uint8))
        return bits[:n].astype(np.bool_)

    def of_size(self, n: int, size: int) -> Bools:
        """Return a coalition of ``size`` out of ``n`` players, all being equally likely, bool (n,)."""
        joined = np.zeros(n, np.bool_)
        joined[self.order(n)[:size]] = True
        return joined
