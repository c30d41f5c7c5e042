"""A shared game: what stages ask of a kind of methods for which all validation rows share one game."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dvspark.engine.chunks import pieces, rows_of_chunk
from dvspark.engine.index.train_index import TrainKeys
from dvspark.engine.points import points_of
from dvspark.engine.tasks import chunk_arrays
from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.logs import Stage
from dvspark.methods.kinds.shared import labelled_points
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Finding, Float64s, Partial

if TYPE_CHECKING:
    from dvspark.local.rows import Frame


class SharedValues(Protocol):
    """The values of a shared game, and what is known of them."""

    @property
    def totals(self) -> Partial:
        """The values as a partial, whose means they are."""

    @property
    def n_validation(self) -> int:
        """How many validation rows the values rest on."""

    @property
    def standard_errors(self) -> Float64s | None:
        """The standard error of each value; None where values have none."""

    @property
    def note(self) -> str:
        """What the log says of the stage."""

    def findings(self, values: Float64s) -> list[Finding]:
        """Return the audit's findings about the values."""

    def record(self) -> dict[str, Any]:
        """Return what the run record tells besides."""


class SharedGame(Protocol):
    """A game that is settled and can be valued, at once and not chunk by chunk."""

    @property
    def note(self) -> str:
        """What the log says of the stage that settled it."""

    def value(self, ledger: Ledger | None, stage: Stage) -> SharedValues:
        """Return the values. What takes long is kept in the ledger, if there is one."""


def game_points(validation_rows: Frame, n_chunks: int, known: TrainKeys) -> AnyPiece:
    """Return the validation rows whose label some training row has, by chunk, in id order."""
    asked = points_of(validation_rows)
    chunks, found = asked.chunked(validation_rows, n_chunks), list[AnyPiece]()
    for wave in pieces(list(asked.chunk_sizes(chunks))):
        rows = asked.chunk_rows(chunks, wave)
        for chunk_id in wave:
            found.append(labelled_points(chunk_arrays(rows_of_chunk(rows, chunk_id), known, self_validation=False)))
    x, codes = np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])
    losses = [one[2] for one in found if len(one) > 2]
    return (x, codes, np.concatenate(losses)) if losses else (x, codes)
