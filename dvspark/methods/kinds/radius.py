"""Methods of the kind `radius`: neighbors are the rows within a radius, and values follow from counts of neighbors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.nearest.nearest import nearest_points
from dvspark.kernels.radius import radius
from dvspark.kernels.radius.radius import RadiusValues, neighbor_counts, radius_from_neighbors, radius_partial
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import PointMethod
from dvspark.methods.parameters import Number
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import ChunkArrays, Finding, Float64s, Floats, Int64s, Partial, TrainArrays, TrainLabels

AUTO = "auto"
RADIUS = Number(
    "radius", "largest distance of a neighbor, in the metric's unit; auto: from a sample", AUTO, words=(AUTO,)
)

# With an automatic radius, nine of ten points of a sample of this size have so many neighbors.
SAMPLE_POINTS = 256
SAMPLE_NEIGHBORS = 10
# Points without a neighbor say nothing; above this share of them the radius is too small for the embeddings.
MOST_ALONE = 0.1

# Bytes that a block reports for a point: two counts.
COUNTS_BYTES = 16
# Points from which a radius for random rows is taken.
CALIBRATED_POINTS = 16


@dataclass(frozen=True, kw_only=True)
class RadiusMethod(PointMethod[RadiusFormulas]):
    """A method whose values follow from two counts for each point."""

    kind: ClassVar[str] = "radius"
    ranks: ClassVar[bool] = False
    averages_ties: ClassVar[bool] = True  # all rows at one distance are neighbors, or none

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: RadiusFormulas,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Partial:
        """Return the partial of a chunk, or of a block of training rows; see `kernels.radius.radius.radius_partial`."""

        def values_of(counts: Int64s) -> RadiusValues:
            return self.values_of(counts, parameters)

        far, workspace = parameters.settled_radius, workspace or Workspace()
        return radius_partial(train, chunk, options, far, values_of, workspace, first_row)

    def counts(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: RadiusFormulas,
        workspace: Workspace | None = None,
        first_row: int = 0,
    ) -> Int64s:
        """Return how many neighbors match each point and how many do not, (n_validation, 2) int64."""
        return neighbor_counts(train, chunk, options, parameters.settled_radius, workspace or Workspace(), first_row)

    def values_of(self, counts: Int64s, parameters: RadiusFormulas) -> RadiusValues:
        """Return what neighbors get from points with these counts, (n_points, 2)."""
        n, n_matches = counts.sum(axis=1), counts[:, 0]
        values = np.stack(parameters.neighbor_values(n, n_matches), axis=1)
        return RadiusValues(values, *parameters.utilities(n, n_matches), of_others=values)

    def reference_values(self, point: OrderedPoint, parameters: RadiusFormulas) -> Float64s:
        """Return the values by rank, by the second formula."""
        within = point.within(parameters.settled_radius)
        values, n = np.zeros(len(within)), int(np.count_nonzero(within))
        if n:
            match, other = parameters.counted_values(n, int(np.count_nonzero(point.matches[within])))
            values[within] = np.where(point.matches[within], match, other)
        return values

    def settled_parameters(
        self, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: RadiusFormulas
    ) -> RadiusFormulas:
        """Return the parameters with the radius; an automatic radius follows from a sample of points, evenly spread."""
        if parameters.radius != AUTO:
            return dataclasses.replace(parameters, radius=float(parameters.radius))
        n_points = points.n_validation
        sample = points.take(np.unique(np.linspace(0, n_points - 1, min(n_points, SAMPLE_POINTS)).astype(np.int64)))
        tenth = np.empty(0) if self.is_private else tenth_distances(train, sample, options)
        radius = self.automatic_radius(tenth, sample.x, options.metric, train.n_train)
        return dataclasses.replace(parameters, radius=radius)

    def warnings(self, totals: Partial) -> list[str]:
        """Return what to do about validation points without a neighbor, if they are many."""
        said = alone_warning(totals.n_alone, totals.n_validation)
        return [] if said is None else [said]

    def findings(self, totals: Partial) -> list[Finding]:
        """Return the finding of how many validation points have no neighbor; a warning if they are many."""
        share = totals.n_alone / max(totals.n_validation, 1)
        said = alone_warning(totals.n_alone, totals.n_validation)
        meaning = said or "share of validation points without a row within the radius"
        return [Finding("neighbors", "warn" if said else "pass", share, MOST_ALONE, meaning)]

    def asked(self, sizes: JobSizes) -> str:  # noqa: ARG002
        """Return in words what the method needs of the training rows of a point."""
        return "rows within a radius"

    def scratch_bytes(self, sizes: JobSizes, rows: int) -> int:
        """Return a bound on the kernel's memory for so many training rows, without these rows themselves."""
        return radius.scratch_bytes(rows, sizes.n_features)

    def exchanged_bytes(self, sizes: JobSizes, n_blocks: int) -> int:  # noqa: ARG002
        """Return the bytes that travel between blocks and tasks for one point, without partials (sharded plan)."""
        return n_blocks * COUNTS_BYTES

    def points_at_once(self, sizes: JobSizes) -> int:
        """Return how many points the kernel has in memory at the same time."""
        return radius.points_per_block(sizes.n_train)

    def calibrated(
        self, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, parameters: RadiusFormulas
    ) -> RadiusFormulas:
        """Return a radius with few random rows within it, because random rows lie at other distances than real ones."""
        few = chunk.take(np.arange(min(chunk.n_validation, CALIBRATED_POINTS)))
        return dataclasses.replace(parameters, radius=radius_from_neighbors(tenth_distances(train, few, options)))

    def automatic_radius(self, tenth: Float64s, z: Floats, metric: str, n_train: int) -> float:  # noqa: ARG002
        """Return the radius for a sample of points ``z``; ``tenth`` are distances to SAMPLE_NEIGHBORS-th rows."""
        return radius_from_neighbors(tenth)


def alone_warning(n_alone: int, n_validation: int) -> str | None:
    """Return what to do about validation points without a neighbor, or None if they are few."""
    if n_alone <= MOST_ALONE * n_validation:
        return None
    share = n_alone / n_validation
    return f"{share:.0%} of the validation points have no row within the radius and add nothing: take a larger radius"


def tenth_distances(train: TrainArrays, chunk: ChunkArrays, options: RankingOptions) -> Float64s:
    """Return the distance of each point's SAMPLE_NEIGHBORS-th training row, (n_validation,); of the last if fewer."""
    return _distances_to(SAMPLE_NEIGHBORS, train, chunk, options)


def neighbor_distances(z: Floats, options: RankingOptions, n_neighbors: int) -> Float64s:
    """Return the distance of each point's ``n_neighbors``-th other point, (n_points,); of the last one if fewer."""
    points = prepare(z, TrainLabels(np.zeros(len(z), np.int32)), options.metric)
    chunk = ChunkArrays(z, [np.zeros(1, np.int32)] * len(z), np.arange(len(z)))
    return _distances_to(n_neighbors, points, chunk, options)


def _distances_to(n_neighbors: int, train: TrainArrays, chunk: ChunkArrays, options: RankingOptions) -> Float64s:
    return np.array([near.farthest for near in nearest_points(train, chunk, options, n_neighbors, Workspace())])
