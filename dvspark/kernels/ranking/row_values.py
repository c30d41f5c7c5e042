"""Row values: the values of one point's rows from their keys, by one sort."""

from __future__ import annotations

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.kernels.ranking.rank_values import ranked_values
from dvspark.kernels.ranking.rank_weights import RankWeights
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
    """Fill ``out`` (n,) float64 with the values of one point's rows; return at least the k nearest in rank order.

    ``keys`` (n,) float32 are infinite for the row that is ``absent``, whose value is 0; ``matches`` (n,). Values, order
    and certificate have the bits of `ranking.rank_rows` and `ranked_values`. The arrays returned belong to the
    workspace.
    Cost: O(n log n), in Numba O(n). Memory: 16 n bytes, and 21 n more if ties are averaged.
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
