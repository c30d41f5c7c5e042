"""Near order: the nearest rows of a point in exact order, where their float32 keys do not tell them apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import distances, loops, rank_loops
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, TrainArrays

# The error of float32 keys is measured on so many of the nearest rows, relative to the size of what was added
# up; keys closer than so many standard deviations, of both, do not tell two rows apart. A bound for all data,
# sqrt(D) times larger at least, would call the order of nearly all rows doubtful.
ERROR_SAMPLE = 64
ERROR_DEVIATIONS = 10.0
SMALLEST_ERROR = float(np.finfo(np.float32).eps) / 8

# The longest of all rows speaks for the near ones, whose norms lie anywhere in memory, unless its key is added up from
# numbers more than so many times as large as the sample's.
LARGEST_ROOM = 1.25

# In a group of so many rows that are not told apart, inserting one after the other into those before is slow.
LARGEST_GROUP = 64


@dataclass(frozen=True)
class NearKeys:
    """What some rows of a point, its near ones, are asked for: given rows (n,) int64, each returns (n,) float64.

    ``exact`` their float64 keys, ties not settled; ``sizes`` those of `distances.key_sizes`, none of which is above
    ``largest_size``, infinite where nobody knows.
    """

    exact: Callable[[Int64s], Float64s]
    sizes: Callable[[Int64s], Float64s]
    largest_size: float = np.inf


def near_keys(train: TrainArrays, z: Floats, weight: float, metric: str, listed: Int32s | None = None) -> NearKeys:
    """Return what tells a point's exact keys, of training rows or of the places in a list of them."""

    def row_of(places: Int64s) -> Int64s:
        return places if listed is None else listed[places].astype(np.int64)

    return NearKeys(
        exact=lambda places: distances.exact_keys(train.x, row_of(places), z, metric),
        sizes=lambda places: distances.key_sizes(train, row_of(places), weight, metric),
        largest_size=distances.largest_key_size(train, weight, metric),
    )


def settle(
    near: NearKeys,
    rows: Int64s,
    matches: Bools,
    keys: Floats,
    *,
    metric: str,
    average: bool,
    among: Bools | None = None,
) -> Bools:
    """Put sorted rows, with their matches and float32 keys, in exact order, in place.

    Only rows whose keys are too close to tell them apart are moved, by float64 keys, then by row; of these those alone
    that stand with a row of ``among`` (n,), if that is given. Returns which of them, all (n,), begin a tie block, where
    ties are to be averaged (``average``). O(n + doubtful rows × n_features).
    """
    n = len(rows)
    starts, doubtful, groups = np.empty(n, np.bool_), np.empty(n, np.int32), np.empty(n, np.int32)
    limit, asked = _doubt(near, rows, keys), np.ones(n, np.bool_) if among is None else among
    n_doubtful, largest = loops.fastest().list_doubtful(keys, limit, asked, starts, doubtful, groups)
    if not n_doubtful:
        return starts
    places, groups = doubtful[:n_doubtful], groups[:n_doubtful]
    here = rows[places]
    exact = distances.settle_ties(near.exact(here), metric)
    order = np.empty(n_doubtful, np.int64)
    with_loops = rank_loops if largest > LARGEST_GROUP else loops.fastest()
    with_loops.order_groups(groups, exact, here, order)
    rows[places], matches[places] = here[order], matches[places[order]]
    if average:
        starts[places] = np.append(True, (np.diff(exact[order]) != 0) | (np.diff(groups) != 0))
    return starts


def _doubt(near: NearKeys, rows: Int64s, keys: Floats) -> float:
    """Return how close float32 keys of sorted rows may be for their order to be in doubt."""
    sample = _error_sample(len(rows))
    asked = rows[sample]
    sizes = near.sizes(asked)
    largest = near.largest_size
    if largest > LARGEST_ROOM * float(sizes.max()):
        largest = float(near.sizes(rows).max())
    # A row of zeros adds up nothing, yet its key is compared with keys of the others' size; where all are zero
    # any small number will do, whose reciprocal can be squared.
    least = max(1e-3 * largest, 1e-30)
    error = loops.fastest().relative_error(near.exact(asked), keys[sample], sizes, least)
    deviation = max(error, SMALLEST_ERROR)
    # The largest size counts for all: then rows in wrong order are never told apart from those between them.
    return 2.0 * ERROR_DEVIATIONS * deviation * max(largest, least)


@functools.lru_cache(maxsize=64)
def _error_sample(n_rows: int) -> Int64s:
    return np.unique(np.linspace(0, n_rows - 1, ERROR_SAMPLE).astype(np.int64))
