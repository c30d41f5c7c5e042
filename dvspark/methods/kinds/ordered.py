"""Methods of the kind `ordered`: all rows in order, with targets, weights or owners besides rank and match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from dvspark.kernels.blocks.merged import MergedPoint, rank_merged
from dvspark.kernels.formulas.kinds import OrderedFormulas
from dvspark.kernels.ranking.ordered import OrderedPoint, in_order, ordered_points, sum_ordered
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import RankedMethod
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays, TrainColumns


@dataclass(frozen=True, kw_only=True)
class OrderedMethod(RankedMethod[OrderedFormulas]):
    """A method that values one `OrderedPoint` after the other."""

    kind: ClassVar[str] = "ordered"

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: OrderedFormulas,
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
        parameters: OrderedFormulas,
    ) -> Partial:
        """Return the partial of points whose keys came from blocks."""

        def ordered() -> Iterator[tuple[RankedRows, OrderedPoint]]:
            scratch = Scratch(n_train, Workspace())
            for point in points:
                ranked = rank_merged(point, options, scratch)
                yield ranked, in_order(ranked, columns, options.metric, point.target, columns.weights)

        return self._sum(ordered(), n_train, columns, options, parameters)

    def size(self, point: OrderedPoint, parameters: OrderedFormulas) -> float:
        """Return the largest |U| that any rows of a point can have."""
        return parameters.largest_utility(point)

    def reference_values(self, point: OrderedPoint, parameters: OrderedFormulas) -> Float64s:
        """Return the values by rank, or by owner, by the second formula."""
        return parameters.reference_values(point)

    def _sum(
        self,
        points: Iterable[tuple[RankedRows, OrderedPoint]],
        n_train: int,
        columns: TrainColumns,
        options: RankingOptions,
        parameters: OrderedFormulas,
    ) -> Partial:
        formulas = parameters.point_values, parameters.utilities, parameters.largest_utility
        n_values, owners = self.n_values(n_train, columns.n_owners), self.players == "owners"
        error_of = partial(self.own_error, parameters=parameters)
        return sum_ordered(points, n_values, options, *formulas, error_of, owners=owners)
