"""Private methods of the kind `radius`: values follow from counts that are published with noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.kernels.formulas.dp_threshold_knn_shapley import DpThresholdKnnShapley
from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.radius.owner_counts import first_of_owners, owner_counts
from dvspark.kernels.radius.radius import RadiusValues, neighbor_blocks
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.radius import SAMPLE_NEIGHBORS, RadiusMethod, neighbor_distances
from dvspark.privacy import OWNER, Release, calibrate, sampled_rows, values_from_noisy_counts
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int64s, Partial, TrainArrays


@dataclass(frozen=True, kw_only=True)
class PrivateMethod(RadiusMethod):
    """A `radius` method that sees no more of other rows than two noisy counts for each point.

    The counts are released once, before any value, see `privacy.calibrate`, and a chunk carries them. A row that was
    counted subtracts itself from its count. Nothing else about it becomes known to others.
    """

    is_private: ClassVar[bool] = True
    hides: ClassVar[str] = "counts"

    def release(self, parameters: RadiusFormulas, n_validation: int) -> Release:
        """Return what is promised, and the noise that this takes."""
        own = _private(parameters)
        return calibrate(
            own.epsilon,
            own.delta,
            own.adjacency,
            own.sampling_rate,
            n_validation,
            own.unit,
            own.rows_per_owner,
        )

    def sample(self, ids: Sequence[int | str], key: bytes, parameters: RadiusFormulas) -> Bools:
        """Return which training rows with these ids the sample holds."""
        return sampled_rows(ids, key, _private(parameters).sampling_rate)

    def most_of_owner(self, parameters: RadiusFormulas) -> int | None:
        """Return with how many rows an owner may count at a point; None for any number."""
        own = _private(parameters)
        return own.rows_per_owner if own.unit == OWNER else None

    def counted(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: RadiusFormulas,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Int64s:
        """Return the first neighbors of each owner at each point, (n, 3): point, owner, and 0 for a match or else 1.

        These are at most ``rows_per_owner`` rows of an owner, in id order. For a block of training rows, whose owners
        may have rows in other blocks, see `kernels.radius.owner_counts.owner_counts`.
        """
        blocks = neighbor_blocks(train, chunk, options, parameters.settled_radius, workspace or Workspace(), first_row)
        owners = given(train.columns.owners, "owners")
        return first_of_owners(blocks, owners, _private(parameters).rows_per_owner)

    def counts(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: RadiusFormulas,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Int64s:
        """Return how many neighbors that count match each point and how many do not, (n_validation, 2) int64."""
        if (most := self.most_of_owner(parameters)) is None:
            return super().counts(train, chunk, options, parameters, workspace, first_row)
        found = self.counted(train, chunk, options, parameters, workspace, first_row)
        return owner_counts([found], chunk.n_validation, most)

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: RadiusFormulas,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Partial:
        """Return the partial of a chunk that carries noisy counts. Raises: ValueError for a chunk without counts."""
        given(chunk.counts, "counts")
        return super().partial(train, chunk, options, parameters, workspace, first_row)

    def calibrated_partial(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: RadiusFormulas
    ) -> Partial:
        """Return the partial of a chunk, after counting its neighbors."""
        counts = self.counts(train, chunk, options, parameters)
        return self.partial(train, dataclasses.replace(chunk, counts=counts), options, parameters)

    def values_of(self, counts: Int64s, parameters: RadiusFormulas) -> RadiusValues:
        """Return what neighbors get from points with these noisy counts, (n_points, 2).

        Negative counts are taken as 0. A row of the sample is already in its count; another row is added to it.
        """
        matches, others = np.maximum(counts, 0).T
        found = []
        for counted in (1, 0):
            match, other = np.maximum(matches - counted, 0), np.maximum(others - counted, 0)
            of_match, _ = parameters.neighbor_values(1 + match + others, 1 + match)
            _, of_other = parameters.neighbor_values(1 + matches + other, matches)
            found.append(np.stack([of_match, of_other], axis=1))
        utility = parameters.utilities(matches + others, matches)
        return RadiusValues(found[0], *utility, of_others=found[1])

    def reference_values(self, point: OrderedPoint, parameters: RadiusFormulas) -> Float64s:
        """Return the values by rank, from noisy counts by the published formula."""
        within = point.within(parameters.settled_radius)
        match, other = given(point.counts, "counts").tolist()
        n_classes = parameters.n_classes
        sampled = np.ones(len(within), np.bool_) if point.sampled is None else point.sampled
        inside = values_from_noisy_counts(match, other, n_classes)
        # A row that was not counted is added to the count.
        of_match, _ = values_from_noisy_counts(max(match, 0) + 1, other, n_classes)
        _, of_other = values_from_noisy_counts(match, max(other, 0) + 1, n_classes)
        values = np.where(sampled, *(np.where(point.matches, *pair) for pair in (inside, (of_match, of_other))))
        return np.where(within, values, 0.0)

    def automatic_radius(self, tenth: Float64s, z: Floats, metric: str, n_train: int) -> float:  # noqa: ARG002
        """Return the radius that follows from the points ``z`` alone; training rows are neither read nor counted.

        Nine of ten points have SAMPLE_NEIGHBORS other points within the radius.
        """
        options = RankingOptions(metric, "default", "id", 1)
        return super().automatic_radius(neighbor_distances(z, options, SAMPLE_NEIGHBORS), z, metric, n_train)


def _private(parameters: RadiusFormulas) -> DpThresholdKnnShapley:
    """Return the parameters of a private method as such. Raises: TypeError for those of another."""
    if not isinstance(parameters, DpThresholdKnnShapley):
        raise TypeError(f"expected parameters of a private method; got {parameters}")
    return parameters
