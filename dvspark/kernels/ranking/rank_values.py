"""Values from ranks: two weight tables over the ranks turn match flags into values."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.schemas import Bools, Float64s


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


def ranked_values(matches: Bools, block_starts: Bools | None, weights: RankWeights, out: Float64s) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64, averaged over ties if tie blocks are given.

    The result may lie in ``out`` (n,). Cost: O(n).
    """
    if block_starts is not None:
        return tied_rank_values(matches, block_starts, weights)
    return rank_values(matches, weights, out)


def rank_values(matches: Bools, weights: RankWeights, out: Float64s) -> Float64s:
    """Fill ``out`` (n,) float64 with the values of the rows at ranks 1..n, from their match flags; return it.

    Cost: O(n).
    """
    constants = weights.constants(int(np.count_nonzero(matches)))
    loops.fastest().rank_values(matches, weights.own, weights.suffix, *constants, 0.0, out)
    return out


def tied_rank_values(matches: Bools, block_starts: Bools, weights: RankWeights) -> Float64s:
    """Return the values averaged over all orders of tied rows; a tie block begins where its flag is set.

    A block at ranks R+1..R+n with q matches takes (q / n) times its suffix weights from any row before it. Within the
    block, (q - 1) / (n - 1) of the other rows match for a match, and q / (n - 1) for another row.
    Cost: O(n).
    Source: mean over tie orders of Jia et al. 2019, doi:10.14778/3342263.3342637, theorem 1.
    """
    starts = np.flatnonzero(block_starts)
    sizes = np.diff(np.append(starts, len(matches)))
    n_matches = np.add.reduceat(matches.astype(np.float64), starts)
    own = np.add.reduceat(weights.own, starts) / sizes
    # Mean over the block's ranks r of Σ suffix_j for r < j <= end: rank j is beyond j - R - 1 of them.
    place = np.arange(len(matches)) - np.repeat(starts, sizes)
    tail = np.add.reduceat(weights.suffix * place, starts) / sizes
    lost = n_matches / sizes * np.add.reduceat(weights.suffix, starts)
    beyond = np.cumsum(lost[::-1])[::-1] - lost
    fellows = np.maximum(sizes - 1, 1)
    match = own - (n_matches - 1) / fellows * tail - beyond + weights.match
    other = -n_matches / fellows * tail - beyond
    values = np.where(matches, np.repeat(match, sizes), np.repeat(other, sizes))
    return values + weights.constants(int(np.count_nonzero(matches)))[1]
