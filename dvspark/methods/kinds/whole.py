"""Methods of the kind `whole`: all training rows are valued from all validation rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.errors import InputError, Problem
from dvspark.kernels.formulas.both_tables import BothTables
from dvspark.kernels.formulas.kinds import WholeFormulas
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.row_pass import passed_over
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.shared import SharedMethod, labelled_points, labelled_rows
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import ChunkArrays, Finding, Partial, TrainArrays


@dataclass(frozen=True)
class SettledValues:
    """All values as the partial of all validation rows, and the findings about them."""

    partial: Partial
    findings: list[Finding]


@dataclass(frozen=True, kw_only=True)
class WholeMethod(SharedMethod[WholeFormulas]):
    """A method whose values follow from both tables at once: no rows are ranked, and no points are added.

    ``passes``: how often the rows are multiplied with the weights of a class, for plans. ``at_once``: the driver reads
    all training rows at once; where they lie in blocks, it holds them.
    """

    passes: int
    at_once: bool = True

    kind: ClassVar[str] = "whole"
    averages_ties: ClassVar[bool] = True  # rows are not ranked
    sits_out: ClassVar[bool] = False

    def settled(self, tables: BothTables, parameters: WholeFormulas, *, row_bounds: bool) -> SettledValues:
        """Return the values. Raises: InputError if no validation row has a label that training rows have."""
        n_points = len(tables.points[1])
        if n_points == 0:
            got, hint = "none", "check for case, blanks, id mix-ups"
            raise InputError(Problem("validation labels", "labels that training rows have", got, hint))
        found = parameters.valued(tables)
        if not np.isfinite(found.values).all():
            hint = "embed both sides the same way: a row lies so far from the others that squares overflow"
            raise InputError(Problem("embeddings", "numbers of similar size", "larger ones", hint))
        partial = Partial.zeros(tables.n_train, row_bounds=row_bounds)
        partial.value += n_points * found.values
        partial.n_validation, partial.size = n_points, n_points * float(np.abs(found.values).max(initial=0.0))
        return SettledValues(partial, found.findings)

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: WholeFormulas,
        workspace: Workspace | None = None,  # noqa: ARG002
    ) -> Partial:
        """Return the values with one chunk as all validation rows."""
        return self.settled_game(train, chunk, options, parameters)[0]

    def settled_game(
        self, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: WholeFormulas
    ) -> tuple[Partial, list[Finding]]:
        """Return the values by all points, and the findings about them."""
        x, codes, *_ = labelled_rows(train)
        whole: Callable[[], Iterator[Piece]] = lambda: iter([(x, codes)])  # noqa: E731
        n_classes = int(codes.max(initial=0)) + 1
        tables = BothTables(
            len(x),
            n_classes,
            labelled_points(points)[:2],
            whole,
            lambda places: (x[places], codes[places]),
            lambda asked: passed_over((x, codes), asked),
        )
        settled = self.settled(tables, parameters, row_bounds=options.row_bounds)
        return settled.partial, settled.findings

    def asked(self, sizes: JobSizes) -> str:  # noqa: ARG002
        """Return in words what the method needs of the training rows."""
        return "both tables"

    def driver_bytes(self, sizes: JobSizes, *, in_blocks: bool) -> int:
        """Return the memory that the driver needs; ``in_blocks``: so training rows lie.

        Rows that it holds are there twice while they are put together.
        """
        held = sizes.n_validation + (sizes.n_train if in_blocks and self.at_once else 0)
        of_rows = 2 * held * sizes.n_features * sizes.item_bytes
        return of_rows + self.formulas.held_bytes(sizes.n_train, sizes.n_validation, sizes.n_features)

    def flops(self, sizes: JobSizes) -> int:
        """Return the number of floating-point operations in matrix products, for one class."""
        return 2 * sizes.n_train * sizes.n_features * self.passes
