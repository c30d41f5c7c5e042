"""Methods for which all validation rows share one game, so that values do not add up point by point."""

from __future__ import annotations

import time
from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.methods.base import Method, P
from dvspark.schemas import ChunkArrays, Partial, TrainArrays

if TYPE_CHECKING:
    from dvspark.engine.planning.sizes import Sizes


@dataclass(frozen=True, kw_only=True)
class SharedMethod(Method[P], ABC):
    """A method that values rows by one game of all validation rows."""

    ranks: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    adds_up: ClassVar[bool] = False

    def one_game(
        self,
        train: TrainArrays,
        points: ChunkArrays,
        labels: tuple[pa.Array, pa.Array],  # noqa: ARG002 - codes say as much, but of labels that no training row has
        options: RankingOptions,
        parameters: P,
    ) -> Partial:
        """Return the partial of all points; ``labels`` of training rows and of points."""
        return self.partial(train, points, options, parameters)

    def sample_sizes(self, sizes: Sizes, most: int) -> tuple[int, int]:
        """Return of how many random rows and points `shared_seconds` judges; ``most`` rows."""
        return min(most, sizes.n_train), 1

    def shared_seconds(
        self, sizes: Sizes, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: P
    ) -> float:
        """Return the CPU seconds that the game of all rows takes, judged by random rows."""
        began = time.process_time()
        self.partial(train, points, options, parameters)
        return (time.process_time() - began) * sizes.n_train / train.n_train
