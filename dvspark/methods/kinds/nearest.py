"""Methods of the kind `nearest`: the m nearest rows decide all values; other rows get one number by their match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dvspark.errors import ConfigError, Problem
from dvspark.kernels import loops
from dvspark.kernels.distances.distances import POINTS_PER_PRODUCT
from dvspark.kernels.nearest import nearest
from dvspark.kernels.nearest.near_values import NearValues
from dvspark.kernels.nearest.nearest import NearestRows, NearRows, merge_nearest, near_rows
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import Method
from dvspark.methods.parameters import Parameters
from dvspark.methods.search_index import kernel_parameters
from dvspark.schemas import Bools, ChunkArrays, Float64s, Partial, TrainArrays

if TYPE_CHECKING:
    from dvspark.engine.planning.sizes import Sizes

# Bytes that a block reports for each of its nearest rows (place, key, match), and that every block reads for each of
# the nearest rows of all (place, value).
NEAREST_ROW_BYTES = 17 + 16


@dataclass(frozen=True, kw_only=True)
class NearestMethod(Method):
    """A method that needs only the nearest rows of a point.

    - ``n_nearest(n_players, **parameters)``: how many.
    - ``near_values(matches, n_players, n_matches, **parameters)``: what they get.
    - ``total(matches, n_players, **parameters)``: what a point's values sum to, if this is known.
    - ``second_values(matches, **parameters)``: the values from the matches of all ranks by a second formula, for the
      audit.
    None of these functions gets the parameter `index`. Under an approximate index, ``matches`` are those of the rows
    found.
    """

    n_nearest: Callable[..., int]
    near_values: Callable[..., NearValues]
    total: Callable[..., tuple[float, float]]
    second_values: Callable[..., Float64s]

    kind: ClassVar[str] = "nearest"
    ranks: ClassVar[bool] = False

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,
        workspace: Workspace | None = None,
    ) -> Partial:
        """Return the partial of a chunk. Cost and memory as in `kernels.nearest.near_rows`."""
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
        parameters: Parameters,
        workspace: Workspace,
        first_row: int = 0,
    ) -> Iterator[NearRows]:
        """Yield what a table of ``n_players`` rows, or a block of such a table, reports about each point."""
        if n_players == 0:  # under self-validation a single training row has no game
            none = NearRows(np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))
            return iter([none] * chunk.n_validation)
        return near_rows(train, chunk, options, self.n_asked(n_players, parameters), workspace, first_row)

    def n_asked(self, n_players: int, parameters: Parameters) -> int:
        """Return how many nearest rows of a point the method needs, at least one.

        Raises: ConfigError if so few rows are not enough.
        """
        return max(1, self.n_nearest(n_players, **kernel_parameters(parameters))) if n_players else 1

    def n_nearest_asked(self, n_players: int, parameters: Parameters) -> int:
        """Return how many nearest rows of a point the method needs."""
        return self.n_asked(n_players, parameters)

    def values(self, near: NearestRows, n_players: int, parameters: Parameters) -> NearValues:
        """Return what rows get from a point that has these nearest rows."""
        if not len(near.rows):
            return NearValues(np.empty(0))
        return self.near_values(near.matches, n_players, near.n_matches, **kernel_parameters(parameters))

    def point_total(self, near: NearestRows, n_players: int, parameters: Parameters) -> tuple[float, float]:
        """Return what the values of a point sum to: U(N) and U(∅), or two numbers in their place."""
        return self.total(near.matches, n_players, **kernel_parameters(parameters)) if len(near.rows) else (0.0, 0.0)

    def size_problems(self, n_players: int, parameters: Parameters) -> list[Problem]:
        """Return what is wrong with the parameters if so many rows play."""
        try:
            self.n_asked(n_players, parameters)
        except ConfigError as error:
            return list(error.problems)
        return []

    def asked(self, sizes: Sizes) -> str:
        """Return in words what the method needs of the training rows of a point."""
        return f"{sizes.n_nearest:,} nearest rows"

    def scratch_bytes(self, sizes: Sizes, rows: int) -> int:
        """Return a bound on the kernel's memory for so many training rows, without these rows themselves."""
        return nearest.scratch_bytes(rows, sizes.n_features, sizes.n_nearest)

    def exchanged_bytes(self, sizes: Sizes, n_blocks: int) -> int:
        """Return the bytes that travel between blocks and tasks for one point, without partials (sharded plan)."""
        return n_blocks * sizes.n_nearest * NEAREST_ROW_BYTES

    def points_at_once(self, n_train: int) -> int:  # noqa: ARG002
        """Return how many points the kernel has in memory at the same time."""
        return POINTS_PER_PRODUCT

    def reference_values(self, point: OrderedPoint, parameters: Parameters) -> Float64s:
        """Return the values by rank, by the second formula."""
        return self.second_values(point.matches, **kernel_parameters(parameters))


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
