"""Sums: what `sums` methods need before rows are valued, the values, and their audit. Only the driver works.

The head is trained on a sample. Two passes then read the training rows, mapped, tile by tile in id order, so values
have the same bits under both plans.
For 400,000 × 256 rows and 10 classes the passes took 1.5 s of CPU, and the head, on the 126,144 rows drawn, 0.3 s a
step (one thread of an Intel Xeon). So tasks would gain little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.audit import checks, gradients
from dvspark.engine.chunks import pieces, rows_of_chunk
from dvspark.engine.engines import Engine, Index
from dvspark.engine.index.train_index import TrainKeys
from dvspark.engine.points import points_of
from dvspark.engine.tasks import ChunkWork, chunk_arrays
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.softmax_head import FLAT_SLOPE, drawn_rows
from dvspark.logs import Stage
from dvspark.methods.kinds.sums import SettledGame, SumsMethod, labelled, labelled_points
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Finding, Float64s, Int32s, Partial, columns

if TYPE_CHECKING:
    from dvspark.engine.points import Chunked
    from dvspark.local.rows import Frame

# Training rows that the audit values again.
SAMPLE_ROWS = 8


@dataclass(frozen=True)
class TrainRows:
    """The training rows of an index, read through the ``engine`` that values with its kind."""

    engine: Engine[Index, Any, Any]
    index: Index

    def pieces(self) -> Iterator[Piece]:
        """Yield all training rows in id order, mapped."""
        return map(labelled, self.engine.train_pieces(self.index))

    @property
    def keys(self) -> TrainKeys:
        """The ids and labels of the rows."""
        return self.engine.train_keys(self.index)

    def some(self, rows: list[int]) -> Piece:
        """Return the training rows at these places."""
        listed = self.engine.listed_rows(self.index, rows)
        known = self.keys
        codes: Int32s = columns.codes_of(known.keys["label"].take(pa.array(rows)).combine_chunks(), known.words)
        return listed.x, codes


@dataclass(frozen=True)
class HeadGame:
    """The game of gradients in a head that is trained, ``known``; a shared game."""

    rows: TrainRows
    work: ChunkWork
    known: SettledGame

    @property
    def note(self) -> str:
        """What the log says of the stage that settled it."""
        return f"softmax head on {self.known.head.n_rows} rows"

    def value(self, _ledger: Ledger | None, _stage: Stage) -> HeadValues:
        """Return the values; they take one pass, so nothing is kept."""
        return HeadValues(self, values(self.rows, self.work, self.known))


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
        return sums_findings(self.game.rows, self.game.known, self.totals, valued)

    def record(self) -> dict[str, Any]:
        """Return nothing: the finding of the head says how it was trained."""
        return {}


def settled(validation_rows: Frame, n_chunks: int, rows: TrainRows, work: ChunkWork) -> SettledGame:
    """Return the head and the game: one pass over the training rows, and one over the validation rows, by chunk.

    Memory of the driver: at most 0.6 GiB for the head, a tile, and the validation rows of a wave.
    """
    n_classes = len(rows.keys.words)
    drawn = rows.some(drawn_rows(rows.index.n_train, rows.index.n_features, n_classes).tolist())
    points = None
    if not work.options.self_validation:
        points = _points(points_of(validation_rows).chunked(validation_rows, n_chunks), rows.keys)
    return SumsMethod.of(work.method).settle(drawn, rows.pieces, points, n_classes)


def _points(chunks: Chunked, known: TrainKeys) -> Iterator[Piece]:
    """Yield the validation rows whose label some training row has, chunk by chunk in id order."""
    asked = points_of(chunks)
    for wave in pieces(list(asked.chunk_sizes(chunks))):
        rows = asked.chunk_rows(chunks, wave)
        for chunk_id in wave:
            yield labelled_points(chunk_arrays(rows_of_chunk(rows, chunk_id), known, self_validation=False))


def values(rows: TrainRows, work: ChunkWork, known: SettledGame) -> Partial:
    """Return the values of all training rows as the partial of all validation rows. Cost: one pass."""
    return SumsMethod.of(work.method).values_of(known, rows.pieces, row_bounds=work.options.row_bounds)


def sums_findings(rows: TrainRows, known: SettledGame, totals: Partial, valued: Float64s) -> list[Finding]:
    """Return the audit's findings: the axiom, a sample of rows by another formula, and how the head was trained."""
    places = np.unique(np.linspace(0, len(valued) - 1, SAMPLE_ROWS).astype(np.int64))
    x, codes = rows.some(places.tolist())
    head = known.head
    meaning = f"steepest slope of the head's loss, {head.loss:.3g} after {head.n_steps} steps on {head.n_rows} rows"
    flat = head.slope <= FLAT_SLOPE
    return [
        checks.check_finite(valued),
        gradients.check_rows(x, codes, valued[places], head, known.game),
        checks.check_efficiency(valued, totals, "mean"),
        Finding("head", "pass" if flat else "warn", head.slope, FLAT_SLOPE, meaning),
    ]
