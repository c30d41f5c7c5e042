"""The way of the data, in one screen: one call a stage, the stage's name being the module's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark import report
from dvspark.config.job import JobConfig
from dvspark.errors import AuditError, ComputeError, InputError, OutputConflictError, Problem
from dvspark.logs import log_event, stage
from dvspark.logs.redact import redacted_tree
from dvspark.run import admission
from dvspark.run.change import without_known
from dvspark.run.changing import kept_for_changes, parent_of, rows_after
from dvspark.run.presenting import presented
from dvspark.run.stages import RowsOrProblems, check, compute
from dvspark.run.valuation import Request, Valuation
from dvspark.runs import tracking
from dvspark.runs.leases import Lease, held
from dvspark.runs.private import keep_record, kept_record, public_record
from dvspark.schemas import OWNER
from dvspark.spark.exhausted import ran_out, translated
from dvspark.tables.sinks.contents import values_digest
from dvspark.tables.sinks.places import Place, begin, require_reachable, require_values
from dvspark.tables.sinks.values_tables import RunKey, ValuesTable, commit_values, new_columns
from dvspark.tables.sinks.write import (
    PRIVATE_REJECTED,
    Counted,
    publish,
    ranked_by_owner,
    refuse_conflict,
    remove_left_over,
    require_own_name,
    values_frame,
)
from dvspark.tables.sources.read import Rows, canonical_rows, read_rows
from dvspark.tables.sources.session_settings import in_own_settings
from dvspark.tables.sources.unreadable import readable
from dvspark.tables.storage import Storage, open_storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@readable()
@translated()
@in_own_settings
def run(config: JobConfig, spark: SparkSession, arrived: DataFrame | None = None) -> dict[str, Any]:
    """Run a job from its tables to its published results; return the run record.

    A run that is published already is not repeated. ``arrived``: validation rows in place of those of the table.
    Raises: DvsparkError of the stage that could not go on; nothing is published then.
    """
    storage = open_storage(config.output.path)
    try:
        return _run(config, spark, storage, arrived)
    except OSError as error:
        if (exhausted := ran_out(error)) is not None:
            raise exhausted from error
        hint = "choose another output or work_dir; started again, the run goes on after its last wave"
        raise ComputeError(Problem("writing", "storage that takes what is written", str(error), hint)) from error


def _run(config: JobConfig, spark: SparkSession, storage: Storage, arrived: DataFrame | None) -> dict[str, Any]:
    stages = list[dict[str, Any]]()
    if config.report:
        report.require_extras()
    if config.mlflow:
        tracking.require_mlflow()
    valuation = _checked(config, spark, storage, arrived, stages)
    admission.known(valuation, storage)
    require_own_name(storage, valuation.run_id)
    if not config.force and (published := _already(valuation, spark, storage, config)) is not None:
        with suppress(OutputConflictError), held(storage, valuation.run_id):
            _clear(valuation, storage)
        return published
    if valuation.secret is not None:  # what can be refused is, before it is admitted; and then it has its final id
        _destination(valuation, spark, storage, config)
        admission.admit(valuation, storage, admission.account(config, storage, valuation.release))
    with held(storage, valuation.run_id) as lease:
        return _run_alone(config, spark, storage, valuation, lease)


def _run_alone(
    config: JobConfig, spark: SparkSession, storage: Storage, valuation: Valuation, lease: Lease
) -> dict[str, Any]:
    """Value and publish, or return the record of the same run, if that was published meanwhile."""
    if config.force:
        valuation.ledger(storage).remove()  # what is published stays until there is something in its place
    elif (published := _already(valuation, spark, storage, config)) is not None:
        return published
    destination = _destination(valuation, spark, storage, config)
    if valuation.may_change:
        valuation.validation_rows = rows_after(valuation)
    try:
        compute(valuation, spark, storage)
        with stage("write", valuation.stages) as now:
            now.rows, now.note = valuation.inputs.train_facts.n_rows, valuation.run_id
            for rows in (valuation.inputs.train, valuation.inputs.validation):
                rows.require_unchanged()
            record = _publish(valuation, spark, storage, destination, config, lease)
        record["stages"] = valuation.stages  # the last one among them, which has ended after the record was written
    except (AuditError, InputError):  # waves of such tables, or that such an error hides in, are no use to anybody
        _clear(valuation, storage)
        raise
    _clear(valuation, storage)
    return record


def _checked(
    config: JobConfig, spark: SparkSession, storage: Storage, arrived: DataFrame | None, stages: list[dict[str, Any]]
) -> Valuation:
    """Return the valuation of the tables, read and checked."""
    with stage("read", stages):
        target = config.options().declaration.target
        train = read_rows(spark, "train", config.train.reference().asked(config.asks()), target)
        if isinstance(train, list) and config.to_owners():
            train = [_with_way_out(problem) for problem in train]
        validation, known = _validation(config, spark, arrived), None
        parent = parent_of(config, spark, storage)
        if parent is not None and config.on_bad_row == "reject" and isinstance(validation, Rows):
            validation, known = without_known(parent, validation)
    valuation = check(train, validation, _request(config), stages, parent)
    if known is not None:
        valuation.inputs = valuation.inputs.also_rejected(known)
    return valuation


def _place(config: JobConfig) -> Place:
    return Place(config.output.format, config.output.table)


def _already(valuation: Valuation, spark: SparkSession, storage: Storage, config: JobConfig) -> dict[str, Any] | None:
    """Return the record of the same run, if it is published, and so are its values.

    Raises: OutputConflictError when another run is, or they are not there as they were.
    """
    run_id, is_private = valuation.run_id, valuation.secret is not None
    published = refuse_conflict(storage, run_id, valuation.fingerprint, is_private=is_private)
    if published is not None:
        digest = (kept_record(storage, run_id, valuation.fingerprint) if is_private else published)["values_sha256"]
        require_values(storage, spark, {**published, "values_sha256": digest}, _place(config), valuation.schema)
        log_event(f"already done: {run_id} is published", run_id=run_id)
    return published


def _destination(valuation: Valuation, spark: SparkSession, storage: Storage, config: JobConfig) -> ValuesTable | None:
    """Return the table that values go to, None for a folder; a conflict is better known before hours of work."""
    destination = _place(config).opened(storage, spark)
    if destination is not None:
        new_columns(destination, valuation.schema)
    run = RunKey(valuation.run_id, valuation.fingerprint)
    require_reachable(storage, spark, run, _place(config), force=config.force)
    return destination


def _clear(valuation: Valuation, storage: Storage) -> None:
    """Remove what only a run that is not published needs."""
    valuation.ledger(storage).remove()
    storage.remove_empty("ledger")
    remove_left_over(storage, valuation.run_id)


def _request(config: JobConfig) -> Request:
    return Request(
        options=config.options(),
        on_bad_row=config.on_bad_row,
        chunk_rows=config.chunk_rows,
        run_id=config.run_id,
        work_dir=config.work_dir,
        plan=config.plan,
        host_memory=config.host_memory,
        # The parent's validation rows are not at hand, among which the nearest might be.
        # Of a private run no distances are shown.
        extremes=config.report and not config.options().declaration.is_private and config.parent is None,
        to_owners=config.to_owners(),
    )


def _with_way_out(problem: Problem) -> Problem:
    """Return the problem of a missing owner with what else can be done, since values are to go to owners."""
    if "(owner)" not in problem.expected:
        return problem
    hint = f"{problem.hint} Each owner gets its own values; publish_all_values: true puts all in one table."
    return dataclasses.replace(problem, hint=hint)


def _validation(config: JobConfig, spark: SparkSession, arrived: DataFrame | None) -> RowsOrProblems | None:
    """Return the validation rows, those that have arrived or those of the table; None for self-validation."""
    if config.validation is None:
        return None
    target, reference = config.options().declaration.target, config.validation.reference().without_train_columns()
    if arrived is None:
        return read_rows(spark, "validation", reference, target)
    return canonical_rows("validation", arrived, reference, target)


def _publish(
    valuation: Valuation,
    spark: SparkSession,
    storage: Storage,
    destination: ValuesTable | None,
    config: JobConfig,
    lease: Lease,
) -> dict[str, Any]:
    """Publish the results, and return the run record; values for owners are shown nowhere else."""
    to_owners = valuation.request.to_owners
    with_report = config.report and not to_owners
    run_id, inputs = valuation.run_id, valuation.inputs
    outputs = {"values": storage.shown_path(f"values/run_id={run_id}")}
    outputs["run"] = storage.shown_path(f"runs/{run_id}/run.json")
    outputs["metrics"] = storage.shown_path(f"runs/{run_id}/metrics.prom")
    if with_report:
        outputs["report"] = storage.shown_path(f"runs/{run_id}/report.html")
    values = ranked_by_owner(valuation.table) if to_owners else valuation.table
    tables: dict[str, pa.Table | Counted] = {}
    commit: Callable[[], None] | None = None
    if destination is None:
        tables["values"] = values.drop_columns(["run_id"])  # the folder's name tells it
        if to_owners:
            frame = values_frame(spark, tables["values"], valuation.types)
            tables["values"] = Counted(frame, len(values), by=OWNER.name)
    else:
        outputs["values"] = destination.place
        run = RunKey(run_id, valuation.fingerprint)
        commit = partial(commit_values, destination, values, valuation.schema, run)
    if inputs.rejected is not None:
        place = "rejected" if valuation.secret is None else PRIVATE_REJECTED
        outputs["rejected"] = storage.shown_path(f"{place}/run_id={run_id}")
        tables[place] = Counted(inputs.rejected, inputs.n_rejected)
    record = redacted_tree({**valuation.record(outputs, spark.version), "configuration": config.kept()})
    record["values_sha256"] = values_digest(run_id, values, valuation.schema)
    if valuation.secret is not None:
        keep_record(storage, run_id, record)
        record = public_record(record)
    documents: dict[str, str | bytes] = {}
    clear = partial(begin, storage, spark, run_id, _place(config))
    with kept_for_changes(valuation, tables, documents, record):
        documents |= presented(valuation, record, with_report=with_report)
        publish(storage, run_id, tables, documents, commit, clear, lease.require, force=config.force)
    if config.mlflow:
        tracking.track(record, documents)
    return record
