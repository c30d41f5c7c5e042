"""Row codes: the first pass of the binned ranking, which gives every row of every point a code and finds near rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.binning import bins
from dvspark.kernels.binning.bins import BinEdges
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_sizes import key_size
from dvspark.kernels.ranking import near_order, ranking
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import (
    Bools,
    ChunkArrays,
    Float64s,
    Floats,
    Int32s,
    Int64s,
    TrainArrays,
    TrainLabels,
    UInt16s,
)

# What a worker takes beside the training rows stays under this many bytes, or if it is more, under what the sort of all
# rows would take, as long as 8 points do not take more. A block of points gets what tables and sums over rows leave:
# half the points in a product cost a quarter more time in it, and 8 points seven times as much as 256
# (docs/decisions/0051).
WORKER_BYTES = 9 * 2**27
TABLE_ROW_BYTES = 57

# Near rows have a place for so many standard deviations more than are expected, as the sample tells their number.
NEAR_DEVIATIONS = 3.5
# A point is given up when so few places are left. The count may be off by one or two rows, because
# copies, and the row that sits out, are moved afterward.
SPARE_PLACES = 64


@dataclass(frozen=True)
class BinnedBlock:
    """A block of points between the two passes.

    - ``codes`` (n_points, n_rows) uint16: bin and match of every row.
    - ``near_rows`` (n_points, capacity) int32, ascending. ``n_near`` (n_points,) int64 of them are there; if ``n_near``
      exceeds the capacity, the near rows found no place.
    - ``near_values`` (n_points, capacity) float64: room for their values.
    """

    codes: UInt16s
    near_rows: Int32s
    near_values: Float64s
    n_near: Int64s

    @classmethod
    def empty(cls, n_points: int, n_rows: int, capacity: int, workspace: Workspace) -> BinnedBlock:
        """Return a block whose rows have no codes yet, in arrays of the workspace."""
        return cls(
            workspace.array("block", (n_points, n_rows), np.uint16),
            workspace.array("near_rows", (n_points, capacity), np.int32),
            workspace.array("near_values", (n_points, capacity), np.float64),
            np.zeros(n_points, np.int64),
        )

    @property
    def capacity(self) -> int:
        """How many near rows of a point have a place."""
        return self.near_rows.shape[1]

    @property
    def near_keys(self) -> Floats:
        """The float32 keys of the near rows, (n_points, 2 capacity), in the memory that their values will take."""
        return self.near_values.view(np.float32)

    def near(self, point: int) -> tuple[Int32s, Floats]:
        """Return a point's near rows and their keys; none if they found no place.

        Such a point is not valued in this block.
        """
        n_near = int(self.n_near[point])
        n_near = n_near if n_near <= self.capacity else 0
        return self.near_rows[point, :n_near], self.near_keys[point, :n_near]

    def matches(self, point: int, rows: Int32s) -> Bools:
        """Return which of the given rows match the point, (n,) bool."""
        found = np.empty(len(rows), np.bool_)
        loops.fastest().matches_of(self.codes[point], rows, found)
        return found


def near_capacity(n_train: int, n_near: int) -> int:
    """Return for how many near rows of a point there is a place, where `bins.edges` is asked for ``n_near``."""
    told_by = n_near * bins.sample_size(n_train) / n_train
    most = bins.MOST_TIMES_NEAR * n_near
    return min(n_train, int(most * (1.0 + NEAR_DEVIATIONS / np.sqrt(told_by))) + 1_000)


def most_near_rows(n_train: int, capacity: int) -> int:
    """Return the largest number of near rows with which a point is served, if ``capacity`` of them have a place."""
    return capacity if capacity == n_train else capacity - SPARE_PLACES


def point_bytes(n_train: int, n_features: int, capacity: int) -> int:
    """Return the bytes of one point: its codes, near rows and their values, table, products and features."""
    return 2 * n_train + 12 * capacity + 16 * bins.N_BINS + 4 * distances.TILE_ROWS + 24 * n_features


def table_bytes(n_train: int, n_features: int) -> int:
    """Return the bytes that all points share: tables and sums over the rows, the sample, and tiles in float64."""
    return TABLE_ROW_BYTES * n_train + (4 * bins.SAMPLE_LIMITS[1] + 12 * distances.TILE_ROWS) * n_features + 2**22


def points_per_block(n_train: int, n_features: int, capacity: int) -> int:
    """Return how many points go through both passes together."""
    by_sort = ranking.sort_bytes(n_train, n_features, ranking.points_per_block(n_train))
    left = max(WORKER_BYTES, by_sort) - table_bytes(n_train, n_features)
    return int(np.clip(left // point_bytes(n_train, n_features, capacity), 8, distances.POINTS_PER_PRODUCT))


def even_blocks(points: Int64s, most: int) -> Iterator[Int64s]:
    """Yield the points in blocks of nearly equal size: as few blocks as possible, of at most ``most`` points."""
    yield from np.array_split(points, -(-len(points) // most)) if len(points) else ()


def sample_arrays(train: TrainArrays) -> TrainArrays:
    """Return the sample of training rows that says where bins lie, as train arrays of their own."""
    rows = bins.sample_rows(train.n_train)
    scale = None if train.scale is None else train.scale[rows]
    none = np.empty((0, 2), np.int32)
    norms = train.squared_norm[rows]
    return TrainArrays(train.x[rows], TrainLabels(None), scale, train.center, norms, none, longest=train.largest_norm)


def point_blocks(
    sample: TrainArrays,
    chunk: ChunkArrays,
    points: Int64s,
    metric: str,
    n_train: int,
    n_near: int,
    workspace: Workspace,
) -> Iterator[tuple[Int64s, list[BinEdges | None]]]:
    """Yield the points that go through both passes together, and where the bins of each point lie.

    The bins are None if the sample does not give them. The cut into blocks depends only on ``n_train``, the rows of the
    whole table, because the last bits of a product may depend on the number of points in it. The sample's keys use the
    memory that codes will take.
    """
    most = points_per_block(n_train, sample.x.shape[1], near_capacity(n_train, n_near))
    for some in even_blocks(points, most):
        keys = workspace.array("block", (len(some), sample.n_train), np.float32)
        norms = distances.approximate_keys(sample, chunk.x[some], metric, keys)
        yield some, _edges(sample, keys, chunk.x[some], norms, metric, n_train, n_near)


def _edges(
    sample: TrainArrays, keys: Floats, z: Floats, weights: Float64s, metric: str, n_train: int, n_near: int
) -> list[BinEdges | None]:
    """Return where the bins of each point lie, from its float32 ``keys`` of the sample, which are sorted in place."""
    some = near_order.error_sample(sample.n_train)
    norms, limits_of = sample.squared_norm[some], []
    for of_point, point, weight in zip(keys, z, weights.tolist(), strict=True):
        exact = distances.exact_keys(sample.x, some, point, metric)
        limits_of.append(near_order.key_limits(key_size(sample, weight, metric), exact, of_point[some], norms))
    finite = np.isfinite(keys)
    if finite.all():
        return bins.edges(keys, n_train, n_near, limits_of)
    told = zip(keys, finite, limits_of, strict=True)
    return [bins.edges(of_point[kept][None], n_train, n_near, [limits])[0] for of_point, kept, limits in told]


def assign_rows(
    train: TrainArrays,
    chunk: ChunkArrays,
    edges: list[BinEdges],
    metric: str,
    block: BinnedBlock,
    workspace: Workspace,
) -> Float64s:
    """Fill ``block`` with the codes and near rows of ``train`` for all points of the chunk: the first pass.

    Return the norms of the points' weights, for `key_sizes.key_size`. Cost: 2 N D n_points floating-point operations.
    """
    assign = loops.fastest().assign_bins
    points = distances.place_points(train, chunk.x, metric)
    low, origin, per_unit = (np.array(of) for of in zip(*((e.low, e.origin, e.per_unit) for e in edges), strict=True))
    lines = np.stack([e.lines for e in edges])
    # If rows and points have one label each, labels are compared on the way; otherwise matches are looked up afterward.
    labels = train.labels.codes
    alone = np.array([labels is not None and len(codes) == 1 for codes in chunk.labels])
    asked = np.array([codes[0] if single else -1 for codes, single in zip(chunk.labels, alone, strict=True)], np.int32)
    labels = np.zeros(train.n_train, np.int32) if labels is None else labels
    products = workspace.array("products", (chunk.n_validation * min(distances.TILE_ROWS, train.n_train),), np.float32)
    block.n_near[:] = 0
    for start, tile, addend in distances.tile_products(train, points, metric, products):
        of_tile = labels[start : start + len(addend)]
        near = (block.near_rows, block.near_keys, block.n_near)
        assign(tile, addend, of_tile, asked, low, origin, per_unit, lines, start, block.codes, *near)
    for point in np.flatnonzero(~alone).tolist():
        flags = ranking.match_flags(train.labels, chunk.labels[point], train.n_train)
        np.bitwise_or(block.codes[point], flags, out=block.codes[point])
    give_copies_their_key(block, train.duplicates, block)
    return points.norms


def give_copies_their_key(block: BinnedBlock, pairs: Int32s, source: BinnedBlock) -> None:
    """Give copies the bins of their originals and, if these are near, the keys.

    ``pairs`` (n, 2) int32 has a row of the block and the row of ``source`` of which it is a copy. ``source`` is the
    block itself, or another block of the same points.
    """
    if not len(pairs):
        return
    copies, firsts = pairs[:, 0], pairs[:, 1]
    is_copy = np.zeros(block.codes.shape[1], np.bool_)
    is_copy[copies] = True
    capacity = block.capacity
    for point, codes in enumerate(block.codes):
        bins_of = source.codes[point][firsts] & ~np.uint16(1)
        codes[copies] = bins_of | (codes[copies] & 1)
        if block.n_near[point] > capacity or source.n_near[point] > source.capacity:
            block.n_near[point] = capacity + 1
            continue
        source_rows, source_keys = source.near(point)
        near = bins_of == 0
        of_first = source_keys[np.searchsorted(source_rows, firsts[near])]
        rows, keys = block.near(point)
        kept = ~is_copy[rows]
        rows, keys = np.append(rows[kept], copies[near]), np.append(keys[kept], of_first)
        order = np.argsort(rows)[:capacity]
        block.near_rows[point, : len(order)], block.near_keys[point, : len(order)] = rows[order], keys[order]
        block.n_near[point] = len(rows)


def take_out(block: BinnedBlock, train_rows: Int64s | None) -> None:
    """Take each point's own row in ``train_rows``, if the block has it, out of the point's game.

    The row is then no near row, and its code is worth nothing.
    """
    for point, row in enumerate([] if train_rows is None else train_rows.tolist()):
        if not 0 <= row < block.codes.shape[1]:
            continue
        n_near = int(block.n_near[point])
        if block.codes[point, row] < 2 and n_near <= block.capacity:
            place = int(np.searchsorted(block.near_rows[point, :n_near], row))
            for listed in (block.near_rows[point], block.near_keys[point]):
                listed[place : n_near - 1] = listed[place + 1 : n_near]
            block.n_near[point] = n_near - 1
        block.codes[point, row] = 0


def count_rows(block: BinnedBlock, point: int, absent: int) -> Int32s:
    """Return how many rows have each code, (6 N_BINS,) int32.

    The ``absent`` rows (0 or 1) that were taken out are not counted.
    """
    counts = np.empty(bins.N_COUNTS, np.int32)
    loops.fastest().count_codes(block.codes[point], counts)
    counts[0] -= absent
    return counts
