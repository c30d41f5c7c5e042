"""Partials: sums over some validation points, which can be added; and the waves and chunks to which they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dvspark.schemas.arrays import Float64s, Int64s

EPSILON = 2.0**-52

# Names of the numbers in a partial, beside its arrays.
SCALARS = ("n_validation", "utility", "empty_utility", "error_bound", "n_alone", "size")

# Sums are centered so many rows at a time, which a cache holds with all that is made of them.
PIECE_ROWS = 2**15

# A partial names so many points with wide certificates, which the audit values again beside random ones.
N_WIDEST = 4


@dataclass
class Partial:
    """Sums over some validation points. Partials can be added, because values are linear in the points.

    - ``value`` (n_train,) float64, or (n_owners,) if owners are valued: sums of values.
    - ``value_squared``: after `centered`, sums of squared differences from the mean value, in ``square_unit`` squared:
      1 in all partials that are added up. Squares of tiny weights are too small for float64.
    - ``n_validation``: the number of points.
    - ``utility`` and ``empty_utility``: sums of U(N) and U(∅) over the same points, for the audit.
    - ``size``: sum of each point's largest possible |U|; rounding is in proportion to it.
    - ``error_bound``: sum of each point's certificate; ``row_bounds`` (n_train,) float64: the same row by row, if it
      was asked for.
    - ``n_alone``: points without a neighbor within the radius.
    - ``widest`` (n, 3) float64: the N_WIDEST points with the widest certificates above 0: certificate, chunk, place in
      the chunk. They are sorted by certificate, then chunk and place, so no order of additions changes them.
    """

    value: Float64s
    value_squared: Float64s
    n_validation: int = 0
    utility: float = 0.0
    empty_utility: float = 0.0
    error_bound: float = 0.0
    row_bounds: Float64s | None = None
    n_alone: int = 0
    size: float = 0.0
    widest: Float64s = field(default_factory=lambda: np.empty((0, 3)))
    square_unit: float = 1.0

    @classmethod
    def zeros(cls, n_train: int, *, row_bounds: bool = False) -> Partial:
        """Return the partial of no validation points."""
        return cls(np.zeros(n_train), np.zeros(n_train), row_bounds=np.zeros(n_train) if row_bounds else None)

    def count(self, utility: float, empty_utility: float, error_bound: float = 0.0, size: float = 1.0) -> None:
        """Add one point's utilities, certificate and size. Its values are added separately.

        Points are counted in order; a point's place is the number of points before it, until `placed` gives its real
        place.
        """
        if error_bound > 0 and (len(self.widest) < N_WIDEST or error_bound > self.widest[-1, 0]):
            self.widest = _wider(self.widest, np.array([[error_bound, 0.0, self.n_validation]]))
        self.n_validation += 1
        self.utility += utility
        self.empty_utility += empty_utility
        self.error_bound += error_bound
        self.size += size

    def centered(self) -> Partial:
        """Return this partial of a chunk with sums of squares turned into sums of squared differences from the mean.

        Differences below 2e-8 √n of the value count as zero: equal values leave no more than that as rounding.
        """
        for start in range(0, len(self.value) if self.n_validation else 0, PIECE_ROWS):
            value, squared = (of[start : start + PIECE_ROWS] for of in (self.value, self.value_squared))
            spread = squared - value * (value / self.n_validation)
            rounding = 2.0 * EPSILON * self.n_validation * squared
            squared[:] = np.where(spread > rounding, spread, 0.0)
        return self

    def count_alike(self, utility: float, empty_utility: float, error_bound: float, size: float = 1.0) -> None:
        """Count a point whose certificate is the same for all rows."""
        self.count(utility, empty_utility, error_bound, size)
        if self.row_bounds is not None and error_bound:
            self.row_bounds += error_bound

    def placed(self, points: Int64s) -> Partial:
        """Return this partial of some of a chunk's points, with ``points``, ascending, as their places in the chunk."""
        self.widest = self.widest.copy()
        self.widest[:, 2] = points[self.widest[:, 2].astype(np.int64)]
        return self

    def of_chunk(self, chunk_id: int) -> Partial:
        """Return this partial as that of the chunk with this number."""
        self.widest = self.widest.copy()
        self.widest[:, 1] = chunk_id
        return self

    def plus(self, other: Partial) -> Partial:
        """Return this partial with another one added in place."""
        self.add(other)
        return self

    def minus(self, other: Partial) -> Partial:
        """Return this partial without the points of another one, which are among its own; changed in place.

        Except for rounding, this is the partial of the points that are left; float64 additions cannot be undone
        exactly. Which of these points have the widest certificates is not known.
        """
        bounds = None if other.row_bounds is None else -other.row_bounds
        taken = Partial(-other.value, -other.value_squared, row_bounds=bounds)
        for name in SCALARS:
            setattr(taken, name, -getattr(other, name))
        self.widest = taken.widest
        return self.plus(taken)

    def add(self, other: Partial) -> None:
        """Add another partial in place. In float64 the order of additions decides the last bits.

        Raises: ValueError if only one of the two has certificates row by row, because then there is no sum.
        """
        if (self.row_bounds is None) != (other.row_bounds is None):
            raise ValueError("row bounds in one partial and none in the other")
        self.value_squared += other.value_squared + self._between(other)
        self.value += other.value
        for name in SCALARS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if self.row_bounds is not None and other.row_bounds is not None:
            self.row_bounds += other.row_bounds
        self.widest = _wider(self.widest, other.widest)

    def _between(self, other: Partial) -> Float64s | float:
        """Return what the difference of both means adds to squared differences; 0 if rounding alone can explain it.

        Source: Chan, Golub & LeVeque, The American Statistician 37(3), 1983, doi:10.1080/00031305.1983.10483115.
        """
        n, n_other = self.n_validation, other.n_validation
        if not n or not n_other or n + n_other == 0:
            return 0.0
        apart, rounding = other.value / n_other, self.value / n
        apart -= rounding
        rounding *= 2.0 * EPSILON * max(abs(n), abs(n_other))
        are_apart = np.abs(apart) > np.abs(rounding, out=rounding)
        apart *= apart
        apart *= n * n_other / (n + n_other)
        apart *= are_apart
        return apart


def _wider(some: Float64s, others: Float64s) -> Float64s:
    """Return the widest of all points, as in `Partial.widest`."""
    both = np.concatenate([some, others])
    return both[np.lexsort((both[:, 2], both[:, 1], -both[:, 0]))[:N_WIDEST]]


@dataclass(frozen=True)
class Wave:
    """The sum of neighboring chunks: what a ledger keeps, see `dvspark.schemas.pairwise`.

    - ``place``: of the first chunk among all chunks in ascending order.
    - ``chunk_rows``: validation rows of each chunk.
    - ``totals``: the sum of the chunks' partials.
    - ``sketches`` (n_chunks, n) float64: a few numbers of each chunk's partial, see `dvspark.schemas.sketch`.
    """

    place: int
    chunk_rows: dict[int, int]
    totals: Partial
    sketches: Float64s


@dataclass(frozen=True)
class Chunks:
    """Chunks in order: ``ids`` and ``n_rows`` (n_chunks,) int64, ``sketches`` (n_chunks, n) float64."""

    ids: Int64s
    n_rows: Int64s
    sketches: Float64s

    @classmethod
    def none(cls) -> Chunks:
        """Return no chunks."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0)))

    @classmethod
    def of(cls, wave: Wave) -> Chunks:
        """Return the chunks of a wave."""
        ids, n_rows = (np.array([*given], np.int64) for given in (wave.chunk_rows, wave.chunk_rows.values()))
        return cls(ids, n_rows, wave.sketches)

    @classmethod
    def joined(cls, parts: Sequence[Chunks]) -> Chunks:
        """Return the chunks of all parts."""
        if not parts:
            return cls.none()
        ids, n_rows = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "n_rows"))
        return cls(ids, n_rows, np.vstack([part.sketches for part in parts]))
