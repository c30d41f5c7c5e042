"""Copies: rows that are the same, or nearly, in the table and in the validation table; how near follows from the data.

Nearly the same are rows closer than a radius. It is the largest radius within which at most one row in a hundred has
its nearest row there by chance. By chance means: as the neighbors of a row would lie if its nearest ones kept to the
law of the others, (distance / distance of the m-th)^dimension. Where true copies end, the curve of nearest distances
bends from more rows than that law allows to as many, and the radius is there.

Source of the law and of the dimension: Levina & Bickel, Maximum likelihood estimation of intrinsic dimension,
NIPS 2004; Facco et al., 2017, doi:10.1038/s41598-017-11873-y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.review.near import NearTable
from dvspark.schemas import Bools, Float64s, Int64s

# Of the rows that a radius takes for copies, the share that may be near by chance.
MOST_BY_CHANCE = 0.01
# A law needs so many neighbors of a row, and so many rows.
FEWEST_NEAR, FEWEST_ROWS = 5, 20
# So many radii are tried, and as many again next to the one that serves.
N_RADII = 256


@dataclass(frozen=True)
class Copies:
    """Of each of n rows, the place of another one that is the same or nearly, and how far it is.

    ``of`` (n,) int64 is -1, and ``distances`` (n,) float64 NaN, where there is none.
    """

    of: Int64s
    distances: Float64s

    @property
    def found(self) -> Bools:
        """Which rows are copies."""
        return self.of >= 0


def copy_radius(near: NearTable, equal_within: float) -> float:
    """Return the radius within which rows are nearly the same, in the unit of the distances; 0 if data show none.

    Only distances above ``equal_within`` count. Cost: twice `N_RADII` passes over the rows.
    """
    far, m = near.distances, near.n_near
    if m < FEWEST_NEAR:
        return 0.0
    n_equal = (far <= equal_within).sum(axis=1)
    told = (m - n_equal) >= FEWEST_NEAR
    if np.count_nonzero(told) < FEWEST_ROWS:
        return 0.0
    far, n_equal = far[told], n_equal[told]
    last, middle = far[:, -1], far[np.arange(len(far)), n_equal + (m - n_equal) // 2]
    dimension = _dimension(middle, last, m - n_equal)
    nearest = np.sort(far[np.arange(len(far)), n_equal])

    def serves(place: int) -> bool:
        within = np.minimum(nearest[place] / last, 1.0) ** dimension
        by_chance = -np.expm1((m - n_equal - 1) * np.log1p(-np.minimum(within, 1.0 - 1e-16)))
        n_within = int(np.searchsorted(nearest, nearest[place], side="right"))
        return float(by_chance.sum()) <= MOST_BY_CHANCE * n_within

    places = np.unique(np.geomspace(2, len(nearest), N_RADII).astype(int)) - 1
    found = max((place for place in places.tolist() if serves(place)), default=-1)
    if found < 0:
        return 0.0
    beyond = int(np.append(places, len(nearest))[np.searchsorted(places, found) + 1])
    between = np.unique(np.linspace(found, beyond - 1, N_RADII).astype(int))
    return float(nearest[max(place for place in between.tolist() if serves(place))])


def _dimension(middle: Float64s, last: Float64s, n_near: Int64s) -> float:
    """Return the dimension in which the middle and the last of so many neighbors lie as far as they do.

    Of n - 1 neighbors within the last one's distance, the logarithm of last / j-th is 1 / dimension times the sum of
    1 / i for i from j to n - 1 on average. Nearer neighbors, which may be copies, play no part.
    """
    sums = np.append(0.0, np.cumsum(1.0 / np.arange(1, int(n_near.max()) + 1)))
    expected = sums[n_near - 1] - sums[n_near // 2]
    spread = float(np.log(last / middle).sum())
    return float(expected.sum()) / spread if spread > 0.0 else np.inf


def earlier_copies(near: NearTable, equal_within: float, radius: float) -> Copies:
    """Return for each row the nearest earlier row that is the same, or within ``radius`` of it.

    In row order, a row stays unless a row that stays is within the radius; so every copy has a row nearby that stays.
    Rows no farther apart than ``equal_within`` are equal, however many there are; other copies are looked for among the
    near rows.
    """
    n = len(near.rows)
    first, distances, of = np.arange(n), np.full(n, np.nan), np.full(n, -1, np.int64)
    if near.n_near:  # of equal rows the first in row order is the nearest, unless rounding keeps them apart
        equal = np.flatnonzero((near.distances[:, 0] <= equal_within) & (near.rows[:, 0] < first))
        first[equal] = of[equal] = near.rows[equal, 0]
        distances[equal] = 0.0
    while not np.array_equal(first, first[first]):  # under cosine, rows that equal one row may not equal each other
        first = first[first]
    rows, places = np.nonzero(near.distances <= max(radius, equal_within))
    far = near.distances[rows, places]
    one, other = first[rows], first[near.rows[rows, places]]
    low, high = np.minimum(one, other), np.maximum(one, other)
    apart = np.flatnonzero(low != high)
    for edge in apart[np.lexsort((low[apart], far[apart], high[apart]))].tolist():
        earlier, later = int(low[edge]), int(high[edge])
        if of[earlier] < 0 and of[later] < 0:
            of[later], distances[later] = earlier, far[edge] if far[edge] > equal_within else 0.0
    return Copies(of, distances)


def leaks(near_validation: NearTable | None, n: int, radius: float) -> Copies:
    """Return for each training row the nearest validation row that is the same, or within ``radius`` of it."""
    of, distances = np.full(n, -1, np.int64), np.full(n, np.nan)
    if near_validation is not None:
        same = near_validation.distances[:, 0] <= radius
        of[same], distances[same] = near_validation.rows[same, 0], near_validation.distances[same, 0]
    return Copies(of, distances)
