"""Ranking: all training rows in order of (distance, train row), for one validation point after the other, by a sort."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.ranking import near_order
from dvspark.kernels.ranking.near_order import NearKeys, near_keys
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int32s, Int64s, TrainArrays, TrainLabels, UInt64s

TIES = ("id", "average")
PRECISIONS = ("default", "float64")

# At least so many of the nearest rows are sorted, even if bins rank the others.
SORTED_ROWS = 4_096
SORTED_ROWS_PER_NEIGHBOR = 16

# Float32 keys of a block of points, (points, N), stay under this many bytes.
KEY_BLOCK_BYTES = 256 * 2**20
# A product gains from ever more points, for which training rows are brought to the processor once: 230 µs a point for
# 256 of them, 195 for 1,024 (50,000 rows, 256 features).
POINTS_PER_BLOCK = 1_024


@dataclass(frozen=True)
class RankingOptions:
    """How rows are compared: ``metric``, ``precision``, ``ties``, and ``k``, the number of ranks that must be exact.

    ``ranking`` is "sorted" or "binned". ``tolerance``: no value may be further from the exact one. ``row_bounds``:
    certificates are added up row by row.
    """

    metric: str
    precision: str
    ties: str
    k: int
    ranking: str = "sorted"
    tolerance: float = 1e-8
    row_bounds: bool = False

    def is_binned(self, n_players: int) -> bool:
        """Return whether bins rank so many rows. A point without rows has no game to bin."""
        return self.ranking == "binned" and self.precision == "default" and n_players > 0


@dataclass(frozen=True)
class RankedRows:
    """The playing rows of one validation point, nearest first.

    - ``rows`` (n,) int64 train rows; ``matches`` (n,) bool.
    - ``block_starts`` (n,) bool: set where a tie block begins; None if ties break by train row.
    - ``keys`` (n,) float64: exact keys if all rows have one, else None.
    - ``bound``: no value is further from that of the exact order; 0 if this is the exact order.
    """

    rows: Int64s
    matches: Bools
    block_starts: Bools | None
    keys: Float64s | None = None
    bound: float = 0.0


NO_ROWS = RankedRows(np.empty(0, np.int64), np.empty(0, np.bool_), None)


@dataclass(frozen=True)
class KeyedPoint:
    """One validation point: ``keys`` (n_train,) float32 and ``weight`` are those of `distances.approximate_keys`.

    ``z`` (n_features,) is the point, ``labels`` its label codes. The row that is ``absent`` from the game has an
    infinite key. ``limits`` (1,) float64 are those of `near_order.doubt_limits`, None if these are still to be found.
    """

    z: Floats
    weight: float
    keys: Floats
    labels: Int32s
    absent: int | None
    limits: Float64s | None = None


def points_per_block(n_train: int) -> int:
    """Return how many validation points have their keys in memory at once."""
    return int(np.clip(KEY_BLOCK_BYTES // (4 * n_train), 1, POINTS_PER_BLOCK))


def sort_bytes(n_train: int, n_features: int, points: int, *, ties: str = "id") -> int:
    """Return a bound on what the sorted ranking takes beside the train arrays, with so many points in memory."""
    per_row, tile = 200 if ties == "id" else 280, min(n_train, distances.TILE_ROWS)
    return points * 4 * n_train + per_row * n_train + (40 * tile + 24 * points) * n_features + 2**20


def sorted_rows(k: int) -> int:
    """Return the smallest number of nearest rows that are sorted."""
    return max(SORTED_ROWS, SORTED_ROWS_PER_NEIGHBOR * k)


class Scratch:
    """Arrays of one length in a workspace, used for the rows of one point after the other."""

    def __init__(self, n_rows: int, workspace: Workspace) -> None:
        self.workspace = workspace
        self.rows = workspace.array("ranked_rows", (n_rows,), np.int64)
        self.keys = workspace.array("ranked_keys", (n_rows,), np.float32)
        self.matches = workspace.array("ranked_matches", (n_rows,), np.bool_)


def ranked_points(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    workspace: Workspace,
    weights: RankWeights | None = None,
) -> Iterator[RankedRows]:
    """Yield the ranked rows of each validation point of the chunk, in the chunk's order; valid until the next point.

    - Precision "default": float32 keys. Rows whose order they leave in doubt are ordered by float64 differences of the
      stored embeddings: all such rows, or, if the method's ``weights`` are given, those that matter more than the
      tolerance.
    - Precision "float64": all rows are ordered by float64 differences.
    Cost of a point: O(N D + N log N). Memory: `memory.scratch_bytes`.
    """
    if train.n_train == 1 and chunk.train_rows is not None:  # a single row sits out its own game, so nobody plays
        yield from [NO_ROWS] * chunk.n_validation
        return
    if options.precision == "float64":
        for point in range(chunk.n_validation):
            yield rank_exactly(train, chunk, point, options)
        return
    scratch = Scratch(train.n_train, workspace)
    for keyed in keyed_points(train, chunk, options.metric, workspace):
        near, matches = near_keys(train, keyed.z, keyed.weight, options.metric), matches_of(train, keyed)
        yield rank_rows(keyed.keys, matches, keyed.absent, near, options, scratch, weights, keyed.limits)


def keyed_points(train: TrainArrays, chunk: ChunkArrays, metric: str, workspace: Workspace) -> Iterator[KeyedPoint]:
    """Yield each validation point with its float32 keys, which are computed for a block of points at a time."""
    step = points_per_block(train.n_train)
    keys = workspace.array("block", (min(step, chunk.n_validation), train.n_train), np.float32)
    for start in range(0, chunk.n_validation, step):
        z = chunk.x[start : start + step]
        weights = distances.approximate_keys(train, z, metric, keys[: len(z)])
        for place, limits in enumerate(near_order.even_limits(train, z, weights, keys, metric)):
            of_point, absent = (z[place], float(weights[place]), keys[place]), _absent_row(chunk, start + place)
            if absent is not None:
                keys[place, absent] = np.inf
            measured = absent is None or absent not in near_order.error_sample(train.n_train)
            yield KeyedPoint(*of_point, chunk.labels[start + place], absent, limits if measured else None)


def _absent_row(chunk: ChunkArrays, point: int) -> int | None:
    """Return the training row that sits out the point's game."""
    return None if chunk.train_rows is None else int(chunk.train_rows[point])


def match_flags(labels: TrainLabels, codes: Int32s, n_train: int) -> Bools:
    """Return which training rows share a label with a point that carries ``codes``, (n_train,) bool."""
    if labels.codes is not None:
        return labels.codes == codes[0] if len(codes) == 1 else np.isin(labels.codes, codes)
    flags = np.zeros(n_train, np.bool_)
    if labels.offsets is None or labels.postings is None:
        return flags
    for code in codes:
        flags[labels.postings[labels.offsets[code] : labels.offsets[code + 1]]] = True
    return flags


def matches_of(train: TrainArrays, point: KeyedPoint) -> Bools:
    """Return which training rows match a point, (n_train,) bool; False for the absent row."""
    flags = match_flags(train.labels, point.labels, train.n_train)
    if point.absent is not None:
        flags[point.absent] = False
    return flags


def rank_exactly(train: TrainArrays, chunk: ChunkArrays, point: int, options: RankingOptions) -> RankedRows:
    """Return all playing rows of a point, ranked by float64 keys that are computed tile by tile."""
    matches = match_flags(train.labels, chunk.labels[point], train.n_train)
    keys = distances.exact_keys(train.x, np.arange(train.n_train), chunk.x[point], options.metric)
    return rank_exact_keys(keys, matches, _absent_row(chunk, point), options)


def rank_exact_keys(keys: Float64s, matches: Bools, absent: int | None, options: RankingOptions) -> RankedRows:
    """Return all playing rows ranked by float64 keys, which come before `settle_ties`."""
    keys = distances.settle_ties(keys, options.metric)
    if absent is not None:
        keys[absent] = np.inf
    rows = np.argsort(keys, kind="stable")  # stable: equal keys stay in train row order
    rows = rows if absent is None else rows[:-1]
    ordered = keys[rows]
    return RankedRows(rows, matches[rows], _block_starts(ordered) if options.ties == "average" else None, ordered)


def rank_rows(
    keys: Floats,
    matches: Bools,
    absent: int | None,
    near: NearKeys,
    options: RankingOptions,
    scratch: Scratch,
    weights: RankWeights | None = None,
    limits: Float64s | None = None,
) -> RankedRows:
    """Return all playing rows, nearest first, by float32 keys, and by exact keys where doubt matters.

    ``keys`` (n,) float32 are infinite for the row that is ``absent``. The method's ``weights`` say which doubt matters;
    without them, all doubt does. The arrays belong to ``scratch``.
    Cost: O(n log n), see `loops.pack`.
    """
    packed, settled = sort_rows(keys, matches, absent, near, options, scratch.workspace, weights, limits)
    n_players = len(packed)
    rows, found, ordered = (array[:n_players] for array in (scratch.rows, scratch.matches, scratch.keys))
    loops.fastest().unpack(packed, rows, found, ordered)
    starts = near_order.tie_starts(ordered, settled) if options.ties == "average" else None
    return RankedRows(rows, found, starts, bound=settled.bound)


def sort_rows(
    keys: Floats,
    matches: Bools,
    absent: int | None,
    near: NearKeys,
    options: RankingOptions,
    workspace: Workspace,
    weights: RankWeights | None,
    limits: Float64s | None,
) -> tuple[UInt64s, near_order.SettledRows]:
    """Return the playing rows, packed and in order, and the result for rows in doubt; arguments as in `rank_rows`."""
    with_loops, packed = loops.fastest(), workspace.array("packed", (len(keys),), np.uint64)
    with_loops.pack(keys, matches, packed)
    with_loops.sort_packed(packed, workspace.array("spare", packed.shape, np.uint64))
    packed = packed[: len(keys) - (absent is not None)]
    limits = near_order.doubt_limits(keys, absent, near) if limits is None else limits
    given = (packed, near, limits, options.metric, workspace)
    return packed, near_order.settle(*given, weights=weights, allowed=options.tolerance)


def _block_starts(sorted_keys: Floats) -> Bools:
    """Return where a new key begins in sorted keys, (n,) bool; True for the first key."""
    starts = np.ones(len(sorted_keys), np.bool_)
    np.not_equal(sorted_keys[1:], sorted_keys[:-1], out=starts[1:])
    return starts
