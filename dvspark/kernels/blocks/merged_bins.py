"""Merged points under bins: blocks count their rows by bin, one place values the bins, and blocks add the values up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.binning import binned, bins, row_codes
from dvspark.kernels.binning.binned import RankingGame
from dvspark.kernels.binning.bins import BinDoubt
from dvspark.kernels.binning.row_codes import BinnedBlock
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int32s, Int64s, TrainArrays, TrainBlock, UInt16s


@dataclass(frozen=True)
class BinnedPart:
    """A block's part of one point, with rows numbered in the block.

    ``counts`` (6 N_BINS,) integers: rows of each code. ``near_rows`` (n_near,) int32, ascending, ``near_keys`` float32,
    ``near_matches`` bool. ``doubt``: what is in doubt about the point's bins; the same in all blocks.
    """

    counts: np.ndarray[Any, np.dtype[np.integer[Any]]]
    near_rows: Int32s
    near_keys: Floats
    near_matches: Bools
    doubt: BinDoubt


@dataclass(frozen=True)
class MergedValues:
    """What all rows get from one point: by code, and for each near row in the order of the parts.

    ``values`` and ``bounds`` (2 N_BINS,) float64; ``near_values`` (n_near,) float64; utilities and the certificate.
    """

    values: Float64s
    bounds: Float64s
    near_values: Float64s
    utility: tuple[float, float]
    error_bound: float


def binned_parts(
    block: TrainBlock,
    sample: TrainArrays,
    chunk: ChunkArrays,
    points: Int64s,
    metric: str,
    n_train: int,
    n_near: int,
    workspace: Workspace,
) -> Iterator[tuple[Int64s, UInt16s, Iterator[BinnedPart | None]]]:
    """Yield (points, codes, parts) for those of ``points`` that go through together; arrays are valid until the next.

    ``codes`` (n_served, n_rows) uint16 are those of the points that have a part; for other points the sample does not
    say where bins lie. ``n_train`` is the number of rows in all blocks, of which about ``n_near`` should be near a
    point. Tiles and blocks of points are those of one table, and so are the bits.
    Cost of a point: O(n_rows D). Memory: `memory.scratch_bytes` of the block's rows, for as many points as with
    ``n_train`` rows.
    """
    train = block.train
    capacity = min(row_codes.near_capacity(n_train, n_near), train.n_train)
    for some, edges in row_codes.point_blocks(sample, chunk, points, metric, n_train, n_near, workspace):
        known = [found for found in edges if found is not None]
        here = chunk.take(some[[found is not None for found in edges]])
        found = BinnedBlock.empty(here.n_validation, train.n_train, capacity, workspace)
        parts: Iterator[BinnedPart] = iter(())
        if known:
            row_codes.assign_rows(train, here, known, metric, found, workspace)
            if block.guests is not None:
                # The rows of zeros between guests may all be near.
                n_guests = block.guests.n_train
                copied = BinnedBlock.empty(here.n_validation, n_guests, n_guests, Workspace())
                no_labels = ChunkArrays(here.x, [np.empty(0, np.int32)] * here.n_validation)
                row_codes.assign_rows(block.guests, no_labels, known, metric, copied, workspace)
                row_codes.give_copies_their_key(found, block.guest_pairs, copied)
            own = None if here.train_rows is None else here.train_rows - block.first_row
            row_codes.take_out(found, own)
            parts = _parts(train, found, own, [edge.doubt for edge in known])
        yield some, found.codes, (None if where is None else next(parts) for where in edges)


def _parts(
    train: TrainArrays, block: BinnedBlock, own: Int64s | None, doubts: Sequence[BinDoubt]
) -> Iterator[BinnedPart]:
    for point, doubt in enumerate(doubts):
        absent = own is not None and 0 <= own[point] < train.n_train
        counts = row_codes.count_rows(block, point, absent=int(absent))
        rows, keys = block.near(point)
        yield BinnedPart(counts, rows, keys, block.matches(point, rows), doubt)


def value_parts(
    parts: Sequence[BinnedPart | None],
    first_rows: Sequence[int],
    near_of: Callable[[Int64s], NearKeys],
    most_near: int,
    game: RankingGame,
    workspace: Workspace,
) -> MergedValues | None:
    """Return what the parts of one point, from all blocks in order, are worth; None if bins do not serve the point.

    ``first_rows`` are the places of each block's first row in the whole table. ``near_of`` gives exact keys of rows of
    the whole table. ``most_near`` as in `row_codes.most_near_rows`. Cost and bits as in `binned.value_point`.
    """
    told = [part for part in parts if part is not None]
    if len(told) < len(parts):
        return None
    counts: Int32s = np.zeros(bins.N_COUNTS, np.int32)
    for part in told:  # one by one: those of a thousand blocks are read from files
        counts += part.counts
    near = near_of(_joined([part.near_rows for part in told], first_rows))
    keys = np.concatenate([part.near_keys for part in told])
    matches = np.concatenate([part.near_matches for part in told])
    values, bounds = np.empty(2 * bins.N_BINS), np.empty(2 * bins.N_BINS)
    of_code = (values, bounds)
    valued = binned.value_point(counts, told[0].doubt, keys, matches, near, most_near, game, *of_code, workspace)
    if valued is None:
        return None
    return MergedValues(values, bounds, valued.values, game.utility(valued.near, game.n_players), valued.bound)


def add_points(
    codes: UInt16s,
    tables: Float64s,
    near: Sequence[tuple[Int32s, Float64s]],
    value: Float64s,
    squared: Float64s,
) -> None:
    """Add the values of points and their squares to the sums of a block's rows; ``near``: rows and values of each.

    Arrays as in `loops.add_values`. The bits are those of one point after the other.
    """
    n_near = np.array([len(rows) for rows, _ in near])
    near_rows = np.zeros((len(near), int(n_near.max())), np.int32)
    near_values = np.zeros(near_rows.shape)
    for point, (rows, values) in enumerate(near):
        near_rows[point, : len(rows)], near_values[point, : len(rows)] = rows, values
    given = (np.arange(len(near)), tables, near_rows, near_values, n_near)
    loops.fastest().add_values(codes, *given, bins.AT_BEGIN - 1, value, squared)


def add_bounds(codes: UInt16s, tables: Float64s, bounds: Float64s) -> None:
    """Add the certificates of points to the sums of a block's rows."""
    loops.fastest().add_bounds(codes, np.arange(len(codes)), tables, bounds)


def _joined(rows: Sequence[Int32s], first_rows: Sequence[int]) -> Int64s:
    return np.concatenate([part.astype(np.int64) + first for part, first in zip(rows, first_rows, strict=True)])
