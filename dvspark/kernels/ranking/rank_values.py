"""Values from ranks: two weight tables over the ranks turn match flags into values."""

from __future__ import annotations

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.schemas import Bools, Float64s


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
