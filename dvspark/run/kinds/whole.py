"""Whole: all values of a `whole` method, which follow from both tables.

The driver holds the validation rows. Tasks read the training rows in row passes; what takes them at once, the driver
reads where they are mapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.audit import checks
from dvspark.engine.engines import Index, engine_of
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.formulas.both_tables import BothTables
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.logs import Stage
from dvspark.methods.kinds.shared import labelled_rows
from dvspark.methods.kinds.whole import SettledValues, WholeMethod
from dvspark.run.kinds.shared_game import game_points
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Finding, Float64s, Int64s, Partial, columns

if TYPE_CHECKING:
    from dvspark.local.rows import Frame


@dataclass(frozen=True)
class WholeGame:
    """Both ``tables``, whose rows ``work`` values at once; a shared game."""

    tables: BothTables
    work: ChunkWork

    @property
    def note(self) -> str:
        """What the log says of the stage that settled it."""
        return f"{len(self.tables.points[1]):,} validation rows"

    def value(self, _ledger: Ledger | None, _stage: Stage) -> WholeValues:
        """Return the values; nothing is kept. Raises: InputError for tables that the method cannot value."""
        method = WholeMethod.of(self.work.method)
        parameters = method.own(self.work.parameters)
        return WholeValues(method.settled(self.tables, parameters, row_bounds=self.work.options.row_bounds))


@dataclass(frozen=True)
class WholeValues:
    """The values of both tables, with what was found of them; they have no standard errors."""

    settled: SettledValues
    standard_errors: None = None

    @property
    def totals(self) -> Partial:
        """The values as a partial, whose means they are."""
        return self.settled.partial

    @property
    def n_validation(self) -> int:
        """How many validation rows the values rest on."""
        return self.totals.n_validation

    @property
    def note(self) -> str:
        """What the log says of the stage."""
        return f"{len(self.totals.value):,} rows at once"

    def findings(self, values: Float64s) -> list[Finding]:
        """Return the audit's findings about the values."""
        return [checks.check_finite(values), *self.settled.findings]

    def record(self) -> dict[str, Any]:
        """Return nothing: the findings say it."""
        return {}


def settled(validation_rows: Frame, n_chunks: int, index: Index, work: ChunkWork) -> WholeGame:
    """Return both tables."""
    engine = engine_of(index)
    known = engine.train_keys(index)

    def some(places: Int64s) -> Piece:
        labels = known.keys["label"].take(pa.array(places)).combine_chunks()
        return engine.listed_rows(index, places.tolist()).x, columns.codes_of(labels, known.words)

    tables = BothTables(
        index.n_train,
        len(known.words),
        game_points(validation_rows, n_chunks, known)[:2],
        lambda: (labelled_rows(rows)[:2] for rows in engine.train_pieces(index)),
        some,
        lambda asked: engine.row_pass(validation_rows, index, work, asked),
    )
    return WholeGame(tables, work)
