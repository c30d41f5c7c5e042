"""Findings: the audit of a finished run, on the engine that valued it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.audit import approximation, checks, reference
from dvspark.engine import tasks
from dvspark.engine.chunks import singly
from dvspark.engine.compared import findings_of, values_sha256
from dvspark.engine.engines import Index, engine_of
from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.points import audited_rows, points_of
from dvspark.engine.replicated import replicated
from dvspark.engine.sharded import sharded
from dvspark.engine.sharded.sharded_compared import reference_halves
from dvspark.errors import ComputeError, Problem
from dvspark.methods.finalize import finalize
from dvspark.run.checks.spot_checks import Summed
from dvspark.schemas import EXACT, Finding, Float64s, Partial

if TYPE_CHECKING:
    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame

# The audit values at least so many points at the same time, and more if so many bytes hold their values.
POINTS_AT_ONCE = 4
BYTES_AT_ONCE = 64 * 2**20


def run_findings(
    validation_rows: Frame, index: Index, work: tasks.ChunkWork, own: Summed, totals: Partial, values: Float64s
) -> list[Finding]:
    """Return the audit's findings: the axiom over all points, and some points valued again by the reference.

    The points are drawn ones, and those with the widest certificates among the rows that this run has valued itself
    (``own``). Each point is a chunk of its own, so that a wrong point cannot hide behind a right one.
    If an approximate index found the rows, they are not those of the reference. Then the findings say how many of the
    nearest rows were found, and how far values are from exact ones.
    """
    options, method = work.options, work.method
    sample = audited_rows(validation_rows, reference.SAMPLE_POINTS, own.n_chunks, own.totals.widest, own.groups)
    by_engine, exact = Partial.zeros(0), Partial.zeros(0)
    if method.approximates is not None:
        of_points, by_engine, exact = _valued_again(validation_rows, sample, index, work)
    else:
        of_points = _compared(validation_rows, sample, index, work)
    findings = [checks.check_finite(values)]
    if options.index == EXACT:
        findings.append(checks.worst(of_points))
    else:
        find = engine_of(index).nearest_rows
        rows, nearest = (find(validation_rows, sample, index, work, exact=exact) for exact in (False, True))
        findings.append(approximation.check_recall(rows, nearest))
    findings += method.findings(totals)
    if work.parameters.efficient:
        findings.append(checks.check_efficiency(values, totals, options.aggregate))
        findings += _task_findings(own, options.aggregate)
    if method.approximates is not None:
        n_players = index.n_train - options.self_validation
        findings += approximation.approximation_findings(options, work.parameters, n_players, by_engine, exact, values)
    return findings


def _task_findings(own: Summed, aggregate: str) -> list[Finding]:
    """Return whether the values of each task sum to what the axiom demands, as one finding; none without tasks."""
    found = [
        checks.check_efficiency(finalize(of.totals, aggregate, with_errors=False)[0], of.totals, aggregate)
        for of in own.by_task
    ]
    return [replace(checks.worst(found), name="tasks")] if found else []


def _compared(validation_rows: Frame, sample: pa.Table, index: Index, work: tasks.ChunkWork) -> list[Finding]:
    """Return for each of a few points whether engine and reference agree, compared where the index is open.

    Where the whole index is open, the first point is also valued as all others of the run were: its sums must arrive as
    its task has found them. Those of blocks have arrived before they are compared.
    """
    chunks = points_of(validation_rows).each_a_chunk(sample, validation_rows)
    engine, sizes = engine_of(index), dict.fromkeys(range(len(sample)), 1)
    told = engine.compared_points(chunks, sizes, index, work)
    if sorted(told["chunk_id"].to_pylist()) != list(sizes):
        got = f"{len(told)} of them"
        raise ComputeError(Problem("audit", f"{len(sizes)} points, each compared once", got, checks.AGAIN))
    if isinstance(index, BlocksReference):
        return findings_of(told)
    (arrived,) = engine.value_waves(chunks, {0: 1}, index, work, cut=singly(1))
    expected = told.filter(pc.equal(told["chunk_id"], 0))["values_sha256"][0].as_py()
    arrival = checks.check_arrival(expected, values_sha256(arrived.totals.value))
    return findings_of(told) + [one for one in [arrival] if one.verdict == "fail"]


def _valued_again(
    validation_rows: Frame, sample: pa.Table, index: Index, work: tasks.ChunkWork
) -> tuple[list[Finding], Partial, Partial]:
    """Return for each of a few points whether engine and reference agree, and two sums of the points' partials.

    The method approximates another one. The sums are by the engine, and by the other method's reference. Where an
    approximate index found the rows, engine and reference need not agree, and are not compared.
    Memory of the driver: 32 bytes for each training row and point that is valued at the same time, and 50 N bytes.
    """
    options, n_values = work.options, work.n_values(index)
    own_error = work.method.own_error(index.n_train - options.self_validation, work.parameters)
    findings, by_engine, exact = list[Finding](), Partial.zeros(n_values), Partial.zeros(n_values)
    others, parameters = approximation.approximated(options, work.parameters)
    approximated = replace(work, options=others, parameters=parameters)
    step = max(POINTS_AT_ONCE, BYTES_AT_ONCE // (16 * n_values))
    for start in range(0, len(sample), step):
        some = sample.slice(start, step)
        chunks = points_of(validation_rows).each_a_chunk(some, validation_rows)
        sizes = dict.fromkeys(range(len(some)), 1)
        with ThreadPoolExecutor(1) as beside:
            waves = engine_of(index).value_waves(chunks, sizes, index, work, cut=singly(len(some)))
            by_reference = _beside(beside, chunks, some, index, work) if options.index == EXACT else None
            for wave in waves:
                if by_reference is not None:
                    findings.append(checks.check_sample(wave.totals, next(by_reference), own_error))
                by_engine.add(replace(wave.totals, row_bounds=None))
        for point in _by_reference(chunks, some, index, approximated):
            exact.add(point)
    return findings, by_engine, exact


def _beside(
    beside: ThreadPoolExecutor, chunks: Chunked, sample: pa.Table, index: Index, work: tasks.ChunkWork
) -> Iterator[Partial]:
    """Return the reference's partial of each point, computed while tasks value the points.

    The reference of blocks needs tasks too, with another batch size, so it waits for its turn.
    """
    if isinstance(index, BlocksReference):
        return _by_reference(chunks, sample, index, work)
    return _told(beside.submit(lambda: list(_by_reference(chunks, sample, index, work))))


def _told(soon: Future[list[Partial]]) -> Iterator[Partial]:
    yield from soon.result()


def _by_reference(chunks: Chunked, sample: pa.Table, index: Index, work: tasks.ChunkWork) -> Iterator[Partial]:
    """Yield the reference's partial of each of a few points, computed in this process, or where the blocks are.

    ``sample`` has the rows of ``chunks`` in this process, in their order.
    """
    options, parameters = work.options, work.parameters
    if isinstance(index, BlocksReference):
        halves = reference_halves(index, work)
        sizes, n_values = dict.fromkeys(range(len(sample)), 1), work.n_values(index)
        alone, cut = options.self_validation, singly(len(sizes))
        for wave in sharded.exchanged_waves(chunks, sizes, index, halves, n_values, self_validation=alone, cut=cut):
            yield wave.totals
        return
    opened = replicated.open_here(index)
    train = tasks.with_sample(opened.arrays, opened.keys["id"], work)
    points = tasks.chunk_arrays(sample, opened.train_keys, self_validation=options.self_validation)
    for point in reference.reference_points(train, points, options):
        yield reference.merged_reference_partial([point], train.columns, train.n_train, options, parameters)
