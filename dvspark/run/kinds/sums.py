"""Sums: the head of a `sums` method, its games, the values of all rows, and their audit.

A head at its minimum is trained on a sample, by the driver; one that values rows in each epoch is trained on all rows:
by tasks, if a step is by all rows; by the driver, if it is by a batch, which is done sooner than a task is sent. Tasks
add up and value stretches of rows, and stretches are added in order, so values have the same bits on every engine and
under both plans.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.audit import checks, gradients
from dvspark.engine.engines import Engine, Index, engine_of
from dvspark.engine.index.train_index import TrainKeys
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.gradients.course import Watched
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.head_pass import PassSums
from dvspark.kernels.gradients.row_pass import RowPass
from dvspark.logs import Stage
from dvspark.methods.kinds.sums import BY_LABEL, SettledGame, SumsMethod
from dvspark.run.kinds.shared_game import game_points
from dvspark.runs.epochs_kept import EpochsKept
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Finding, Float64s, Int32s, Int64s, Partial, columns

if TYPE_CHECKING:
    from dvspark.local.rows import Frame

# Training rows that the audit values again.
SAMPLE_ROWS = 8


@dataclass(frozen=True)
class TrainRows:
    """The training rows of an index, read through the ``engine`` of its kind; ``frame``: rows of the session."""

    engine: Engine[Index, Any, Any]
    index: Index
    frame: Frame
    work: ChunkWork

    @classmethod
    def of(cls, index: Index, frame: Frame, work: ChunkWork) -> TrainRows:
        """Return the rows of an index."""
        return cls(engine_of(index), index, frame, work)

    @property
    def n(self) -> int:
        """Their number."""
        return self.index.n_train

    @property
    def keys(self) -> TrainKeys:
        """The ids and labels of the rows."""
        return self.engine.train_keys(self.index)

    def run(self, asked: RowPass) -> PassSums:
        """Return the sums over all rows, added by `stretches`, and their values."""
        return PassSums.joined(self.engine.row_pass(self.frame, self.index, self.work, asked))

    def some(self, places: Int64s) -> Piece:
        """Return the training rows at these places."""
        rows, known = places.tolist(), self.keys
        listed = self.engine.listed_rows(self.index, rows)
        codes: Int32s = columns.codes_of(known.keys["label"].take(pa.array(rows)).combine_chunks(), known.words)
        return listed.x, codes


@dataclass(frozen=True)
class HeadGame:
    """The game of gradients in a head that is trained, ``known``; a shared game."""

    work: ChunkWork
    known: SettledGame

    @property
    def note(self) -> str:
        """What the log says of the stage that settled it."""
        head, n_epochs = self.known.found.head, len(self.known.found.losses)
        if head is None:
            return "gradients given"
        if self.known.is_fitted:
            return f"softmax head on {head.n_rows} rows"
        return f"{n_epochs} epochs, loss {head.loss:.3g}"

    def value(self, _ledger: Ledger | None, _stage: Stage) -> HeadValues:
        """Return the values, which were found when the game was settled; nothing is kept."""
        return HeadValues(self, values(self.work, self.known))


@dataclass(frozen=True)
class HeadValues:
    """The values of a game of gradients, as ``totals``; they have no standard errors."""

    game: HeadGame
    totals: Partial
    standard_errors: None = None

    @property
    def n_validation(self) -> int:
        """How many validation rows the values rest on."""
        return self.totals.n_validation

    @property
    def note(self) -> str:
        """What the log says of the stage."""
        return "sums of gradients"

    def findings(self, valued: Float64s) -> list[Finding]:
        """Return the audit's findings about the values."""
        return sums_findings(self.game.known, self.totals, valued)

    def record(self) -> dict[str, Any]:
        """Return nothing: the finding of the head says how it was trained."""
        return {}


def settled(
    validation_rows: Frame, n_chunks: int, rows: TrainRows, stage: Stage | None = None, ledger: Ledger | None = None
) -> SettledGame:
    """Return the values of all training rows, the head and the game: see `kernels.gradients.course` for the cost.

    ``stage`` shows how many epochs are done. What they come to is kept in the ``ledger``, if there is one, and epochs
    that it has are not done again.
    Memory of the driver: at most 0.6 GiB for a head at its minimum; the validation rows; a few times the weights.
    """
    work = rows.work
    method = SumsMethod.of(work.method)
    parameters = method.own(work.parameters)
    known, points = rows.keys, None
    if not work.options.self_validation:
        points = game_points(validation_rows, n_chunks, known)
    sampled, losses = _sampled(rows.n), known.columns.losses
    own_losses = None if losses is None else losses[sampled]
    by_label = parameters.by == BY_LABEL
    again = gradients.ValuedAgain(*rows.some(sampled), parameters.variant, by_label=by_label, losses=own_losses)
    watched = Watched(again.see)
    if parameters.epochs is not None:
        kept = EpochsKept(ledger, again)
        before = kept.read()
        report = watched.report
        if stage is not None:
            report = stage.expect(kept.n_done, parameters.epochs, 1, "starting workers", "epochs")
        watched = Watched(again.see, report, kept.keep, before)
    found = method.settle(rows, points, (rows.index.n_features, len(known.words)), parameters, watched)
    return replace(found, again=again.mean())


def values(work: ChunkWork, known: SettledGame) -> Partial:
    """Return the values of all training rows as the partial of all validation rows."""
    return SumsMethod.of(work.method).values_of(known, row_bounds=work.options.row_bounds)


def sums_findings(known: SettledGame, totals: Partial, valued: Float64s) -> list[Finding]:
    """Return the audit's findings: the axiom, a sample of rows by another formula, and how the head was trained."""
    findings = [checks.check_finite(valued)]
    if known.again is not None:
        findings.append(gradients.check_rows(valued[_sampled(len(valued))], *known.again))
    return [*findings, checks.check_efficiency(valued, totals, "mean"), *known.head_findings()]


def _sampled(n: int) -> Int64s:
    return np.unique(np.linspace(0, n - 1, SAMPLE_ROWS).astype(np.int64))
