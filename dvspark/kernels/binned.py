"""The binned ranking of a chunk: near rows sorted, the rest by bins, the full sort where bins would not do.

Two passes over the rows for a block of points: one gives every row of every point its code (bin and match), the other
adds up what the codes are worth. Between them each point's bins are counted, certified and valued.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import bins, distances, loops, ranking
from dvspark.kernels.bins import BinEdges, Tails
from dvspark.kernels.rank_values import RankWeights, ranked_values
from dvspark.kernels.ranking import NearKeys, RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import (
    Bools,
    ChunkArrays,
    Float64s,
    Floats,
    Int32s,
    Int64s,
    Partial,
    TrainArrays,
    TrainLabels,
    UInt16s,
)

# Where a point's certificate is too wide, this many times more rows are ordered, then four times that; then all.
MORE_NEAR = (1, 4, 16)

# Codes, near rows and tables of a block of points stay under this many bytes. Half the points in a product cost a
# quarter more time in it.
BLOCK_BYTES = 512 * 2**20

# Near rows that have a place, beside how many are expected: the sample's estimate of their number is off by some 5 %.
NEAR_CAPACITY = 1.25
# A point is given up when so few places are left. What is counted does not show by one or two how many there were, for
# copies and the row that sits out are moved afterwards.
SPARE_PLACES = 64


@dataclass(frozen=True)
class BinnedBlock:
    """A block of points between the two passes.

    ``codes`` (n_points, n_rows) uint16; ``near_rows`` (n_points, capacity + 1) int32, ascending, of which ``n_near``
    (n_points,) int64 are there, or more than the capacity where they found no place; ``near_keys`` their float32 keys.
    """

    codes: UInt16s
    near_rows: Int32s
    near_keys: Floats
    n_near: Int64s

    @classmethod
    def empty(cls, n_points: int, n_rows: int, capacity: int, workspace: Workspace) -> BinnedBlock:
        """Return a block without rows, in the workspace."""
        return cls(
            workspace.array("block", (n_points, n_rows), np.uint16),
            workspace.array("near_rows", (n_points, capacity + 1), np.int32),
            workspace.array("near_keys", (n_points, capacity + 1), np.float32),
            np.zeros(n_points, np.int64),
        )

    @property
    def capacity(self) -> int:
        """How many near rows of a point have a place."""
        return self.near_rows.shape[1] - 1

    def near(self, point: int) -> tuple[Int32s, Floats]:
        """Return a point's near rows and their keys; none where they found no place, then no values come of it."""
        n_near = int(self.n_near[point])
        n_near = n_near if n_near <= self.capacity else 0
        return self.near_rows[point, :n_near], self.near_keys[point, :n_near]


@dataclass(frozen=True)
class Game:
    """What the games of all points share: how rows are compared, and the method for so many players.

    ``utility`` tells U(N) and U(∅) of a point's ranked rows, of which the nearest are enough.
    """

    options: RankingOptions
    n_players: int
    weights: RankWeights
    tails: Tails
    utility: Callable[[RankedRows, int], tuple[float, float]]


@dataclass(frozen=True)
class ValuedPoint:
    """One point's near rows in rank order, as places in the list of them, their values by place, the certificate.

    ``values`` (n_near,) float64; ``bound``: no value of the point is further from the sorted ranking's.
    """

    near: RankedRows
    values: Float64s
    bound: float


def near_capacity(n_train: int, n_near: int) -> int:
    """Return for how many near rows of a point there is a place."""
    return min(n_train, int(NEAR_CAPACITY * n_near) + 1_000)


def most_near_rows(n_train: int, capacity: int) -> int:
    """Return up to how many near rows a point is served, so many having a place."""
    return capacity if capacity == n_train else capacity - SPARE_PLACES


def point_bytes(n_train: int, capacity: int) -> int:
    """Return the bytes of a point's codes, near rows and their values, and tables of values and certificates."""
    return 2 * n_train + 16 * capacity + 32 * bins.N_BINS


def points_per_block(n_train: int, capacity: int) -> int:
    """Return how many points go through both passes together."""
    return int(np.clip(BLOCK_BYTES // point_bytes(n_train, capacity), 8, distances.POINTS_PER_PRODUCT))


def even_blocks(points: Int64s, most: int) -> Iterator[Int64s]:
    """Yield the points in as few blocks of at most ``most`` as there can be, of nearly equal size."""
    yield from np.array_split(points, -(-len(points) // most)) if len(points) else ()


def sample_arrays(train: TrainArrays) -> TrainArrays:
    """Return the training rows whose keys tell where bins go, as rows of their own."""
    rows = bins.sample_rows(train.n_train)
    scale = None if train.scale is None else train.scale[rows]
    none = np.empty((0, 2), np.int32)
    return TrainArrays(train.x[rows], TrainLabels(None), scale, train.center, train.squared_norm[rows], none)


def point_blocks(
    sample: TrainArrays, chunk: ChunkArrays, points: Int64s, metric: str, n_train: int, n_near: int
) -> Iterator[tuple[Int64s, list[BinEdges | None]]]:
    """Yield the points that go through both passes together, and where each one's bins lie.

    None where the sample does not tell. The cut depends on ``n_train``, the rows of the whole table, alone: the last
    bits of a product may depend on how many points it has.
    """
    for some in even_blocks(points, points_per_block(n_train, near_capacity(n_train, n_near))):
        keys = np.empty((len(some), sample.n_train), np.float32)
        distances.approximate_keys(sample, chunk.x[some], metric, keys)
        yield some, [bins.edges(of_point[np.isfinite(of_point)], n_train, n_near) for of_point in keys]


def assign_rows(
    train: TrainArrays,
    chunk: ChunkArrays,
    edges: list[BinEdges],
    metric: str,
    block: BinnedBlock,
    workspace: Workspace,
) -> Float64s:
    """Fill ``block`` with the codes and near rows of ``train``, for all points of the chunk: the first pass.

    Returns the norms of the points' weights, for `distances.key_sizes`. 2 N D n_points floating-point operations.
    """
    assign = loops.fastest().assign_bins
    points = distances.place_points(train, chunk.x, metric)
    low, per_unit = np.array([e.low for e in edges]), np.array([e.per_unit for e in edges])
    lines = np.stack([e.lines for e in edges])
    # One label a row and a point: compared on the way. Otherwise the rows that match are looked up afterwards.
    labels = train.labels.codes
    alone = np.array([labels is not None and len(codes) == 1 for codes in chunk.labels])
    asked = np.array([codes[0] if single else -1 for codes, single in zip(chunk.labels, alone, strict=True)], np.int32)
    labels = np.zeros(train.n_train, np.int32) if labels is None else labels
    products = workspace.array("products", (chunk.n_validation * min(distances.TILE_ROWS, train.n_train),), np.float32)
    block.n_near[:] = 0
    for start, tile, addend in distances.tile_products(train, points, metric, products):
        of_tile = labels[start : start + len(addend)]
        near = (block.near_rows, block.near_keys, block.n_near)
        assign(tile, addend, of_tile, asked, low, per_unit, lines, start, block.codes, *near)
    for point in np.flatnonzero(~alone).tolist():
        flags = ranking.match_flags(train.labels, chunk.labels[point], train.n_train)
        np.bitwise_or(block.codes[point], flags, out=block.codes[point])
    give_copies_their_key(block, train.duplicates, block)
    return points.norms


def give_copies_their_key(block: BinnedBlock, pairs: Int32s, source: BinnedBlock) -> None:
    """Give rows the bins of other ones and, if these are near, their keys.

    ``pairs`` (n, 2) int32 of a row of the block and the row of ``source``, the block itself or another of the same
    points, that it is a copy of.
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
        n_near, n_source = int(block.n_near[point]), int(source.n_near[point])
        if n_near > capacity or n_source > source.capacity:
            block.n_near[point] = capacity + 1
            continue
        source_rows, source_keys = source.near_rows[point, :n_source], source.near_keys[point, :n_source]
        near = bins_of == 0
        of_first = source_keys[np.searchsorted(source_rows, firsts[near])]
        rows, keys = block.near_rows[point, :n_near], block.near_keys[point, :n_near]
        kept = ~is_copy[rows]
        rows, keys = np.append(rows[kept], copies[near]), np.append(keys[kept], of_first)
        order = np.argsort(rows)[:capacity]
        block.near_rows[point, : len(order)], block.near_keys[point, : len(order)] = rows[order], keys[order]
        block.n_near[point] = len(rows)


def take_out(block: BinnedBlock, train_rows: Int64s | None) -> None:
    """Take each point's row of ``train_rows``, if it is in the block, out of its game.

    It is no near row then, and its code is worth nothing.
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


def count_rows(block: BinnedBlock, point: int, absent: int) -> Int64s:
    """Return how many rows have each code, (2 N_BINS,) int64; ``absent`` of them, 0 or 1, were taken out."""
    counts = np.empty(2 * bins.N_BINS, np.int64)
    loops.fastest().count_codes(block.codes[point], counts)
    counts[0] -= absent
    return counts


def value_point(
    counts: Int64s,
    keys: Floats,
    matches: Bools,
    near: NearKeys,
    most_near: int,
    game: Game,
    of_code: Float64s,
    bound_of_code: Float64s,
    workspace: Workspace,
) -> ValuedPoint | None:
    """Return one point's values, or None where none can be certified to keep the tolerance.

    ``counts`` (2 N_BINS,) rows of each code; ``keys`` (n_near,) float32 and ``matches`` of the near rows, in order of
    their rows; ``near`` tells their exact keys by place; ``most_near`` as in `most_near_rows`. What codes are worth,
    and its certificate, fill ``of_code``
    and ``bound_of_code`` (2 N_BINS,) float64. O(bins + n_near log n_near).
    """
    n_near = int(counts[0] + counts[1])
    if n_near != len(keys) or not ranking.exact_rows(game.options.k) <= n_near <= most_near:
        return None
    near_loss = loops.fastest().value_bins(counts, game.tails.sums, game.tails.own, of_code, bound_of_code)
    bound = float(bound_of_code.max())
    if not bound <= game.options.tolerance:
        return None
    scratch = ranking.Scratch(n_near, workspace)
    ranking.rank_rows(keys, matches, scratch)
    ranked = ranking.order_near(near, n_near, game.options, scratch)
    # The terms that depend on the match alone count all matches; near rows lose to those beyond them too.
    constant = game.weights.shared * int(counts[1::2].sum()) + game.weights.constant
    alone = RankWeights(game.weights.own[:n_near], game.weights.suffix[:n_near])
    alone = dataclasses.replace(alone, match=game.weights.match, constant=constant - near_loss)
    of_rank = workspace.array("of_rank", (n_near,), np.float64)
    of_rank = ranked_values(ranked.matches, ranked.block_starts, alone, of_rank)
    of_code[2::2] += constant
    of_code[3::2] += constant + game.weights.match
    values = workspace.array("of_place", (n_near,), np.float64)
    values[ranked.rows] = of_rank
    return ValuedPoint(ranked, values, bound)


def binned_partial(train: TrainArrays, chunk: ChunkArrays, game: Game, workspace: Workspace) -> tuple[Partial, Int64s]:
    """Return the partial of the points of a chunk that bins serve, and the points that they do not.

    Points that one number of near rows does not serve come again with more of them. The certificates add up in
    ``error_bound``. Cost: O(V N D) for the products and O(V N) beyond; memory: `memory.scratch_bytes`.
    """
    options = game.options
    sample, left = sample_arrays(train), np.arange(chunk.n_validation)
    total: Partial | None = None
    for n_near in near_rounds(train.n_train, options):
        if len(left):
            found, left = _round(train, chunk, left, n_near, sample, game, workspace)
            total = found if total is None else total.plus(found)
    return total or Partial.zeros(train.n_train, row_bounds=options.row_bounds), left


def near_rounds(n_train: int, options: RankingOptions) -> list[int]:
    """Return with how many near rows to try, one after the other, before all rows are sorted."""
    fewest = bins.near_rows(n_train, ranking.exact_rows(options.k), options.tolerance)
    return [more * fewest for more in MORE_NEAR if 2 * more * fewest <= n_train]


def _round(
    train: TrainArrays,
    chunk: ChunkArrays,
    left: Int64s,
    n_near: int,
    sample: TrainArrays,
    game: Game,
    workspace: Workspace,
) -> tuple[Partial, Int64s]:
    """Return the partial of those points that so many near rows serve, and the other points."""
    partial, failed = Partial.zeros(train.n_train, row_bounds=game.options.row_bounds), []
    capacity = near_capacity(train.n_train, n_near)
    for points, edges in point_blocks(sample, chunk, left, game.options.metric, train.n_train, n_near):
        binnable = points[[found is not None for found in edges]]
        failed += list(np.setdiff1d(points, binnable))
        if len(binnable):
            here, known = chunk.take(binnable), [found for found in edges if found is not None]
            block = BinnedBlock.empty(len(binnable), train.n_train, capacity, workspace)
            norms = assign_rows(train, here, known, game.options.metric, block, workspace)
            take_out(block, here.train_rows)
            served = _value_block(train, here, block, norms, game, partial, workspace)
            failed += list(binnable[~served])
    return partial, np.sort(np.array(failed, np.int64))


def _value_block(
    train: TrainArrays,
    chunk: ChunkArrays,
    block: BinnedBlock,
    norms: Float64s,
    game: Game,
    partial: Partial,
    workspace: Workspace,
) -> Bools:
    """Add the points' values to the partial; return which points they could be certified for."""
    n_points, capacity = len(block.codes), block.capacity
    tables = workspace.array("tables", (n_points, 2 * bins.N_BINS), np.float64)
    near_values = workspace.array("near_values", (n_points, capacity), np.float64)
    with_bounds = partial.row_bounds is not None
    bounds = workspace.array("bounds", (n_points if with_bounds else 1, 2 * bins.N_BINS), np.float64)
    with_loops = loops.fastest()
    done, most = np.zeros(n_points, np.bool_), most_near_rows(train.n_train, capacity)
    for point in range(n_points):
        rows, keys = block.near(point)
        counts = count_rows(block, point, absent=int(chunk.train_rows is not None))
        near = ranking.near_keys(train, chunk.x[point], float(norms[point]), game.options.metric, rows)
        matches = workspace.array("near_matches", (len(rows),), np.bool_)
        with_loops.matches_of(block.codes[point], rows, matches)
        of_code = (tables[point], bounds[point if with_bounds else 0])
        valued = value_point(counts, keys, matches, near, most, game, *of_code, workspace)
        if valued is not None:
            done[point], near_values[point, : len(rows)] = True, valued.values
            partial.count(*game.utility(valued.near, game.n_players), valued.bound)
    points, sums = np.flatnonzero(done), (partial.value, partial.value_squared)
    with_loops.add_values(block.codes, points, tables, block.near_rows, near_values, block.n_near, *sums)
    if partial.row_bounds is not None:
        with_loops.add_bounds(block.codes, points, bounds, partial.row_bounds)
    return done
