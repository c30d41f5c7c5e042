"""Methods of the kind `ranking`: two tables over the ranks say what a match at each rank is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from dvspark.kernels.binning.binned import RankingGame
from dvspark.kernels.blocks.merged import MergedPoint, merged_partial
from dvspark.kernels.formulas.kinds import RankingFormulas
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.partials import game_of, point_values, ranking_partial
from dvspark.kernels.ranking.rank_values import tied_rank_values
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import RankedMethod
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays, TrainColumns


@dataclass(frozen=True, kw_only=True)
class RankingMethod(RankedMethod[RankingFormulas]):
    """A method whose values follow from two tables over the ranks, so that bins may rank the far rows."""

    kind: ClassVar[str] = "ranking"
    bins: ClassVar[bool] = True
    averages_ties: ClassVar[bool] = True

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: RankingFormulas,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk. Cost and memory as in `kernels.ranking.partials.ranking_partial`."""
        formulas = parameters.rank_weights, parameters.utilities
        return ranking_partial(train, chunk, options, *formulas, workspace or Workspace())

    def merged_partial(
        self,
        points: Iterable[MergedPoint],
        columns: TrainColumns,  # noqa: ARG002 - ranks and matches are enough
        n_train: int,
        n_players: int,
        options: RankingOptions,
        parameters: RankingFormulas,
    ) -> Partial:
        """Return the partial of points whose keys came from blocks; see `kernels.blocks.merged.merged_partial`."""
        return merged_partial(points, n_train, n_players, options, parameters.rank_weights, parameters.utilities)

    def reference_values(self, point: OrderedPoint, parameters: RankingFormulas) -> Float64s:
        """Return the values by rank, from the recursion; if ties are averaged, from the tables."""
        if point.block_starts is not None:
            weights = parameters.rank_weights(len(point.matches))
            return tied_rank_values(point.matches, point.block_starts, weights)
        return parameters.recursive_values(point.matches.astype(float))

    def game(self, n_players: int, options: RankingOptions, parameters: RankingFormulas) -> RankingGame:
        """Return the game of ``n_players`` rows, for the binned ranking."""
        return game_of(n_players, options, parameters.rank_weights, parameters.utilities, Workspace())

    def points(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: RankingFormulas
    ) -> Iterator[tuple[RankedRows, Float64s]]:
        """Yield for each validation point its ranked rows and their values in rank order."""
        return point_values(train, chunk, options, parameters.rank_weights, Workspace())
