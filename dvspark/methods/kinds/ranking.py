"""Methods of the kind `ranking`: two tables over the ranks say what a match at each rank is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from dvspark.kernels.binning.binned import RankingGame
from dvspark.kernels.blocks.merged import MergedPoint, merged_partial
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.partials import game_of, point_values, ranking_partial
from dvspark.kernels.ranking.rank_values import RankWeights, tied_rank_values
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import Method
from dvspark.methods.parameters import Parameters
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays, TrainColumns


@dataclass(frozen=True, kw_only=True)
class RankingMethod(Method):
    """A method whose values follow from two tables over the ranks, so that bins may rank the far rows.

    ``rank_weights(n_players, **parameters)`` and ``utility(n_nearest_matches, n_players, **parameters)`` are functions
    of the kernel file. ``recursive_values(matches, **parameters)`` is a second formula, for the audit.
    """

    rank_weights: Callable[..., RankWeights]
    utility: Callable[..., tuple[float, float]]
    recursive_values: Callable[..., Float64s]

    kind: ClassVar[str] = "ranking"
    bins: ClassVar[bool] = True
    averages_ties: ClassVar[bool] = True

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk. Cost and memory as in `kernels.partials.ranking_partial`."""
        weights_of, utility_of = partial(self.rank_weights, **parameters), partial(self.utility, **parameters)
        return ranking_partial(train, chunk, options, weights_of, utility_of, workspace or Workspace())

    def merged_partial(
        self,
        points: Iterable[MergedPoint],
        columns: TrainColumns,  # noqa: ARG002 - ranks and matches are enough
        n_train: int,
        n_players: int,
        options: RankingOptions,
        parameters: Parameters,
    ) -> Partial:
        """Return the partial of points whose keys came from blocks; see `kernels.merged.merged_partial`."""
        weights_of, utility_of = partial(self.rank_weights, **parameters), partial(self.utility, **parameters)
        return merged_partial(points, n_train, n_players, options, weights_of, utility_of)

    def reference_values(self, point: OrderedPoint, parameters: Parameters) -> Float64s:
        """Return the values by rank, from the recursion; if ties are averaged, from the tables."""
        if point.block_starts is not None:
            weights = self.rank_weights(len(point.matches), **parameters)
            return tied_rank_values(point.matches, point.block_starts, weights)
        return self.recursive_values(point.matches.astype(float), **parameters)

    def game(self, n_players: int, options: RankingOptions, parameters: Parameters) -> RankingGame:
        """Return the game of ``n_players`` rows, for the binned ranking."""
        weights_of, utility_of = partial(self.rank_weights, **parameters), partial(self.utility, **parameters)
        return game_of(n_players, options, weights_of, utility_of)

    def points(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: Parameters
    ) -> Iterator[tuple[RankedRows, Float64s]]:
        """Yield for each validation point its ranked rows and their values in rank order."""
        return point_values(train, chunk, options, partial(self.rank_weights, **parameters), Workspace())
