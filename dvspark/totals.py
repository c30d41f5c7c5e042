"""Totals: the partials of all waves added up, those that the ledger holds and those that are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dvspark import sums
from dvspark.engine import replicated
from dvspark.engine.chunks import waves
from dvspark.engine.index_kinds import Index, engine_of
from dvspark.engine.tasks import ChunkWork
from dvspark.errors import ComputeError, Problem
from dvspark.logs import log_event
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Partial

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def add_up(
    validation_rows: DataFrame,
    n_chunks: int,
    index: Index,
    work: ChunkWork,
    ledger: Ledger | None,
    report: Callable[[int, int], None],
) -> Partial:
    """Return the totals over all validation rows; each wave is committed to the ledger, if there is one, when it ends.

    Waves are added in their order, whether they come from the ledger or from tasks: the same bits.
    Raises: ComputeError when the ledger's chunks are not those of the table.
    """
    if work.settled is not None:  # one game for all rows, valued in one pass
        return sums.values(sums.TrainRows(engine_of(index), index), work, work.settled)
    chunks = replicated.chunked(validation_rows, n_chunks)
    totals = Partial.zeros(work.n_values(index), row_bounds=work.options.error_bound)
    left, done = replicated.chunk_sizes(chunks), 0
    for chunk_rows, kept in [] if ledger is None else ledger.waves():
        if any(left.pop(chunk, None) != n_rows for chunk, n_rows in chunk_rows.items()):
            expected, hint = f"the validation rows that wave {done} had", "did the table change meanwhile?"
            raise ComputeError(Problem("ledger", expected, "others", hint))
        totals.add(kept)
        done += 1
    if done:
        log_event(f"ledger: {done} waves were done before; {len(left)} chunks are left", waves=done, chunks=len(left))
    found = engine_of(index).value_waves(chunks, left, index, work, report)
    for chunk_ids, wave in zip(waves(list(left)), found, strict=True):
        if ledger is not None:
            ledger.commit(done, {chunk: left[chunk] for chunk in chunk_ids}, wave)
        totals.add(wave)
        done += 1
    return totals
