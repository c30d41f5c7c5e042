"""Row values: what one point's rows are worth, from their keys by one sort."""

from __future__ import annotations

import numpy as np

from dvspark.kernels import loops, near_order, ranking
from dvspark.kernels.near_order import NearKeys
from dvspark.kernels.rank_values import RankWeights, ranked_values
from dvspark.kernels.ranking import RankedRows, RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, Float64s, Floats


def value_rows(
    keys: Floats,
    matches: Bools,
    absent: int | None,
    near: NearKeys,
    weights: RankWeights,
    options: RankingOptions,
    workspace: Workspace,
    out: Float64s,
) -> RankedRows:
    """Fill ``out`` (n,) float64 with the values of one point's rows; return the nearest of them in rank order.

    ``keys`` (n,) float32, infinite for the row that is ``absent``, which gets zero; ``matches`` (n,). Values and order
    are those of `ranking.rank_rows`, `order_near` and `rank_values`, bit for bit; at least `ranking.exact_rows` are
    returned, whose arrays are the workspace's; under ties="id" rows that do not match, with no match between, stand in
    any order, which changes no value. O(n log n), O(n) in Numba; 16 n bytes, 21 n more where ties are averaged.
    """
    n = len(keys)
    n_players = n - (absent is not None)
    if options.ties == "average":
        scratch = Scratch(n, workspace)
        ranking.rank_rows(keys, matches, scratch)
        ranked = ranking.order_near(near, n_players, options, scratch)
        out[ranked.rows] = ranked_values(ranked.matches, ranked.block_starts, weights, out)
    else:
        ranked = _value_sorted(keys, matches, n_players, near, weights, options, workspace, out)
    if absent is not None:
        out[absent] = 0.0
    return ranked


def _value_sorted(
    keys: Floats,
    matches: Bools,
    n_players: int,
    near: NearKeys,
    weights: RankWeights,
    options: RankingOptions,
    workspace: Workspace,
    out: Float64s,
) -> RankedRows:
    """Do so where ties fall by row: in rank order there are the packed rows, and nothing else but of near rows."""
    with_loops, n_near = loops.fastest(), min(ranking.exact_rows(options.k), n_players)
    packed = workspace.array("packed", (len(keys),), np.uint64)
    with_loops.pack(keys, matches, packed)
    with_loops.sort_packed(packed, workspace.array("spare", packed.shape, np.uint64))
    constants = weights.constants(int(np.count_nonzero(matches)))
    beyond = with_loops.value_packed(packed[:n_players], n_near, weights.own, weights.suffix, *constants, out)
    of_rank = workspace.array("of_rank", (n_near,), np.float64)
    ranked = value_near(near, n_near, weights, constants, beyond, options, workspace, of_rank)
    out[ranked.rows] = of_rank
    return ranked


def value_near(
    near: NearKeys,
    n_near: int,
    weights: RankWeights,
    constants: tuple[float, float],
    beyond: float,
    options: RankingOptions,
    workspace: Workspace,
    out: Float64s,
) -> RankedRows:
    """Return the near rows in rank order, and fill ``out`` (n_near,) with their values; ties fall by row.

    Their sorted packed rows are the first of the workspace's; ``constants`` those of all matches, ``beyond`` what every
    near row loses to the matches that are not near. O(n_near).
    """
    with_loops, scratch = loops.fastest(), Scratch(n_near, workspace)
    rows, found, ordered = scratch.rows, scratch.matches, scratch.keys
    with_loops.unpack(scratch.packed, rows, found, ordered)
    # Rows that do not match, one after the other, have the same value to the bit: among them no order is asked for.
    near_order.settle(near, rows, found, ordered, metric=options.metric, average=False, among=found)
    with_loops.rank_values(found, weights.own[:n_near], weights.suffix[:n_near], *constants, beyond, out)
    return RankedRows(rows, found, None)
