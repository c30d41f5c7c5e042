"""Near order: rows whose order float32 keys leave in doubt get exact keys where that matters, else a certificate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_sizes import KeySize, key_size
from dvspark.kernels.loops import doubt_loops
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, TrainArrays, UInt64s

# The error of float32 keys is measured on so many rows, the same for all points, relative to the size of numbers added
# up. A key is taken to be within so many standard deviations of the exact one: measured, not proved. A proved
# bound (key_bounds) is sqrt(D) times larger at least, and would call the order of nearly all rows doubtful.
ERROR_SAMPLE = 64
ERROR_DEVIATIONS = 10.0
SMALLEST_ERROR = float(np.finfo(np.float32).eps) / 8
# Sizes below this share of others count as that: float64 keys round off some 1e-16 of the point's square, which is
# then far below the smallest error.
SMALLEST_SIZE = 1e-3

# One limit serves all rows of a point, unless the longest row needs a limit so many times that of the nearest row.
LARGEST_ROOM = 4.0

# No limit of a row may grow faster than its key. Sizes grow up to 300 times as fast, next to the point: where keys are
# off by so much of a size that limits might, one limit does for all rows again.
LARGEST_GROWTH = 0.0025

# The doubt that is left may take this share of what is allowed for a row that stands in it; the rest is for rows nearer
# than it.
SHARE_OF_ROW = 0.95

# In a larger group of rows with equal keys, inserting one row after the other is slow.
LARGEST_GROUP = 64


@dataclass(frozen=True)
class NearKeys:
    """How to get exact keys of one point's rows, and the size of its float32 keys.

    For rows (n,) int64, ``exact`` returns their float64 keys before `settle_ties`, and ``norms`` their squared norms in
    the form in which they enter products, both (n,) float64. ``size`` is the size of the numbers from which keys are
    added up.
    """

    exact: Callable[[Int64s], Float64s]
    norms: Callable[[Int64s], Float64s]
    size: KeySize


@dataclass(frozen=True)
class SettledRows:
    """The result of putting one point's sorted rows in order.

    - ``bound``: no value is further from that of the exact order because of the order of rows.
    - ``places`` (n,) int32: the ranks, from 0 and ascending, that were put in exact order.
    - ``keys`` (n,) float64: the exact keys at these places. ``groups`` (n,) int32: the groups in which they were
      ordered.
    """

    bound: float
    places: Int32s
    keys: Float64s
    groups: Int32s


def near_keys(train: TrainArrays, z: Floats, weight: float, metric: str, listed: Int32s | None = None) -> NearKeys:
    """Return how to get a point's exact keys: of training rows, or of places in the list ``listed`` of rows."""

    def row_of(places: Int64s) -> Int64s:
        return places if listed is None else listed[places].astype(np.int64)

    return NearKeys(
        exact=lambda places: distances.exact_keys(train.x, row_of(places), z, metric),
        norms=lambda places: train.squared_norm[row_of(places)],
        size=key_size(train, weight, metric),
    )


def settle(
    packed: UInt64s,
    near: NearKeys,
    limits: Float64s,
    metric: str,
    workspace: Workspace,
    *,
    weights: RankWeights | None = None,
    allowed: float = 0.0,
) -> SettledRows:
    """Put sorted packed rows (n,) in exact order, in place, where that may change a value by more than ``allowed``.

    Rows whose order keys leave in doubt, by the ``limits`` of `doubt_limits`, form groups. Groups that may change a
    value by more than allowed get float64 keys, and rows with equal keys are ordered by row. The bound is what the
    order within the other groups may change.
    ``weights`` are those of the method, which say what an order may change; without weights every group is put in
    order.
    Cost: O(n + rows of groups × n_features).
    """
    limits = limits if len(limits) == 1 else limits[_rows_of(packed)]
    keys = workspace.array("sorted_keys", packed.shape, np.float32)
    places, groups = workspace.array("doubtful", (2, len(packed)), np.int32)
    suffix, falls_from = (np.empty(0), 0) if weights is None else (weights.suffix, weights.falls_from)
    ranks = workspace.array("gap_starts", packed.shape, np.int32)
    loops.fastest().gap_starts(packed, ranks)
    listed = loops.fastest().list_doubtful(
        packed, ranks, limits, suffix, falls_from, *shares(allowed), keys, places, groups
    )
    return put_in_order(packed, places, groups, listed, near, metric)


def shares(allowed: float) -> tuple[float, float]:
    """Return how much doubt about a row's place may be left for the row itself, and for all nearer rows."""
    of_row = SHARE_OF_ROW * allowed
    return of_row, allowed - of_row


def put_in_order(
    packed: UInt64s, places: Int32s, groups: Int32s, listed: tuple[int, int, float], near: NearKeys, metric: str
) -> SettledRows:
    """Put the rows that `doubt_loops.list_doubtful` ``listed`` in exact order, in ``packed``, as `settle` does."""
    count, largest, bound = listed
    if not count:
        return SettledRows(bound, places[:0], np.empty(0), groups[:0])
    with_loops = loops.fastest()
    places, groups, rows = with_loops.listed_rows(packed, places[:count], groups[:count])
    exact = distances.settle_ties(near.exact(rows), metric)
    order = np.empty(count, np.int64)
    (doubt_loops if largest > LARGEST_GROUP else with_loops).order_groups(groups, exact, rows, order)
    with_loops.put_rows(packed, places, order)
    return SettledRows(bound, places, exact[order], groups)


def tie_starts(keys: Floats, settled: SettledRows) -> Bools:
    """Return where tie blocks begin in ranked rows, (n,) bool, by float32 keys, or by exact keys of settled rows."""
    starts = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=starts[1:])
    if len(settled.places):
        starts[settled.places] = np.append(True, (np.diff(settled.keys) != 0) | (np.diff(settled.groups) != 0))
    return starts


def doubt_limits(keys: Floats, absent: int | None, near: NearKeys) -> Float64s:
    """Return how near a smaller key may be for the order to be in doubt: (1,) for all rows, or (n,), one for each row.

    ``keys`` (n,) float32 are infinite for the row that is ``absent``. Cost: O(1), unless few rows are much longer than
    the others.
    """
    rows = error_sample(len(keys))
    if absent is not None:
        rows = rows[rows != absent] if len(rows) > 1 else rows
    of_size = _limit_of_size(near.size, near.exact(rows), keys[rows], near.norms(rows))
    farthest = of_size(np.array([near.size.largest]))
    # The longest row gives the limit for all rows, unless it is an outlier.
    if near.size.is_even(LARGEST_ROOM) or farthest[0] <= LARGEST_ROOM * of_size(near.size.largest_at(keys.min()[None])):
        return farthest
    if farthest[0] > LARGEST_GROWTH * near.size.largest:
        return farthest
    return of_size(near.size.largest_at(keys))


def even_limits(train: TrainArrays, z: Floats, weights: Float64s, keys: Floats, metric: str) -> list[Float64s | None]:
    """Return the `doubt_limits` of each point, (1,) float64, or None if one limit may not do for all of its rows.

    ``z`` (n_points, n_features), ``weights`` (n_points,) and ``keys`` (n_points, n) are those of
    `distances.approximate_keys`, with no row absent. The rows on which errors are measured are fetched once for all
    points. Cost: O(n_points n_features).
    """
    rows = error_sample(keys.shape[1])
    sample, norms, here = train.x[rows], train.squared_norm[rows], np.arange(len(rows))
    sampled = keys[: len(z), rows]
    found: list[Float64s | None] = []
    for point, weight, of_point in zip(z, weights.tolist(), sampled, strict=True):
        size = key_size(train, weight, metric)
        if not size.is_even(LARGEST_ROOM):
            found.append(None)
            continue
        of_size = _limit_of_size(size, distances.exact_keys(sample, here, point, metric), of_point, norms)
        found.append(of_size(np.array([size.largest])))
    return found


def key_limits(size: KeySize, exact: Float64s, keys: Floats, norms: Float64s) -> Callable[[Floats], Float64s]:
    """Return a function that gives for a key how near a key that is no larger may be for their order to be in doubt.

    The function maps float32 keys (n,) to float64 (n,), and ascends. The error of float32 keys is measured on rows with
    ``exact`` keys, float32 ``keys`` and squared ``norms``, (n,) each.
    """
    of_size = _limit_of_size(size, exact, keys, norms)
    return lambda keys: of_size(size.largest_at(keys))


def _limit_of_size(size: KeySize, exact: Float64s, keys: Floats, norms: Float64s) -> Callable[[Float64s], Float64s]:
    """Return the same as `key_limits`, as a function of the size of the numbers from which a key is added up."""
    sizes = size.of(norms)
    # A row of zeros adds up nothing, yet its key is compared with keys of the others' size, or of rows as long as the
    # point: whichever is less, lest one long row among the others leave all in doubt. Where all are zero any small
    # number will do, whose reciprocal can be squared.
    least = max(SMALLEST_SIZE * min(float(sizes.max()), size.of_point), 1e-30)
    deviation = max(loops.fastest().relative_error(exact, keys, sizes, least), SMALLEST_ERROR)
    gap = distances.COSINE_TIE_GAP if size.metric == "cosine" else 0.0

    def limit(of: Float64s) -> Float64s:
        of = np.maximum(of, least)
        # Unit vectors are off by some eps, which a center next to them leaves as all there is, and in few rows: the
        # sample may have none of them. Keys that near are one key.
        return 2.0 * ERROR_DEVIATIONS * deviation * of + gap * (size.weight + np.sqrt(of) + gap)

    return limit


@functools.lru_cache(maxsize=64)
def error_sample(n_rows: int) -> Int64s:
    """Return the rows on which the error of float32 keys is measured, ascending."""
    return np.unique(np.linspace(0, n_rows - 1, ERROR_SAMPLE).astype(np.int64))


def _rows_of(packed: UInt64s) -> Int64s:
    return ((packed & np.uint64(0xFFFFFFFF)) >> np.uint64(1)).astype(np.int64)
