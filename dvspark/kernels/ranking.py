"""Ranking: all training rows in order of (distance, train row), one validation point at a time, sorted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import distances, loops, near_order
from dvspark.kernels.near_order import NearKeys, near_keys
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int32s, Int64s, TrainArrays, TrainLabels

TIES = ("id", "average")
PRECISIONS = ("default", "float64")

# At least this many nearest rows stand in exact order; a training set up to this size does as a whole.
# Beyond it a swap of two neighbors moves a value by at most 1 / 4,096².
EXACT_ROWS = 4_096
EXACT_ROWS_PER_NEIGHBOR = 16

# Float32 keys of a block of points, (points, N), stay under this many bytes.
KEY_BLOCK_BYTES = 256 * 2**20
# A product gains from ever more points, for which training rows are brought to the processor once: 230 µs a point for
# 256 of them, 195 for 1,024 (50,000 rows, 256 features).
POINTS_PER_BLOCK = 1_024


@dataclass(frozen=True)
class RankingOptions:
    """How rows are compared: ``metric``, ``precision``, ``ties``, and ``k``, the ranks that must be exact.

    ``ranking`` "sorted" or "binned"; ``tolerance``: no value may be further from the sorted ranking's;
    ``row_bounds``: add up the certificates row by row.
    """

    metric: str
    precision: str
    ties: str
    k: int
    ranking: str = "sorted"
    tolerance: float = 1e-8
    row_bounds: bool = False

    def is_binned(self, n_players: int) -> bool:
        """Return whether bins rank so many rows; none at all have no game to bin."""
        return self.ranking == "binned" and self.precision == "default" and n_players > 0


@dataclass(frozen=True)
class RankedRows:
    """The playing rows of one validation point, nearest first.

    ``rows`` (n,) int64 train rows; ``matches`` (n,) bool; ``block_starts`` (n,) bool, set where a tie block
    begins, or None when ties break by train row; ``keys`` (n,) float64 exact keys, where all have one, else None.
    """

    rows: Int64s
    matches: Bools
    block_starts: Bools | None
    keys: Float64s | None = None


NO_ROWS = RankedRows(np.empty(0, np.int64), np.empty(0, np.bool_), None)


@dataclass(frozen=True)
class KeyedPoint:
    """One validation point: ``keys`` (n_train,) float32 and ``weight`` as `distances.approximate_keys` left them.

    ``z`` (n_features,), ``labels`` its label codes; the row that is ``absent`` from the game has an infinite key.
    """

    z: Floats
    weight: float
    keys: Floats
    labels: Int32s
    absent: int | None


def points_per_block(n_train: int) -> int:
    """Return how many validation points have their keys in memory at once."""
    return int(np.clip(KEY_BLOCK_BYTES // (4 * n_train), 1, POINTS_PER_BLOCK))


def exact_rows(k: int) -> int:
    """Return how many of the nearest rows stand in exact order."""
    return max(EXACT_ROWS, EXACT_ROWS_PER_NEIGHBOR * k)


class Scratch:
    """Arrays of one length for the rows of one point after the other, in a workspace."""

    def __init__(self, n_rows: int, workspace: Workspace) -> None:
        self.packed = workspace.array("packed", (n_rows,), np.uint64)
        self.spare = workspace.array("spare", (n_rows,), np.uint64)
        self.rows = workspace.array("ranked_rows", (n_rows,), np.int64)
        self.keys = workspace.array("ranked_keys", (n_rows,), np.float32)
        self.matches = workspace.array("ranked_matches", (n_rows,), np.bool_)


def ranked_points(
    train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, workspace: Workspace
) -> Iterator[RankedRows]:
    """Yield the ranked rows of each validation point of the chunk, in the chunk's order.

    Precision "default": float32 keys; among the nearest rows, those whose keys are too close to tell them
    apart are ordered by float64 differences of the stored embeddings. "float64": all rows by those.
    What is yielded holds until the next point is asked for.
    Cost a point: O(N D + N log N); memory: `memory.scratch_bytes`.
    """
    if train.n_train == 1 and chunk.train_rows is not None:  # a single row sits out its own game
        yield from [NO_ROWS] * chunk.n_validation
        return
    if options.precision == "float64":
        for point in range(chunk.n_validation):
            matches = match_flags(train.labels, chunk.labels[point], train.n_train)
            yield _rank_exactly(train, chunk.x[point], matches, _absent_row(chunk, point), options)
        return
    scratch = Scratch(train.n_train, workspace)
    for keyed in keyed_points(train, chunk, options.metric, workspace):
        yield rank_all(train, keyed, options, scratch)


def keyed_points(train: TrainArrays, chunk: ChunkArrays, metric: str, workspace: Workspace) -> Iterator[KeyedPoint]:
    """Yield each validation point with its float32 keys, computed a block of points at a time."""
    step = points_per_block(train.n_train)
    keys = workspace.array("block", (min(step, chunk.n_validation), train.n_train), np.float32)
    for start in range(0, chunk.n_validation, step):
        z = chunk.x[start : start + step]
        weights = distances.approximate_keys(train, z, metric, keys[: len(z)])
        for place in range(len(z)):
            absent = _absent_row(chunk, start + place)
            if absent is not None:
                keys[place, absent] = np.inf
            yield KeyedPoint(z[place], float(weights[place]), keys[place], chunk.labels[start + place], absent)


def rank_all(train: TrainArrays, point: KeyedPoint, options: RankingOptions, scratch: Scratch) -> RankedRows:
    """Return all rows that play, in order; the arrays are the scratch's."""
    n_players = rank_rows(point.keys, matches_of(train, point), scratch) - (point.absent is not None)
    return settle_near(train, point, n_players, options, scratch)


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
    """Return which training rows match a point, (n_train,) bool; the absent one does not."""
    flags = match_flags(train.labels, point.labels, train.n_train)
    if point.absent is not None:
        flags[point.absent] = False
    return flags


def _rank_exactly(
    train: TrainArrays, z: Floats, matches: Bools, absent: int | None, options: RankingOptions
) -> RankedRows:
    """Rank all rows by float64 keys, computed tile by tile."""
    return rank_exact_keys(
        distances.exact_keys(train.x, np.arange(train.n_train), z, options.metric), matches, absent, options
    )


def rank_exact_keys(keys: Float64s, matches: Bools, absent: int | None, options: RankingOptions) -> RankedRows:
    """Rank all rows by their float64 keys, ties not yet settled."""
    keys = distances.settle_ties(keys, options.metric)
    if absent is not None:
        keys[absent] = np.inf
    rows = np.argsort(keys, kind="stable")  # stable: equal keys stay in train row order
    rows = rows if absent is None else rows[:-1]
    ordered = keys[rows]
    return RankedRows(rows, matches[rows], _block_starts(ordered) if options.ties == "average" else None, ordered)


def rank_rows(keys: Floats, matches: Bools, scratch: Scratch) -> int:
    """Sort rows by float32 key into ``scratch``, an infinite key last; return how many there are.

    Leaves rows, matches and keys. O(n log n), see `loops.pack`.
    """
    n = len(keys)
    packed = scratch.packed[:n]
    loops.fastest().pack(keys, matches, packed)
    loops.fastest().sort_packed(packed, scratch.spare[:n])
    loops.fastest().unpack(packed, scratch.rows[:n], scratch.matches[:n], scratch.keys[:n])
    return n


def settle_near(
    train: TrainArrays, point: KeyedPoint, n_players: int, options: RankingOptions, scratch: Scratch
) -> RankedRows:
    """Return the ranked rows, the nearest of them in exact order."""
    return order_near(near_keys(train, point.z, point.weight, options.metric), n_players, options, scratch)


def order_near(near: NearKeys, n_players: int, options: RankingOptions, scratch: Scratch) -> RankedRows:
    """Return the rows that `rank_rows` left in ``scratch``, the nearest of them in exact order."""
    rows, matches, keys = scratch.rows[:n_players], scratch.matches[:n_players], scratch.keys[:n_players]
    n_near = min(exact_rows(options.k), n_players)
    if options.ties == "average":  # a tie block must not be cut in two kinds of keys
        n_near = int(np.searchsorted(keys, keys[n_near - 1], side="right"))
    starts = near_order.settle(
        near, rows[:n_near], matches[:n_near], keys[:n_near], metric=options.metric, average=options.ties == "average"
    )
    if options.ties == "id":
        return RankedRows(rows, matches, None)
    return RankedRows(rows, matches, np.append(starts, _block_starts(keys[n_near:])))


def _block_starts(sorted_keys: Floats) -> Bools:
    """Return where a new key begins in sorted keys, (n,) bool; the first one always does."""
    starts = np.ones(len(sorted_keys), np.bool_)
    np.not_equal(sorted_keys[1:], sorted_keys[:-1], out=starts[1:])
    return starts
