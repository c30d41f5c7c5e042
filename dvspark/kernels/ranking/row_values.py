"""Row values: what one point's rows are worth, from their keys by one sort."""

from __future__ import annotations

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.kernels.ranking.rank_values import RankWeights, ranked_values
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, Float64s, Floats, UInt64s


def value_rows(
    keys: Floats,
    matches: Bools,
    absent: int | None,
    near: NearKeys,
    weights: RankWeights,
    options: RankingOptions,
    workspace: Workspace,
    out: Float64s,
    limits: Float64s | None = None,
) -> RankedRows:
    """Fill ``out`` (n,) float64 with the values of one point's rows; return the k nearest of them in rank order.

    ``keys`` (n,) float32, infinite for the row that is ``absent``, which gets zero; ``matches`` (n,). Values, order and
    certificate are those of `ranking.rank_rows` and `ranked_values`, bit for bit. More than k rows may be returned,
    whose arrays are the workspace's. O(n log n), O(n) in Numba; 16 n bytes, 21 n more where ties are averaged.
    """
    if options.ties == "average":
        scratch = Scratch(len(keys), workspace)
        ranked = ranking.rank_rows(keys, matches, absent, near, options, scratch, weights, limits)
        out[ranked.rows] = ranked_values(ranked.matches, ranked.block_starts, weights, out)
    else:
        packed, settled = ranking.sort_rows(keys, matches, absent, near, options, workspace, weights, limits)
        constants = weights.constants(int(np.count_nonzero(matches)))
        loops.fastest().value_packed(packed, weights.own, weights.suffix, *constants, out)
        ranked = _nearest(packed[: options.k], settled.bound)
    if absent is not None:
        out[absent] = 0.0
    return ranked


def _nearest(packed: UInt64s, bound: float) -> RankedRows:
    n = len(packed)
    rows, matches = np.empty(n, np.int64), np.empty(n, np.bool_)
    loops.fastest().unpack(packed, rows, matches, np.empty(n, np.float32))
    return RankedRows(rows, matches, None, bound=bound)
