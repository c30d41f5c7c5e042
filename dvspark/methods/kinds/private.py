"""Private methods of the kind `radius`: values follow from counts that are published with noise."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.kernels.radius.owner_counts import first_of_owners, owner_counts
from dvspark.kernels.radius.radius import RadiusValues, neighbor_blocks
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.radius import SAMPLE_NEIGHBORS, RadiusMethod, neighbor_distances
from dvspark.methods.parameters import Parameters
from dvspark.privacy import OWNER, Release, calibrate, values_from_noisy_counts
from dvspark.schemas import ChunkArrays, Float64s, Floats, Int64s, Partial, TrainArrays

# Parameters that the formula takes besides the counts; the others belong to the release.
OF_COUNTS = ("n_classes",)


@dataclass(frozen=True, kw_only=True)
class PrivateMethod(RadiusMethod):
    """A `radius` method that sees no more of other rows than two noisy counts for each point.

    The counts are released once, before any value, see `privacy.calibrate`, and a chunk carries them. A row that was
    counted subtracts itself from its count. Nothing else about it becomes known to others.
    """

    is_private: ClassVar[bool] = True

    def release(self, parameters: Parameters, n_validation: int) -> Release:
        """Return what is promised, and the noise that this takes."""
        names = ("epsilon", "delta", "adjacency", "sampling_rate", "unit", "rows_per_owner")
        return calibrate(n_validation=n_validation, **{name: parameters[name] for name in names})

    def counted(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Int64s:
        """Return the first neighbors of each owner at each point, (n, 3): point, owner, and 0 for a match or else 1.

        These are at most ``rows_per_owner`` rows of an owner, in id order. For a block of training rows, whose owners
        may have rows in other blocks, see `kernels.owner_counts.owner_counts`.
        """
        radius, workspace = parameters["radius"], workspace or Workspace()
        blocks = neighbor_blocks(train, chunk, options, radius, workspace, first_row)
        owners = given(train.columns.owners, "owners")
        return first_of_owners(blocks, owners, parameters["rows_per_owner"])

    def counts(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Int64s:
        """Return how many neighbors that count match each point and how many do not, (n_validation, 2) int64."""
        if parameters["unit"] != OWNER:
            return super().counts(train, chunk, options, parameters, workspace, first_row)
        found = self.counted(train, chunk, options, parameters, workspace, first_row)
        return owner_counts([found], chunk.n_validation, parameters["rows_per_owner"])

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Partial:
        """Return the partial of a chunk that carries noisy counts. Raises: ValueError for a chunk without counts."""
        given(chunk.counts, "counts")
        return super().partial(train, chunk, options, parameters, workspace, first_row)

    def calibrated_partial(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: Parameters
    ) -> Partial:
        """Return the partial of a chunk, after counting its neighbors."""
        counts = self.counts(train, chunk, options, parameters)
        return self.partial(train, dataclasses.replace(chunk, counts=counts), options, parameters)

    def values_of(self, counts: Int64s, parameters: Parameters) -> RadiusValues:
        """Return what neighbors get from points with these noisy counts, (n_points, 2).

        Negative counts are taken as 0. A row of the sample is already in its count; another row is added to it.
        """
        own = {name: parameters[name] for name in OF_COUNTS}
        matches, others = np.maximum(counts, 0).T
        found = []
        for counted in (1, 0):
            match, other = np.maximum(matches - counted, 0), np.maximum(others - counted, 0)
            of_match, _ = self.neighbor_values(1 + match + others, 1 + match, **own)
            _, of_other = self.neighbor_values(1 + matches + other, matches, **own)
            found.append(np.stack([of_match, of_other], axis=1))
        utility = self.utility(matches + others, matches, **own)
        return RadiusValues(found[0], *utility, of_others=found[1])

    def reference_values(self, point: OrderedPoint, parameters: Parameters) -> Float64s:
        """Return the values by rank, from noisy counts by the published formula."""
        within = given(point.distances, "distances") <= parameters["radius"]
        match, other = given(point.counts, "counts").tolist()
        n_classes = parameters["n_classes"]
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
