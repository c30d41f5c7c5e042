"""Points in order: one validation point with all that methods of the kind `ordered` need of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from dvspark.kernels import loops
from dvspark.kernels.distances.distances import distance_from_key
from dvspark.kernels.distances.reach import is_within
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions, ranked_points
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Int32s, Int64s, Partial, TrainArrays, TrainColumns

Asked = TypeVar("Asked")


@dataclass(frozen=True)
class OrderedPoint:
    """One validation point as methods see it that need more than rank and match.

    All arrays are in rank order, nearest first, and (n,). What a method does not ask for is None.
    - ``matches`` bool.
    - ``targets`` float64, and ``target`` of the point: under regression.
    - ``weights`` float64, not negative; ``owners`` int32 codes 0..n_owners-1.
    - ``keys`` float64: exact keys of ``metric``, ascending.
    - ``block_starts`` bool: set where a tie block begins, if ties are averaged.
    - ``counts`` (2,) as in `ChunkArrays`; ``sampled`` and ``owned`` bool as in `TrainColumns`.
    """

    matches: Bools
    targets: Float64s | None = None
    target: float = 0.0
    weights: Float64s | None = None
    owners: Int32s | None = None
    n_owners: int = 0
    keys: Float64s | None = None
    metric: str = "euclidean"
    block_starts: Bools | None = None
    counts: Int64s | None = None
    sampled: Bools | None = None
    owned: Bools | None = None

    @cached_property
    def distances(self) -> Float64s:
        """Distances in the unit of ``metric``, (n,) float64. Raises: ValueError if the point was made without keys."""
        return distance_from_key(given(self.keys, "keys"), self.metric)

    def within(self, radius: float) -> Bools:
        """Return which rows are at most ``radius`` from the point, (n,) bool."""
        return is_within(self.distances, radius, self.metric)


ValuesOf = Callable[[OrderedPoint], Float64s]
UtilityOf = Callable[[OrderedPoint], tuple[float, float]]
SizeOf = Callable[[OrderedPoint], float]
Ordered = Iterable[tuple[RankedRows, OrderedPoint]]


def ordered_points(
    train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, workspace: Workspace
) -> Iterator[tuple[RankedRows, OrderedPoint]]:
    """Yield each validation point's ranked rows, and the point with its columns in rank order.

    Both are valid until the next point.
    """
    for place, ranked in enumerate(ranked_points(train, chunk, options, workspace)):
        target = 0.0 if chunk.targets is None else float(chunk.targets[place])
        weights = train.columns.weights if chunk.weights is None else chunk.weights[place]
        yield ranked, in_order(ranked, train.columns, options.metric, target, weights)


def in_order(
    ranked: RankedRows,
    columns: TrainColumns,
    metric: str,
    target: float = 0.0,
    weights: Float64s | None = None,
    counts: Int64s | None = None,
) -> OrderedPoint:
    """Return a point with the columns of the training rows, and ``weights`` (n_train,), put in rank order."""
    rows = ranked.rows
    return OrderedPoint(
        ranked.matches,
        targets=None if columns.targets is None else columns.targets[rows],
        target=target,
        weights=None if weights is None else weights[rows],
        owners=None if columns.owners is None else columns.owners[rows],
        n_owners=columns.n_owners,
        keys=ranked.keys,
        metric=metric,
        block_starts=ranked.block_starts,
        counts=counts,
        sampled=None if columns.sampled is None else columns.sampled[rows],
        owned=None if columns.owned is None else columns.owned[rows],
    )


def sum_ordered(
    points: Ordered,
    n_values: int,
    options: RankingOptions,
    values_of: ValuesOf,
    utility_of: UtilityOf,
    size_of: SizeOf,
    error_of: Callable[[int], float],
    *,
    owners: bool,
) -> Partial:
    """Return the partial of some points, added up in the order in which they come.

    ``values_of`` returns values by rank, or with ``owners`` by owner. ``size_of`` returns the largest |U| of any rows.
    ``error_of`` returns how far values of a point with so many rows may be from exact ones. A point without players has
    no values.
    Cost of a point: that of the method, and O(n_values).
    """
    partial = Partial.zeros(n_values, row_bounds=options.row_bounds)
    add_ranked = loops.fastest().add_ranked
    for ranked, point in points:
        if not len(ranked.rows):
            partial.count(0.0, 0.0, size=0.0)
            continue
        values = values_of(point)
        if owners:
            partial.value += values
            partial.value_squared += values * values
        else:
            add_ranked(ranked.rows, values, partial.value, partial.value_squared)
        partial.count_alike(*utility_of(point), error_of(len(ranked.rows)), size_of(point))
    return partial.centered()


def given(asked: Asked | None, name: str) -> Asked:
    """Return a column that a method asked for. Raises: ValueError if the point was made without it."""
    if asked is None:
        raise ValueError(f"expected {name} in rank order; got None; give OrderedPoint({name}=...)")
    return asked
