"""Methods of the kind `sums`: all validation rows share one game, and a value follows from the row and from sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dvspark.errors import InputError, Problem
from dvspark.kernels.formulas.chg_shapley import GradientGame
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.gradients.head_gradients import GradientSums, Piece, gradient_sums, gradient_values
from dvspark.kernels.gradients.softmax_head import SoftmaxHead, drawn_rows, fit_head
from dvspark.kernels.ranking.ordered import given
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.shared import SharedMethod
from dvspark.schemas import ChunkArrays, Partial, TrainArrays

if TYPE_CHECKING:
    from dvspark.engine.planning.sizes import Sizes

# Rows are multiplied with the head's weights twice, with residuals and with a direction: so often for each class, whose
# number is not known before rows are read.
PRODUCTS = 4

# A function that yields all training rows in id order, from the first row at each call.
Pieces = Callable[[], Iterator[Piece]]


@dataclass(frozen=True)
class SettledGame:
    """What is known before rows are valued: the ``head``, and the ``game`` of ``n_points`` validation rows."""

    head: SoftmaxHead
    game: GradientGame
    n_points: int


@dataclass(frozen=True, kw_only=True)
class SumsMethod(SharedMethod[Parameters]):
    """A method that values rows by their gradients in a softmax head, which is trained on the embeddings.

    ``game_of(sums, target)``, of the kernel file, returns the game of gradients that add up to ``sums``. The target of
    the game is the mean of ``target``, or with None the mean of the gradients themselves.
    """

    game_of: Callable[[GradientSums, GradientSums | None], GradientGame]

    kind: ClassVar[str] = "sums"
    averages_ties: ClassVar[bool] = True  # rows are not ranked

    def settle(self, drawn: Piece, pieces: Pieces, points: Iterable[Piece] | None, n_classes: int) -> SettledGame:
        """Return the game, with a head that is trained on the ``drawn`` rows.

        ``points`` None stands for the training rows. Cost: one pass over the training rows and one over the validation
        rows.
        Raises: InputError if no validation row has a label that training rows have.
        """
        head = fit_head(*drawn, n_classes)
        sums = gradient_sums(head, pieces())
        target = None if points is None else gradient_sums(head, points)
        if target is not None and target.n == 0:
            got, hint = "none", "their gradients are the target; check for case, blanks, id mix-ups"
            raise InputError(Problem("validation labels", "labels that training rows have", got, hint))
        return SettledGame(head, self.game_of(sums, target), sums.n if target is None else target.n)

    def values_of(self, settled: SettledGame, pieces: Pieces, *, row_bounds: bool = False) -> Partial:
        """Return the values of all training rows as the partial of all validation rows. Cost: one pass."""
        values, n = gradient_values(settled.head, settled.game.row_formula(), pieces()), settled.n_points
        if not np.isfinite(values).all():
            hint = "embed both sides the same way: a row lies so far from the training rows that squares overflow"
            raise InputError(Problem("embeddings", "gradients whose squares are finite", "larger ones", hint))
        partial = Partial.zeros(len(values), row_bounds=row_bounds)
        partial.value += n * values
        partial.n_validation, partial.utility = n, n * settled.game.utility
        partial.size = n * settled.game.size
        return partial

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: Parameters,  # noqa: ARG002 - it has none
        workspace: Workspace | None = None,  # noqa: ARG002
    ) -> Partial:
        """Return the values with one chunk as all validation rows; under self-validation with all training rows."""
        x, codes = labelled(train)
        n_classes = int(codes.max(initial=0)) + 1
        drawn = drawn_rows(len(x), x.shape[1], n_classes)
        points = None if chunk.train_rows is not None else [labelled_points(chunk)]
        settled = self.settle((x[drawn], codes[drawn]), lambda: iter([(x, codes)]), points, n_classes)
        return self.values_of(settled, lambda: iter([(x, codes)]), row_bounds=options.row_bounds)

    def asked(self, sizes: Sizes) -> str:  # noqa: ARG002
        """Return in words what the method needs of the training rows."""
        return "sums"

    def flops(self, sizes: Sizes) -> int:
        """Return the number of floating-point operations in matrix products."""
        return 2 * sizes.n_train * sizes.n_features * PRODUCTS

    def scratch_bytes(self, sizes: Sizes, rows: int) -> int:  # noqa: ARG002
        """Return 0: only the driver works, see `dvspark.run.sums`."""
        return 0

    def merging_bytes(self, sizes: Sizes) -> int:  # noqa: ARG002
        """Return 0: only the driver works, see `dvspark.run.sums`."""
        return 0

    def label_problems(self, *, several: bool) -> list[Problem]:
        """Return what is wrong with the labels; ``several``: a row may have several labels."""
        if not several:
            return []
        hint = f"{self.name} trains a softmax head: choose one label of each row, or use knn_shapley"
        return [Problem("labels", f"one label a row, for {self.name}", "arrays of labels", hint)]


def labelled(train: TrainArrays) -> Piece:
    """Return embeddings and label codes of training rows, which have one label each (`SumsMethod.label_problems`)."""
    return train.x, given(train.labels.codes, "one label a row")


def labelled_points(chunk: ChunkArrays) -> Piece:
    """Return embeddings and label codes of the validation rows whose label some training row has."""
    known = np.array([len(codes) == 1 for codes in chunk.labels], np.bool_)
    codes = [codes for codes in chunk.labels if len(codes) == 1]
    return chunk.x[known], np.concatenate(codes) if codes else np.empty(0, np.int32)
