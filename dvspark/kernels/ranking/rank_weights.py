"""Weights of ranks: the two tables by which match flags become values."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Float64s


@dataclass(frozen=True)
class RankWeights:
    """The tables of a `ranking` method for n playing rows, over ranks r = 1..n.

    value_r = a_r own_r - Σ_{j>r} a_j suffix_j + a_r match + A shared + constant, with A = Σ a_j.
    ``own`` and ``suffix`` are (n,) float64; ``suffix`` is non-zero only where own falls.
    """

    own: Float64s
    suffix: Float64s
    match: float = 0.0
    shared: float = 0.0
    constant: float = 0.0

    @functools.cached_property
    def falls_from(self) -> int:
        """The rank from which on suffix weights do not grow with the rank. Cost: O(n)."""
        rises = np.flatnonzero(self.suffix[1:] > self.suffix[:-1])
        return int(rises[-1]) + 1 if len(rises) else 0

    def of_nearest(self, n: int, constant: float) -> RankWeights:
        """Return the weights of the ``n`` nearest ranks, with another ``constant`` (it counts all matches)."""
        nearest = RankWeights(self.own[:n], self.suffix[:n], match=self.match, constant=constant)
        nearest.__dict__["falls_from"] = self.falls_from  # as if computed: each point asks for it
        return nearest

    def constants(self, n_matches: int) -> tuple[float, float]:
        """Return the terms that are added to the value of a match and of another row, if ``n_matches`` rows match."""
        of_other = self.shared * n_matches + self.constant
        return of_other + self.match, of_other
