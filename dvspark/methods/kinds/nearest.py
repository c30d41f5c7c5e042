"""Methods of the kind `nearest`: the m nearest rows decide all values; other rows get one number by their match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.errors import ConfigError, Problem
from dvspark.kernels import loops
from dvspark.kernels.distances.distances import POINTS_PER_PRODUCT
from dvspark.kernels.formulas.kinds import NearestFormulas
from dvspark.kernels.nearest import nearest
from dvspark.kernels.nearest.near_values import NearestPoint, NearValues
from dvspark.kernels.nearest.nearest import NearestRows, NearRows, merge_nearest, near_rows
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import PointMethod
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import Bools, ChunkArrays, Float64s, Partial, TrainArrays

# Bytes that a block reports for each of its nearest rows (place, key, match), and that every block reads for each of
# the nearest rows of all (place, value).
NEAREST_ROW_BYTES = 17 + 16


@dataclass(frozen=True, kw_only=True)
class NearestMethod(PointMethod[NearestFormulas]):
    """A method that needs only the nearest rows of a point."""

    kind: ClassVar[str] = "nearest"
    ranks: ClassVar[bool] = False

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: NearestFormulas,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk. Cost and memory as in `kernels.nearest.nearest.near_rows`."""
        partial = Partial.zeros(train.n_train, row_bounds=options.row_bounds)
        n_players = train.n_train - (chunk.train_rows is not None)
        parts = self.near(train, chunk, options, n_players, parameters, workspace or Workspace())
        for point, part in enumerate(parts):
            near = merge_nearest([part], self.n_asked(n_players, parameters), options.metric)
            values = self.values(near, n_players, parameters)
            flags = match_flags(train, chunk, point) if values.of_match or values.of_other else None
            own = None if chunk.train_rows is None else int(chunk.train_rows[point])
            add_near(near.rows, values, flags, own, partial)
            error = self.own_error(n_players, parameters)
            partial.count_alike(*self.point_total(near, n_players, parameters), error)
        return partial.centered()

    def near(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        n_players: int,
        parameters: NearestFormulas,
        workspace: Workspace,
        first_row: int = 0,
    ) -> Iterator[NearRows]:
        """Yield what a table of ``n_players`` rows, or a block of such a table, reports about each point."""
        if n_players == 0:  # under self-validation a single training row has no game
            none = NearRows(np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))
            return iter([none] * chunk.n_validation)
        return near_rows(train, chunk, options, self.n_asked(n_players, parameters), workspace, first_row)

    def n_asked(self, n_players: int, parameters: NearestFormulas) -> int:
        """Return how many nearest rows of a point the method needs, at least one.

        Raises: ConfigError if so few rows are not enough.
        """
        return max(1, parameters.n_nearest(n_players)) if n_players else 1

    def n_nearest_asked(self, n_players: int, parameters: NearestFormulas) -> int:
        """Return how many nearest rows of a point the method needs."""
        return self.n_asked(n_players, parameters)

    def values(self, near: NearestRows, n_players: int, parameters: NearestFormulas) -> NearValues:
        """Return what rows get from a point that has these nearest rows."""
        if not len(near.rows):
            return NearValues(np.empty(0))
        return parameters.near_values(NearestPoint(near.matches, n_players, near.n_matches))

    def point_total(self, near: NearestRows, n_players: int, parameters: NearestFormulas) -> tuple[float, float]:
        """Return what the values of a point sum to: U(N) and U(∅), or two numbers in their place."""
        if not len(near.rows):
            return 0.0, 0.0
        return parameters.total(NearestPoint(near.matches, n_players, near.n_matches))

    def size_problems(self, n_players: int, parameters: NearestFormulas) -> list[Problem]:
        """Return what is wrong with the parameters if so many rows play."""
        try:
            self.n_asked(n_players, parameters)
        except ConfigError as error:
            return list(error.problems)
        return []

    def asked(self, sizes: JobSizes) -> str:
        """Return in words what the method needs of the training rows of a point."""
        return f"{sizes.n_nearest:,} nearest rows"

    def scratch_bytes(self, sizes: JobSizes, rows: int) -> int:
        """Return a bound on the kernel's memory for so many training rows, without these rows themselves."""
        return nearest.scratch_bytes(rows, sizes.n_features, sizes.n_nearest)

    def exchanged_bytes(self, sizes: JobSizes, n_blocks: int) -> int:
        """Return the bytes that travel between blocks and tasks for one point, without partials (sharded plan)."""
        return n_blocks * sizes.n_nearest * NEAREST_ROW_BYTES

    def points_at_once(self, sizes: JobSizes) -> int:  # noqa: ARG002
        """Return how many points the kernel has in memory at the same time."""
        return POINTS_PER_PRODUCT

    def reference_values(self, point: OrderedPoint, parameters: NearestFormulas) -> Float64s:
        """Return the values by rank, by the second formula."""
        return parameters.reference_values(point.matches)


def match_flags(train: TrainArrays, chunk: ChunkArrays, point: int) -> Bools:
    """Return which rows of a table or a block share a label with the point, (n_train,) bool."""
    return ranking.match_flags(train.labels, chunk.labels[point], train.n_train)


def add_near(
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    values: NearValues,
    flags: Bools | None,
    own: int | None,
    partial: Partial,
) -> None:
    """Add one point's values to ``partial``: of its nearest ``rows``, and of other rows by ``flags`` if they get any.

    The row ``own`` sits out the game. Cost: O(m), or O(n_train) if other rows get values.
    """
    if flags is None:
        loops.fastest().add_ranked(rows, values.values, partial.value, partial.value_squared)
        return
    given = np.where(flags, values.of_match, values.of_other)
    if own is not None and 0 <= own < len(given):
        given[own] = 0.0
    given[rows] = values.values
    partial.value += given
    partial.value_squared += given * given
