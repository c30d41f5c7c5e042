"""Findings: what the audit is given of a finished run, on the engine that valued it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark import sums
from dvspark.audit import approximation, checks, reference
from dvspark.engine import replicated, sharded, tasks
from dvspark.engine.exchange import Halves
from dvspark.engine.index_kinds import Index, engine_of
from dvspark.engine.train_blocks import BlocksReference
from dvspark.kernels.merged import MergedPoint
from dvspark.methods.search_index import EXACT
from dvspark.schemas import Finding, Float64s, Partial

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run_findings(
    validation_rows: DataFrame, index: Index, work: tasks.ChunkWork, totals: Partial, values: Float64s
) -> list[Finding]:
    """Return the audit's findings: the axiom over all points, and a sample of points valued again by the reference.

    Rows that an approximate index found are not those of the reference: then it is told how many of the nearest they
    are, and how far the values of the sample are from exact ones.
    """
    options, method = work.options, work.method
    if work.settled is not None:
        return sums.sums_findings(sums.TrainRows(engine_of(index), index), work.settled, totals, values)
    sample = replicated.sample_rows(validation_rows, reference.SAMPLE_POINTS)
    spark = validation_rows.sparkSession
    chunks = replicated.chunked(spark.createDataFrame(sample, schema=validation_rows.schema), 1)
    findings = [checks.check_finite(values)]
    with ThreadPoolExecutor(1) as beside:
        # While tasks value the sample; that of blocks asks for tasks itself, and for another size of batches.
        apart = options.index == EXACT and not isinstance(index, BlocksReference)
        soon = beside.submit(_by_reference, chunks, sample, index, work) if apart else None
        by_engine = Partial.zeros(work.n_values(index), row_bounds=options.error_bound)
        for wave in engine_of(index).value_waves(chunks, {0: len(sample)}, index, work):
            by_engine.add(wave.totals)
    if options.index == EXACT:
        by_reference = soon.result() if soon else _by_reference(chunks, sample, index, work)
        own_error = method.own_error(index.n_train - options.self_validation, work.parameters)
        findings.append(checks.check_sample(by_engine, by_reference, own_error))
    else:
        find = engine_of(index).nearest_rows
        rows, nearest = (find(spark, sample, index, work, exact=exact) for exact in (False, True))
        findings.append(approximation.check_recall(rows, nearest))
    findings += method.findings(totals)
    if method.efficient(work.parameters):
        findings.append(checks.check_efficiency(values, totals, options.aggregate))
    if method.approximates is not None:
        others, parameters = approximation.approximated(options, work.parameters)
        exact = _by_reference(chunks, sample, index, replace(work, options=others, parameters=parameters))
        n_players = index.n_train - options.self_validation
        findings += approximation.approximation_findings(options, work.parameters, n_players, by_engine, exact, values)
    return findings


def _by_reference(chunks: DataFrame, sample: pa.Table, index: Index, work: tasks.ChunkWork) -> Partial:
    """Return the reference's partial of a few points, all in one chunk: in this process, or where the blocks are.

    ``sample``: the rows of ``chunks``, here, in id order.
    """
    options, parameters = work.options, work.parameters
    if isinstance(index, BlocksReference):
        metric, n_train = options.metric, index.n_train

        def partial_of(points: Iterator[MergedPoint]) -> Partial:
            known = index.train_keys()
            columns = tasks.sampled_columns(known.columns, known.keys["id"], work)
            return reference.merged_reference_partial(points, columns, n_train, options, parameters)

        halves = Halves(lambda block, chunk: reference.reference_parts(block.train, chunk, metric), partial_of)
        sizes, alone = {0: len(sample)}, options.self_validation
        n_values = work.n_values(index)
        return next(sharded.exchanged_waves(chunks, sizes, index, halves, n_values, self_validation=alone)).totals
    opened = replicated.open_here(index)
    train = tasks.with_sample(opened.arrays, opened.keys["id"], work)
    points = tasks.chunk_arrays(sample, opened.train_keys, self_validation=options.self_validation)
    return reference.reference_partial(train, points, options, parameters)
