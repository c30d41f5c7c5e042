"""The stages between two tables and audited values, none of which writes anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.audit import checks
from dvspark.engine import tasks
from dvspark.engine.engines import Index, engine_of
from dvspark.engine.index.train_index import TrainKeys
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.planning.plan import Plan, make_plan
from dvspark.engine.planning.sizes import Sizes
from dvspark.engine.replicated import replicated
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.kernels import loops
from dvspark.logs import log_event, stage
from dvspark.methods.finalize import certificate, finalize
from dvspark.methods.kinds.radius import SAMPLE_POINTS
from dvspark.methods.options import ValueOptions
from dvspark.report.rows import listed_positions
from dvspark.run import neighbors, sums
from dvspark.run.change import Parent, require_fitting
from dvspark.run.findings import run_findings
from dvspark.run.indexing import indexed
from dvspark.run.neighbors import Keep, released, with_counts
from dvspark.run.spot_checks import earlier_waves_findings, parent_findings
from dvspark.run.totals import add_up
from dvspark.run.valuation import Request, Valuation
from dvspark.runs.files import Files
from dvspark.runs.identity import derived_run_id, fingerprint
from dvspark.runs.private import new_identity
from dvspark.schemas import Float64s
from dvspark.tables.sinks.owner_folders import owner_problems
from dvspark.tables.sinks.write import values_table
from dvspark.tables.sources.read import Rows
from dvspark.tables.validate import ValidatedInputs, validate
from dvspark.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# How many of the nearest validation rows the report shows for each of the rows it lists.
EXTREME_NEIGHBORS = 5

RowsOrProblems = Rows | list[Problem]


def check(
    train: RowsOrProblems,
    validation: RowsOrProblems | None,
    request: Request,
    stages: list[dict[str, Any]],
    parent: Parent | None = None,
) -> Valuation:
    """Validate the tables and settle what decides the run; ``validation`` None is self-validation.

    ``parent``: the run to which the validation rows are added, or from which they are taken.
    Raises: InputError with everything wrong in the tables.
    """
    options = request.options
    with stage("validate", stages) as now:
        inputs = validate(train, validation, options, request.on_bad_row, to_owners=request.to_owners)
        parameters = options.resolved(inputs.n_classes)
        if parent is not None:
            require_fitting(parent, inputs)
            parameters = dict(parent.record["method"]["parameters"])
        now.rows = inputs.train_facts.n_rows + (inputs.validation_facts.n_rows if validation else 0)
        n_players = inputs.train_facts.n_rows - options.self_validation
        several = inputs.train.is_multi_label or inputs.validation.is_multi_label
        if request.to_owners and (unfit := owner_problems(_owners(inputs))):
            raise InputError(unfit)
        problems = options.declaration.label_problems(several=several)
        problems += options.declaration.size_problems(n_players, parameters)
        if problems := problems + options.table_problems(inputs.train_facts.n_rows, inputs.n_features):
            raise ConfigError(problems)
        now.note = f"{inputs.n_features} features, {inputs.n_classes} classes"
    for warning in inputs.warnings:
        log_event(f"note: {warning}", where=warning.where, got=warning.got)
    decisive = {
        "version": __version__,
        "options": {**options.record(), "parameters": parameters},
        "chunk_rows": request.chunk_rows,
        "train": inputs.train_facts.digest,
        "validation": inputs.validation_facts.digest,
        **({} if parent is None else {"parent": [parent.record["fingerprint"], parent.change]}),
    }
    full = fingerprint(decisive)
    if options.declaration.is_private:
        # A digest of the private table would tell a single label of it.
        shown = new_identity(options.method, request.run_id)
        secret = fingerprint({**decisive, "run_id": request.run_id})
        release = options.declaration.release(parameters, inputs.validation_facts.n_rows)
        return Valuation(
            request, inputs, parameters, shown.fingerprint, shown.run_id, stages, secret=secret, release=release
        )
    run_id = request.run_id or derived_run_id(options.method, full)
    return Valuation(request, inputs, parameters, full, run_id, stages, parent=parent)


def _owners(inputs: ValidatedInputs) -> list[str | int]:
    return [row[0] for row in inputs.train.frame.select("owner").distinct().collect()]


def compute(valuation: Valuation, spark: SparkSession, files: Files | None = None) -> Valuation:
    """Plan, index, value, finalize and audit; return the valuation with its values.

    ``files``: where waves are recorded once they are done, and a private release is kept before its use.
    Raises: ComputeError when something was lost on the way, AuditError when the values fail a check.
    """
    request, stages = valuation.request, valuation.stages
    ledger = None if files is None else valuation.ledger(files)
    if files is not None and ledger is not None:
        if valuation.secret is not None:
            files.make_private(ledger.folder)  # with sums of values in it
        ledger.begin()
    with stage("plan", stages) as now:
        valuation.plan = plan = _plan(valuation, spark)
        now.note = f"{plan.name}, {plan.n_chunks} chunks: {plan.reason}"
    with indexed(valuation.inputs, request.options, plan, request.work_dir, ledger, stages) as index:
        for name, prepare in PREPARATIONS.get(request.options.declaration.kind, {}).items():
            with stage(name, stages) as now:
                now.note = prepare(valuation, index, files)
        with stage("value", stages) as now:
            valuation.own = own = add_up(
                valuation.inputs.validation.frame, plan.n_chunks, index, valuation.work, ledger, now.progress
            )
            now.rows, totals = own.totals.n_validation, own.totals
            valuation.totals = totals = valuation.parent.changed(totals) if valuation.parent else totals
            how = f"{valuation.ranking} ranking" if valuation.ranking else request.options.declaration.kind
            now.note = f"{how}, loops in {loops.name(loops.fastest())}"
        with stage("finalize", stages) as now:
            method, aggregate = request.options.declaration, request.options.aggregate
            values, standard_errors = finalize(totals, aggregate, method.score, with_errors=method.adds_up)
            valuation.error_bound, row_bounds = certificate(totals, request.options.aggregate)
            keys = _players(engine_of(index).train_keys(index), request.options)
            valuation.values = values_table(valuation.run_id, keys, values, standard_errors, row_bounds)
            now.rows = len(values)
        with stage("audit", stages) as now:
            frame = valuation.inputs.validation.frame
            valuation.findings = run_findings(frame, index, valuation.work, own, totals, values)
            valuation.findings += earlier_waves_findings(frame, index, valuation.work, own)
            if valuation.parent is not None:
                valuation.findings += parent_findings(valuation.parent, index, valuation.work)
            now.note = f"{checks.verdict(valuation.findings)}: {', '.join(f.name for f in valuation.findings)}"
        checks.require(valuation.findings, request.options)
        if request.extremes and request.options.declaration.players == "rows":
            with stage("extremes", stages) as now:
                valuation.extremes = _extremes(valuation, index)
                now.rows = len(valuation.extremes)
    return valuation


def _find_neighbors(valuation: Valuation, index: Index, files: Files | None) -> str:
    """Settle the radius and, for a private method, the noisy counts; return what was settled."""
    inputs, method, engine = valuation.inputs, valuation.work.method, engine_of(index)
    frame, parameters = inputs.validation.frame, valuation.parameters
    if parameters["radius"] == "auto":
        options = valuation.request.options.ranking_options(parameters, index.n_train)
        sample = replicated.sample_rows(frame, SAMPLE_POINTS)

        def tenth_of(points: pa.Table) -> Float64s:
            alone = valuation.request.options.self_validation
            return engine.tenth_distances(frame.sparkSession, points, index, options, self_validation=alone)

        radius = neighbors.automatic_radius(method, sample, tenth_of, options.metric, index.n_train)
        valuation.parameters = {**parameters, "radius": radius}
    said = f"radius {valuation.parameters['radius']:.6g}"
    if method.is_private:
        keep = None if files is None else Keep(files, valuation.run_id, valuation.fingerprint)
        chunks = replicated.chunked(frame, valuation.plan.n_chunks if valuation.plan else 1)
        n_rows = inputs.validation_facts.n_rows

        def counts_of(work: tasks.ChunkWork) -> pa.Table:
            return engine.neighbor_counts(chunks, replicated.chunk_sizes(chunks), index, work)

        if keep is not None:
            keep.files.make_private("private")
        valuation.release, valuation.sample_key, noisy = released(method, valuation.work, n_rows, counts_of, keep)
        with_noise = inputs.validation.with_frame(with_counts(frame, noisy))
        valuation.inputs = dataclasses.replace(inputs, validation=with_noise)
        said += f", noise of sigma {valuation.release.sigma:.4g} on the counts"
    return said


def _settle_sums(valuation: Valuation, index: Index, _files: Files | None) -> str:
    """Settle the head and the game; return what was settled."""
    rows = sums.TrainRows(engine_of(index), index)
    n_chunks = valuation.plan.n_chunks if valuation.plan else 1
    valuation.settled = sums.settled(valuation.inputs.validation.frame, n_chunks, rows, valuation.work)
    return f"softmax head on {valuation.settled.head.n_rows} rows"


# What is settled before rows are valued, by kind: a stage each, which says what it was.
PREPARATIONS: dict[str, dict[str, Callable[[Valuation, Index, Files | None], str]]] = {
    "radius": {"neighbors": _find_neighbors},
    "sums": {"sums": _settle_sums},
}


def _plan(valuation: Valuation, spark: SparkSession) -> Plan:
    inputs, request = valuation.inputs, valuation.request
    sizes = Sizes.of(
        request.options,
        n_train=inputs.train_facts.n_rows,
        n_validation=inputs.validation_facts.n_rows,
        n_features=inputs.n_features,
        dtype=inputs.dtype,
    )
    hosts = read_hosts(spark, request.host_memory)
    return make_plan(sizes, hosts, chunk_rows=request.chunk_rows, asked=request.plan)


def _players(known: TrainKeys, options: ValueOptions) -> pa.Table:
    """Return id, label and, where known, owner of all who are valued: training rows, or their owners."""
    if options.declaration.players == "rows":
        return known.keys
    return pa.table({"id": known.owners, "label": pa.nulls(len(known.owners or []), known.keys["label"].type)})


def _extremes(valuation: Valuation, index: Index) -> pa.Table:
    """Return the nearest validation rows of the lowest and highest valued rows."""
    rows = listed_positions(valuation.table).tolist()  # the table is in the index's order
    frame, metric = valuation.inputs.validation.frame, valuation.request.options.metric
    listed = engine_of(index).listed_rows(index, rows)
    found = replicated.nearest_validation_rows(frame, listed, metric, EXTREME_NEIGHBORS)
    ids = engine_of(index).train_keys(index).keys["id"].take(found["train_row"])
    return found.append_column("train_id", ids)
