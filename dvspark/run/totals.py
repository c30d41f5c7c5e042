"""Totals: the sum of the partials of all waves, those in the ledger and those that are left to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvspark.engine.chunks import first_chunks, queries
from dvspark.engine.engines import Index, engine_of
from dvspark.engine.group_totals import GroupTotals
from dvspark.engine.groups import Groups
from dvspark.engine.planning.cluster import read_hosts, session_of
from dvspark.engine.points import points_of
from dvspark.engine.reduce import sketch_of
from dvspark.engine.tasks import ChunkWork
from dvspark.errors import ComputeError, Problem
from dvspark.kernels import loops
from dvspark.logs import Stage, log_event
from dvspark.run.checks.spot_checks import Summed
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Chunks, Float64s, Partial, Wave
from dvspark.schemas.sketch import distance

if TYPE_CHECKING:
    from dvspark.local.rows import Frame

# What happens in the first round of chunks besides, by whether there are loops to compile: which of them a host has
# compiled before only its workers know.
FIRST_ROUND = {False: "starting workers", True: "starting workers, compiling any new loops"}


def add_up(
    validation_rows: Frame,
    n_chunks: int,
    index: Index,
    work: ChunkWork,
    ledger: Ledger | None,
    stage: Stage,
    groups: Groups | None = None,
) -> Summed:
    """Return the totals over all validation rows. Each wave is committed to the ledger, if there is one, when it ends.

    ``stage`` shows how many chunks are done. Waves are added in a tree of the places of their chunks, of each group by
    itself. So the bits do not depend on whether waves come from the ledger or from tasks, nor on how many chunks each
    wave has.
    Raises: ComputeError if the ledger's chunks are not those of the table.
    """
    points, n_values = points_of(validation_rows), work.n_values(index)
    chunks, engine = points.chunked(validation_rows, n_chunks, groups), engine_of(index)
    sizes, known = points.chunk_sizes(chunks), list[Chunks]()
    totals = GroupTotals(list(sizes), groups, n_values, work.options, lambda: engine.train_keys(index).keys["label"])
    before, apart = list[int](), 0.0
    for wave in [] if ledger is None else ledger.waves():
        _require_fitting(wave, sizes, n_values)
        apart = max(apart, distance(sketch_of(wave.totals), wave.sketches.sum(axis=0), n_values))
        before.append(_added(wave, totals, known))
    n_waves, n_done = len(before), totals.n_places
    if before:
        left = len(sizes) - n_done
        log_event(f"ledger: {n_waves} waves were done before; {left} chunks are left", waves=n_waves, chunks=left)
    n_tasks = read_hosts(session_of(validation_rows), None).n_tasks
    report = stage.expect(n_done, len(sizes), n_tasks, FIRST_ROUND[loops.is_compiled()])
    first = first_chunks(max(sizes.values(), default=0), index.n_train)
    cut = queries(len(sizes), n_done, n_tasks, totals.ends, first)
    for wave in engine.value_waves(chunks, sizes, index, work, report, n_done, n_tasks, cut):
        if ledger is not None:
            ledger.commit(n_waves, wave)
        _added(wave, totals, known)
        n_waves += 1
    found = totals.result()
    return Summed(
        found.totals, n_chunks, groups, Chunks.joined(known), tuple(before), apart, found.by_task, found.own_class
    )


def _added(wave: Wave, totals: GroupTotals, known: list[Chunks]) -> int:
    """Add a wave, and return its number of chunks."""
    known.append(Chunks.of(wave))
    return totals.add(wave)


def _require_fitting(wave: Wave, sizes: dict[int, int], n_values: int) -> None:
    """Raise ComputeError if the chunks of a wave from the ledger are not those of the table."""
    end = wave.place + len(wave.chunk_rows)
    expected = dict(list(sizes.items())[wave.place : end])
    shape = (len(expected), len(sketch_of(Partial.zeros(n_values))))
    are_places = _are_places(wave.totals.widest, expected)
    if (
        wave.chunk_rows != expected
        or len(wave.totals.value) != n_values
        or wave.sketches.shape != shape
        or not are_places
    ):
        hint = "did the table change meanwhile? --force drops what was done"
        expected_text = f"the validation rows of the chunks {wave.place} to {end - 1}"
        raise ComputeError(Problem("ledger", expected_text, "others", hint))


def _are_places(widest: Float64s, chunk_rows: dict[int, int]) -> bool:
    """Return whether all points with the widest certificates are rows of these chunks."""
    if widest.ndim != 2 or widest.shape[1] != 3:
        return False
    return all(place in range(chunk_rows.get(chunk, 0)) for _, chunk, place in widest.tolist())
