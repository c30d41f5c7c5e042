"""Radius: the neighbors of each validation point within a distance, their counts, and their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.kernels.distances import distances
from dvspark.kernels.radius import within_radius
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Float64s, Int32s, Int64s, Partial, TrainArrays, UInt8s

# Two bits a training row of a block of points stay under this many bytes.
BLOCK_BYTES = 256 * 2**20
# Training rows whose sums one sweep over the points adds to: twice as many no longer stay in the second-level cache.
# Whole bytes of bits, as a tile of rows must be.
ADDED_ROWS = 32_768
# Share of the points that have their tenth neighbor within an automatic radius.
SHARE = 0.9


@dataclass(frozen=True)
class Neighbors:
    """The training rows within the radius of some consecutive ``points`` of a chunk; valid until the next points.

    ``bits`` (n_points, 2, ceil(n_train / 8)) uint8, the first of eight rows in the highest bit: first neighbors that
    match the point, then other neighbors.
    """

    points: slice
    bits: UInt8s

    def counts(self) -> Int64s:
        """Return how many neighbors match each point and how many do not, (n_points, 2) int64."""
        return np.array([[np.count_nonzero(np.unpackbits(kind)) for kind in point] for point in self.bits], np.int64)

    def among(self, rows: UInt8s) -> Neighbors:
        """Return the neighbors that are among some rows, which are given as bits (ceil(n_train / 8),) uint8."""
        return Neighbors(self.points, self.bits & rows)

    def add(self, values: Float64s, value: Float64s, squared: Float64s) -> None:
        """Add what neighbors get from each point to ``value`` and ``squared`` (n_train,), point by point.

        ``values`` (n_points, 2): of a match, of another neighbor. Cost: O(n_points n_train); 32 KB a point.
        """
        # 3 ms a point for 1.5 million rows of which half are near, where a compiled loop over the bits was no faster.
        tables = values[:, :, None, None] * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        for start in range(0, len(value), ADDED_ROWS):
            for of_point, (match_table, other_table) in zip(self.bits, tables, strict=True):
                matches, others = of_point[:, start // 8 : (start + ADDED_ROWS) // 8]
                rows: slice | Int64s = slice(start, start + ADDED_ROWS)
                places = np.flatnonzero(matches | others)
                if 8 * len(places) < len(matches):
                    rows = (start + 8 * places[:, None] + np.arange(8)).ravel()
                    rows = rows[: np.searchsorted(rows, len(value))]
                    matches, others = matches[places], others[places]
                taken = np.take(match_table, matches, axis=0)
                taken += np.take(other_table, others, axis=0)
                added = taken.ravel()[: len(value[rows])]
                value[rows] += added
                added *= added
                squared[rows] += added


@dataclass(frozen=True)
class RadiusValues:
    """What the neighbors of some points get: ``values`` (n_points, 2), of a match and of another neighbor.

    ``utility`` and ``empty_utility`` (n_points,) are U(N) and U(∅). ``of_others`` (n_points, 2): the same for neighbors
    outside the sample that was counted, if there is a sample.
    """

    values: Float64s
    utility: Float64s
    empty_utility: Float64s
    of_others: Float64s


# Maps counts of matching and of other neighbors, (n_points, 2) int64, to their values.
ValuesOf = Callable[[Int64s], RadiusValues]


def radius_partial(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    radius: float,
    values_of: ValuesOf,
    workspace: Workspace,
    first_row: int = 0,
) -> Partial:
    """Return the partial of a chunk for a method whose values follow from how many neighbors within ``radius`` match.

    If the chunk has counts, these decide. Otherwise neighbors are counted here, which needs all training rows.
    ``train`` may be a block whose first row is ``first_row``; its rows then get the same bits as in one table.
    Cost: O(V N D). Memory beside the train arrays: `scratch_bytes`.
    """
    partial = Partial.zeros(train.n_train, row_bounds=options.row_bounds)
    sampled = None if train.columns.sampled is None else np.packbits(train.columns.sampled)
    for neighbors in neighbor_blocks(train, chunk, options, radius, workspace, first_row):
        counts = neighbors.counts() if chunk.counts is None else chunk.counts[neighbors.points]
        found = values_of(counts)
        if sampled is None:
            neighbors.add(found.values, partial.value, partial.value_squared)
        else:
            neighbors.among(sampled).add(found.values, partial.value, partial.value_squared)
            neighbors.among(~sampled).add(found.of_others, partial.value, partial.value_squared)
        for utility, empty in zip(found.utility.tolist(), found.empty_utility.tolist(), strict=True):
            partial.count(utility, empty)
        partial.n_alone += int(np.count_nonzero(counts.sum(axis=1) <= 0))
    return partial.centered()


def neighbor_counts(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    radius: float,
    workspace: Workspace,
    first_row: int = 0,
) -> Int64s:
    """Return how many neighbors match each point of a chunk, and how many do not, (n_validation, 2) int64.

    If training rows are sampled, only rows of the sample count. Each row is decided by itself, so the counts of blocks
    of training rows, whose first row is ``first_row``, add up.
    """
    counts = np.zeros((chunk.n_validation, 2), np.int64)
    sampled = None if train.columns.sampled is None else np.packbits(train.columns.sampled)
    for neighbors in neighbor_blocks(train, chunk, options, radius, workspace, first_row):
        counted = neighbors if sampled is None else neighbors.among(sampled)
        counts[neighbors.points] = counted.counts()
    return counts


def neighbor_blocks(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    radius: float,
    workspace: Workspace,
    first_row: int = 0,
) -> Iterator[Neighbors]:
    """Yield the neighbors of one block of points after the other.

    A row is within the radius if its float64 distance, see `distances.exact_keys`, is at most ``radius``. Precision
    "default" computes this distance only where the float32 key leaves doubt, "float64" always; the rows are the same.
    Under self-validation a point's own row is not a neighbor. Cost of a point: O(N D).
    """
    step = points_per_block(train.n_train)
    n_bytes = -(-train.n_train // 8)
    for start in range(0, chunk.n_validation, step):
        points = slice(start, min(start + step, chunk.n_validation))
        bits = workspace.array("neighbors", (points.stop - start, 2, n_bytes), np.uint8)
        if options.precision == "float64":
            within_radius.decide_exactly(train, chunk.x[points], options.metric, radius, bits[:, 0])
        else:
            within_radius.decide(train, chunk.x[points], options.metric, radius, bits[:, 0], workspace)
        if chunk.train_rows is not None:
            own = chunk.train_rows[points] - first_row
            here = np.flatnonzero((own >= 0) & (own < train.n_train))
            bits[here, 0, own[here] // 8] &= ~(128 >> own[here] % 8).astype(np.uint8)
        _split_by_match(train, chunk.labels[points], bits)
        yield Neighbors(points, bits)


def points_per_block(n_train: int) -> int:
    """Return how many validation points have their neighbors in memory at the same time."""
    return int(np.clip(BLOCK_BYTES // (2 * -(-n_train // 8)), 1, distances.POINTS_PER_PRODUCT))


def scratch_bytes(n_train: int, n_features: int) -> int:
    """Return a bound on the memory beside the train arrays, in bytes.

    It counts two bits for each row and each of P points, the points' keys with a tile of T rows, waiting pairs, the
    match flags of one point, and five tiles in float64.
    """
    points, tile = points_per_block(n_train), min(n_train, distances.TILE_ROWS)
    pairs = 96 * (within_radius.WAITING_PAIRS + points * tile)
    return (
        points * (n_train // 4 + 8 * tile + 2**15)
        + pairs
        + 3 * n_train
        + (42 * tile + 24 * points) * n_features
        + 2**20
    )


def radius_from_neighbors(distances_of_tenth: Float64s, share: float = SHARE) -> float:
    """Return the smallest radius within which ``share`` of the points have their tenth neighbor.

    ``distances_of_tenth`` (n_points,) float64, at least one, in the metric's unit.
    """
    n_points = len(distances_of_tenth)
    needed = max(math.ceil(share * n_points * (1.0 - 1e-12)), 1)  # 0.9 is a little more than nine tenths
    return float(np.partition(distances_of_tenth, needed - 1)[needed - 1])


def _split_by_match(train: TrainArrays, labels: Sequence[Int32s], bits: UInt8s) -> None:
    """Turn ``bits`` (n_points, 2, n_bytes), whose first half has all neighbors, into matches and others."""
    flags_of: tuple[bytes, UInt8s] | None = None
    for point in sorted(range(len(bits)), key=lambda point: labels[point].tobytes()):
        codes = labels[point]
        if flags_of is None or flags_of[0] != codes.tobytes():
            flags_of = codes.tobytes(), np.packbits(ranking.match_flags(train.labels, codes, train.n_train))
        np.bitwise_and(bits[point, 0], ~flags_of[1], out=bits[point, 1])
        bits[point, 0] &= flags_of[1]
