"""Methods of the kind `sums`: all validation rows share one game, and a value follows from the row and from sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.kernels.formulas.chg_shapley import ChgShapley
from dvspark.kernels.gradients.course import Course, CourseValues, NoTargetError, Training, Watched
from dvspark.kernels.gradients.given_pass import GivenPass, given_values
from dvspark.kernels.gradients.head_gradients import AnyPiece, Piece
from dvspark.kernels.gradients.head_pass import HARDNESS, PassSums
from dvspark.kernels.gradients.row_pass import RowPass, passed_over
from dvspark.kernels.gradients.softmax_head import FLAT_SLOPE, SoftmaxHead, drawn_rows, fit_head, untrained_head
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.shared import SharedMethod, labelled_points, labelled_rows
from dvspark.methods.sizes import JobSizes
from dvspark.schemas import ChunkArrays, Finding, Float64s, Int64s, Partial, TrainArrays
from dvspark.units import show_bytes

# Products of a reading with a matrix of the head's size: by weights and direction, and of gradients into two sums.
PRODUCTS = 5
# Where gradients come from: a softmax head on the embeddings, or the table, which has them in place of embeddings.
HEAD, GIVEN = "head", "gradients"
# By so many epochs the time of all is judged.
FEW_EPOCHS = 3
# Whose rows are one game.
ALL, BY_LABEL = "all", "label"
# Where each label has its game, the sums of all games take no more.
MOST_BYTES = 2**30


class PassRows(Protocol):
    """Training rows in id order, wherever they are."""

    @property
    def n(self) -> int:
        """Their number."""

    def run(self, asked: RowPass) -> PassSums:
        """Return the sums over all rows, added by `stretches`, and their values."""

    def some(self, places: Int64s) -> Piece:
        """Return the rows at these places."""


@dataclass(frozen=True)
class ArrayRows:
    """Training ``rows`` in this process."""

    rows: AnyPiece

    @property
    def n(self) -> int:
        """Their number."""
        return len(self.rows[0])

    def run(self, asked: RowPass) -> PassSums:
        """Return the sums over all rows, added by `stretches`, and their values."""
        return PassSums.joined(passed_over(self.rows, asked))

    def some(self, places: Int64s) -> Piece:
        """Return the rows at these places."""
        return self.rows[0][places], self.rows[1][places]


@dataclass(frozen=True)
class SettledGame:
    """What all validation rows share: the values that were ``found``, from the game of ``n_points`` of them.

    ``is_fitted``: the head was at its minimum before rows were valued. ``again``: values of a few rows by another
    formula, and the size of their terms, for the audit.
    """

    found: CourseValues
    n_points: int
    is_fitted: bool
    again: tuple[Float64s, float] | None = None

    def head_findings(self) -> list[Finding]:
        """Return whether the head, if any, is at its minimum; with epochs, whether its loss fell."""
        head, losses = self.found.head, self.found.losses
        if head is None:
            return []
        if self.is_fitted:
            told = f"{head.loss:.3g} after {head.n_steps} steps on {head.n_rows} rows"
            meaning = f"steepest slope of the head's loss, {told}"
            return [Finding("head", "pass" if head.slope <= FLAT_SLOPE else "warn", head.slope, FLAT_SLOPE, meaning)]
        meaning = f"mean loss at the start of epoch {len(losses)}, no more than in epoch 1"
        return [Finding("head", "pass" if losses[-1] <= losses[0] else "warn", losses[-1], losses[0], meaning)]


@dataclass(frozen=True, kw_only=True)
class SumsMethod(SharedMethod[ChgShapley]):
    """A method that values rows by losses and gradients: given, or in a softmax head trained on the embeddings."""

    kind: ClassVar[str] = "sums"
    why_one_label: ClassVar[str] = "{} trains a softmax head: "
    averages_ties: ClassVar[bool] = True  # rows are not ranked

    def settle(
        self,
        rows: PassRows,
        points: AnyPiece | None,
        sizes: tuple[int, int],
        parameters: ChgShapley,
        watched: Watched = Watched(),  # noqa: B008 - it is frozen
    ) -> SettledGame:
        """Return the values of the rows; ``sizes``: features and classes.

        The target is the mean over ``points``, or with None over the training rows.
        Cost: that of `softmax_head.fit_head` and two readings, or with epochs one reading an epoch, and one more. Of
        given gradients two readings.
        Raises: InputError if no validation row has a label that training rows have, or a game has no validation row;
        ConfigError if sums of as many games do not fit.
        """
        n_features, n_classes = sizes
        by_label = parameters.by == BY_LABEL
        if by_label and parameters.variant != HARDNESS:
            _require_room(n_features if parameters.source == GIVEN else n_classes * (n_features + 1), n_classes)
        if points is not None and len(points[1]) == 0:
            got, hint = "none", "their gradients are the target; check for case, blanks, id mix-ups"
            raise InputError(Problem("validation labels", "labels that training rows have", got, hint))
        run_target = None if points is None or parameters.variant == HARDNESS else ArrayRows(points).run
        try:
            if parameters.source == GIVEN:
                asked = GivenPass(parameters.variant, n_features, n_classes if by_label else 0)
                found = given_values(asked, rows.run, run_target, watched)
            else:
                drawn = rows.some(drawn_rows(rows.n, n_features, n_classes))
                start, training = _start(drawn, n_classes, parameters), _training(parameters)
                course = Course(start, training, parameters.variant, by_label, rows.n, rows.run, run_target, rows.some)
                found = course.valued(watched)
        except NoTargetError as error:
            expected, got = "rows of each label that training rows have, with by: label", f"none of {len(error.games)}"
            raise InputError(Problem("validation labels", expected, got, "add such rows, or leave by out")) from None
        return SettledGame(found, rows.n if points is None else len(points[1]), parameters.epochs is None)

    def values_of(self, settled: SettledGame, *, row_bounds: bool = False) -> Partial:
        """Return the values of all training rows as the partial of all validation rows."""
        found, n = settled.found, settled.n_points
        if not np.isfinite(found.values).all():
            hint = "embed both sides the same way: a row lies so far from the training rows that squares overflow"
            if found.head is None:
                hint = "gradients of such sizes overflow when they are squared: scale losses and gradients of all rows"
            elif not settled.is_fitted:
                hint += ", or the learning rate is too large"
            raise InputError(Problem("embeddings", "gradients whose squares are finite", "larger ones", hint))
        partial = Partial.zeros(len(found.values), row_bounds=row_bounds)
        partial.value += n * found.values
        partial.n_validation, partial.utility = n, n * found.utility
        partial.size = n * found.size
        return partial

    def partial(
        self,
        train: TrainArrays,
        chunk: ChunkArrays,
        options: RankingOptions,
        parameters: ChgShapley,
        workspace: Workspace | None = None,  # noqa: ARG002
    ) -> Partial:
        """Return the values with one chunk as all validation rows; under self-validation with all training rows."""
        return self.settled_game(train, chunk, options, parameters)[0]

    def settled_game(
        self, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: ChgShapley
    ) -> tuple[Partial, list[Finding]]:
        """Return the values by all points, and whether the head was trained."""
        rows = ArrayRows(labelled_rows(train))
        sizes = train.x.shape[1], int(rows.rows[1].max(initial=0)) + 1
        of_points = None if points.train_rows is not None else labelled_points(points)
        settled = self.settle(rows, of_points, sizes, parameters)
        return self.values_of(settled, row_bounds=options.row_bounds), settled.head_findings()

    def asked(self, sizes: JobSizes) -> str:  # noqa: ARG002
        """Return in words what the method needs of the training rows."""
        return "sums"

    def n_readings(self, parameters: ChgShapley) -> int:
        """Return how often all training rows are read: once an epoch, and once more to value them."""
        return 1 + (parameters.epochs or 1)

    def flops(self, sizes: JobSizes) -> int:
        """Return the number of floating-point operations in matrix products."""
        return 2 * sizes.n_train * sizes.n_features * PRODUCTS * max(sizes.n_readings - 1, 1)

    def shared_seconds(
        self, sizes: JobSizes, train: TrainArrays, points: ChunkArrays, options: RankingOptions, parameters: ChgShapley
    ) -> float:
        """Return the CPU seconds that the game of all rows takes, judged by random rows and few epochs."""
        few = parameters
        if parameters.epochs is not None:
            few = replace(parameters, epochs=min(parameters.epochs, FEW_EPOCHS))
        seconds = super().shared_seconds(sizes, train, points, options, few)
        return seconds * self.n_readings(parameters) / self.n_readings(few)


def _start(drawn: Piece, n_classes: int, parameters: ChgShapley) -> SoftmaxHead:
    if parameters.epochs is None:
        return fit_head(*drawn, n_classes)
    return untrained_head(drawn[0], n_classes)


def _training(parameters: ChgShapley) -> Training | None:
    if parameters.epochs is None:
        return None
    return Training(parameters.epochs, parameters.learning_rate, parameters.batch_rows, parameters.seed)


def _require_room(n_numbers: int, n_classes: int) -> None:
    """Raise ConfigError if sums of a game for each class, of so many numbers each, take more than MOST_BYTES."""
    n_bytes = 8 * n_classes * n_numbers
    if n_bytes > MOST_BYTES:
        hint = "leave by out, or take variant: hardness, whose games take a number each"
        expected = f"sums of gradients up to {show_bytes(MOST_BYTES)}"
        raise ConfigError(Problem("by", expected, f"{show_bytes(n_bytes)} for {n_classes} labels", hint))
