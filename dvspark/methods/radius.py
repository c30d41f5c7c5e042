"""Methods of the `radius` kind: neighbors are the rows within a radius, and their number is all that counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.kernels.distances import prepare
from dvspark.kernels.nearest import nearest_points
from dvspark.kernels.ordered import OrderedPoint, given
from dvspark.kernels.radius import RadiusValues, neighbor_counts, radius_from_neighbors, radius_partial
from dvspark.kernels.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import Method
from dvspark.methods.parameters import Number, Parameters
from dvspark.schemas import ChunkArrays, Float64s, Floats, Int64s, Partial, TrainArrays, TrainLabels

RADIUS = Number("radius", "within which rows are neighbors, inclusive, in the metric's unit", "auto", words=("auto",))

# An automatic radius gives nine of ten of so many validation points so many neighbors.
SAMPLE_POINTS = 256
SAMPLE_NEIGHBORS = 10
# Points without a neighbor say nothing; above this share of them the radius is too small for the embeddings.
MOST_ALONE = 0.1


@dataclass(frozen=True, kw_only=True)
class RadiusMethod(Method):
    """A method whose values follow from two counts a point.

    ``neighbor_values(n, n_matches, **parameters)`` and ``utility(n, n_matches, **parameters)`` are the kernel's, and
    ``counted_values(n, n_matches, **parameters)``, of one point, is a second formula, for the audit.
    """

    neighbor_values: Callable[..., tuple[Float64s, Float64s]]
    utility: Callable[..., tuple[Float64s, Float64s]]
    counted_values: Callable[..., tuple[float, float]]

    needs: ClassVar[str] = "radius"
    averages_ties: ClassVar[bool] = True  # rows at equal distance are neighbors alike

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Partial:
        """Return the partial of a chunk, or of a block of training rows; see `kernels.radius.radius_partial`."""

        def values_of(counts: Int64s) -> RadiusValues:
            return self.values_of(counts, parameters)

        radius, workspace = parameters["radius"], workspace or Workspace()
        return radius_partial(train, chunk, options, radius, values_of, workspace, first_row)

    def counts(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Int64s:
        """Return how many neighbors match each point and how many do not, (n_validation, 2)."""
        radius, workspace = parameters["radius"], workspace or Workspace()
        return neighbor_counts(train, chunk, options, radius, workspace, first_row)

    def values_of(self, counts: Int64s, parameters: Parameters) -> RadiusValues:
        """Return what neighbors get from points with these counts, (n_points, 2)."""
        own = {name: value for name, value in parameters.items() if name != "radius"}
        n, n_matches = counts.sum(axis=1), counts[:, 0]
        values = np.stack(self.neighbor_values(n, n_matches, **own), axis=1)
        return RadiusValues(values, *self.utility(n, n_matches, **own), of_others=values)

    def reference_values(self, point: OrderedPoint, parameters: Parameters) -> Float64s:
        """Return the values by rank, by the second formula."""
        within = given(point.distances, "distances") <= parameters["radius"]
        values, n = np.zeros(len(within)), int(np.count_nonzero(within))
        if n:
            own = {name: value for name, value in parameters.items() if name != "radius"}
            match, other = self.counted_values(n, int(np.count_nonzero(point.matches[within])), **own)
            values[within] = np.where(point.matches[within], match, other)
        return values

    def automatic_radius(self, tenth: Float64s, z: Floats, metric: str, n_train: int) -> float:  # noqa: ARG002
        """Return the radius for a sample of points ``z``, whose SAMPLE_NEIGHBORS-th training rows lie at ``tenth``."""
        return radius_from_neighbors(tenth)


def alone_warning(n_alone: int, n_validation: int) -> str | None:
    """Return what to do about validation points without a neighbor, or None where they are few."""
    if n_alone <= MOST_ALONE * n_validation:
        return None
    share = n_alone / n_validation
    return f"{share:.0%} of the validation points have no row within the radius and add nothing: take a larger radius"


def tenth_distances(train: TrainArrays, chunk: ChunkArrays, options: RankingOptions) -> Float64s:
    """Return how far the SAMPLE_NEIGHBORS-th training row of each point is, (n_validation,); the last one if fewer."""
    return _distances_to(SAMPLE_NEIGHBORS, train, chunk, options)


def neighbor_distances(z: Floats, options: RankingOptions, n_neighbors: int) -> Float64s:
    """Return how far the ``n_neighbors``-th other point of each point ``z`` is, (n_points,); the last one if fewer."""
    points = prepare(z, TrainLabels(np.zeros(len(z), np.int32)), options.metric)
    chunk = ChunkArrays(z, [np.zeros(1, np.int32)] * len(z), np.arange(len(z)))
    return _distances_to(n_neighbors, points, chunk, options)


def _distances_to(n_neighbors: int, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions) -> Float64s:
    return np.array([near.farthest for near in nearest_points(train, chunk, options, n_neighbors, Workspace())])
