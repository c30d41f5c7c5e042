"""Owner counts: the neighbors of a point, at most so many of each owner, the first in id order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dvspark.kernels.radius.radius import Neighbors
from dvspark.schemas import Int32s, Int64s


def first_of_owners(blocks: Iterable[Neighbors], owners: Int32s, most: int) -> Int64s:
    """Return the first ``most`` neighbors of each owner at each point, (n, 3) int64, by point, in id order.

    Columns: the point's place in its chunk; the owner, as in ``owners`` (n_train,); 0 for a match, 1 for another
    neighbor. Cost of a point: O(neighbors log neighbors).
    """
    found = [np.empty((0, 3), np.int64)]
    for neighbors in blocks:
        for point, bits in enumerate(neighbors.bits, neighbors.points.start):
            is_match, is_other = np.unpackbits(bits, axis=1, count=len(owners))
            rows = np.flatnonzero(is_match | is_other)
            owner = owners[rows].astype(np.int64)
            told = np.stack([np.full(len(rows), point), owner, is_other[rows]], axis=1).astype(np.int64)
            found.append(told[_places(owner) < most])
    return np.concatenate(found)


def owner_counts(of_blocks: Iterable[Int64s], n_points: int, most: int) -> Int64s:
    """Return how many neighbors match each point and how many do not, (n_points, 2) int64, ``most`` of each owner.

    ``of_blocks`` has what `first_of_owners` found in each block of training rows, in the order of the blocks.
    """
    rows = np.concatenate([np.empty((0, 3), np.int64), *of_blocks])
    n_owners = int(rows[:, 1].max(initial=0)) + 1
    counted = rows[_places(rows[:, 0] * n_owners + rows[:, 1]) < most]
    counts = np.zeros((n_points, 2), np.int64)
    np.add.at(counts, (counted[:, 0], counted[:, 2]), 1)
    return counts


def _places(keys: Int64s) -> Int64s:
    """Return the place of each entry among the entries with its key, from 0, in the order in which they come."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    places = np.empty(len(keys), np.int64)
    places[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
    return places
