"""Methods of the kind `ordered`: all rows in order, with targets, weights or owners besides rank and match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from dvspark.kernels.blocks.merged import MergedPoint, rank_merged
from dvspark.kernels.ranking.ordered import OrderedPoint, in_order, ordered_points, sum_ordered
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import Method
from dvspark.methods.parameters import Parameters
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays, TrainColumns


def one(_point: OrderedPoint, **_parameters: Any) -> float:
    """Return one, the largest |U| of a share of matches."""
    return 1.0


@dataclass(frozen=True, kw_only=True)
class OrderedMethod(Method):
    """A method that values one `OrderedPoint` after the other.

    ``point_values(point, **parameters)`` and ``utility(point, **parameters)`` are functions of the kernel file.
    ``second_values(point, **parameters)`` is a second formula, for the audit. ``largest(point, **parameters)`` is the
    largest |U| of any rows.
    """

    point_values: Callable[..., Float64s]
    utility: Callable[..., tuple[float, float]]
    second_values: Callable[..., Float64s]
    largest: Callable[..., float] = one

    kind: ClassVar[str] = "ordered"

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk. Cost of a point: that of the ranking and of the kernel."""
        points = ordered_points(train, chunk, options, workspace or Workspace())
        return self._sum(points, train.n_train, train.columns, options, parameters)

    def merged_partial(
        self,
        points: Iterable[MergedPoint],
        columns: TrainColumns,
        n_train: int,
        n_players: int,  # noqa: ARG002 - the rows that play are those of the point
        options: RankingOptions,
        parameters: Parameters,
    ) -> Partial:
        """Return the partial of points whose keys came from blocks."""

        def ordered() -> Iterator[tuple[RankedRows, OrderedPoint]]:
            scratch = Scratch(n_train, Workspace())
            for point in points:
                ranked = rank_merged(point, options, scratch)
                yield ranked, in_order(ranked, columns, options.metric, point.target, columns.weights)

        return self._sum(ordered(), n_train, columns, options, parameters)

    def size(self, point: OrderedPoint, parameters: Parameters) -> float:
        """Return the largest |U| that any rows of a point can have."""
        return self.largest(point, **parameters)

    def reference_values(self, point: OrderedPoint, parameters: Parameters) -> Float64s:
        """Return the values by rank, or by owner, by the second formula."""
        return self.second_values(point, **parameters)

    def _sum(
        self,
        points: Iterable[tuple[RankedRows, OrderedPoint]],
        n_train: int,
        columns: TrainColumns,
        options: RankingOptions,
        parameters: Parameters,
    ) -> Partial:
        values_of, utility_of = partial(self.point_values, **parameters), partial(self.utility, **parameters)
        size_of = partial(self.largest, **parameters)
        n_values, owners = self.n_values(n_train, columns.n_owners), self.players == "owners"
        error_of = partial(self.own_error, parameters=parameters)
        return sum_ordered(points, n_values, options, values_of, utility_of, size_of, error_of, owners=owners)
