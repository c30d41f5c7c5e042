"""Spot checks: a run checks what it takes over from an earlier start by valuing a few of its chunks again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dvspark.audit.checks import check_taken_over
from dvspark.engine.engines import Index, engine_of
from dvspark.engine.group_totals import TaskTotals
from dvspark.engine.groups import Groups
from dvspark.engine.points import points_of
from dvspark.engine.reduce import sketch_of
from dvspark.engine.tasks import ChunkWork
from dvspark.run.change.change import Parent
from dvspark.schemas import Chunks, Finding, Float64s, Partial
from dvspark.schemas.sketch import distance

if TYPE_CHECKING:
    from dvspark.local.rows import Frame

# One chunk of each of so many waves, drawn anew each time, so that nobody can know which chunks are not checked.
CHECKED_WAVES = 8


@dataclass(frozen=True)
class Summed:
    """Totals over validation rows, with the chunks that are in them.

    - ``n_chunks``: the number of chunks into which the rows were cut, maybe by ``groups``; some may be empty.
    - ``chunks``: those that are not empty, in order.
    - ``waves_before``: for each wave taken over from an earlier start, its number of chunks. These waves come first.
    - ``apart``: the largest difference between totals of these waves and the sums of their chunks.
    - ``by_task``, ``own_class``: as in `GroupedTotals`.
    """

    totals: Partial
    n_chunks: int
    groups: Groups | None = None
    chunks: Chunks = field(default_factory=Chunks.none)
    waves_before: tuple[int, ...] = ()
    apart: float = 0.0
    by_task: tuple[TaskTotals, ...] = ()
    own_class: Float64s | None = None


def earlier_waves_findings(validation_rows: Frame, index: Index, work: ChunkWork, summed: Summed) -> list[Finding]:
    """Return whether waves of an earlier start are what this start would have computed; empty if there are none.

    Cost: that of CHECKED_WAVES chunks at most.
    """
    waves = summed.waves_before
    if not waves:
        return []
    ends = np.cumsum(waves)
    drawn = secrets.SystemRandom().sample(range(len(waves)), min(CHECKED_WAVES, len(waves)))
    places = sorted(int(ends[wave]) - 1 - secrets.randbelow(waves[wave]) for wave in drawn)
    again = valued_again(validation_rows, summed.n_chunks, summed.chunks, places, index, work, summed.groups)
    n_values = work.n_values(index)
    apart = [distance(one, summed.chunks.sketches[place], n_values) for one, place in zip(again, places, strict=True)]
    what = f"{len(places)} chunks of {len(waves)} waves that an earlier start of this run has left, valued again"
    return [check_taken_over("earlier_waves", max(summed.apart, *apart), what)]


def parent_findings(parent: Parent, index: Index, work: ChunkWork) -> list[Finding]:
    """Return whether the totals of a run that changes are the sum of its chunks; one chunk is valued again.

    The finding is a warning if the rows of that chunk are no longer at hand.
    """
    kept, n_values = parent.kept, work.n_values(index)
    apart, what = (
        distance(sketch_of(kept.totals), kept.told(), n_values),
        f"the totals of run {parent.record['run_id']}",
    )
    drawn = _drawn_chunk(parent)
    if drawn is None:
        found = check_taken_over("parent", apart, f"{what}, whose rows are not at hand: no chunk is valued again")
        return [replace(found, verdict="warn") if found.verdict == "pass" else found]
    place, rows = drawn
    again = valued_again(rows, kept.n_chunks, kept.chunks, [place], index, work)
    apart = max(apart, distance(again[0], kept.chunks.sketches[place], n_values))
    return [check_taken_over("parent", apart, f"{what}, and one chunk of its rows, valued again")]


def _drawn_chunk(parent: Parent) -> tuple[int, Frame] | None:
    """Return the place and the rows of a chunk; None if the rows are not at hand."""
    chunks = parent.kept.chunks
    if parent.valued is None or not len(chunks.ids):
        return None
    place = secrets.randbelow(len(chunks.ids))
    points = points_of(parent.valued)
    rows = points.rows_of(points.chunked(parent.valued, parent.kept.n_chunks), int(chunks.ids[place]))
    return (place, rows) if points.n_rows(rows) == chunks.n_rows[place] else None


def valued_again(
    validation_rows: Frame,
    n_chunks: int,
    chunks: Chunks,
    places: list[int],
    index: Index,
    work: ChunkWork,
    groups: Groups | None = None,
) -> Float64s:
    """Return the sketches of the chunks at these places, ascending, after valuing them. Raises: ComputeError."""
    sizes = dict(zip(chunks.ids[places].tolist(), chunks.n_rows[places].tolist(), strict=True))
    cut = points_of(validation_rows).chunked(validation_rows, n_chunks, groups)
    waves = engine_of(index).value_waves(cut, sizes, index, work, n_tasks=len(sizes))
    return np.vstack([wave.sketches for wave in waves])
