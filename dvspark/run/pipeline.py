"""The way of the data on one screen: one call for each stage, to the module of its name, with one frozen result."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark import report
from dvspark.config.job import JobConfig
from dvspark.errors import AuditError, ComputeError, InputError, OutputConflictError, Problem
from dvspark.local.session import spark_of
from dvspark.logs import Stages
from dvspark.run import admission
from dvspark.run.audit import audit_values
from dvspark.run.changing import rows_after
from dvspark.run.computed import Computed
from dvspark.run.extremes import find_extremes
from dvspark.run.finalize import finalize_totals
from dvspark.run.index import index_rows
from dvspark.run.output import Output
from dvspark.run.plan import plan_run
from dvspark.run.prepare import prepare_method
from dvspark.run.publish import publish_results
from dvspark.run.read import read_tables
from dvspark.run.request import Request, request_of
from dvspark.run.validate import Checked, validate_tables
from dvspark.run.value import value_rows
from dvspark.runs import tracking
from dvspark.runs.files import Files
from dvspark.runs.leases import Lease, held
from dvspark.runs.ledger import Ledger
from dvspark.spark.exhausted import ran_out, translated
from dvspark.spark.job_names import NamedStages, named_jobs
from dvspark.tables.sinks.places import Place
from dvspark.tables.sinks.write import require_own_name
from dvspark.tables.sources.session_settings import in_own_settings
from dvspark.tables.sources.unreadable import readable
from dvspark.tables.storage import Storage, open_storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.session import Session


@readable()
@translated()
@in_own_settings
def run(config: JobConfig, session: Session, arrived: DataFrame | None = None) -> dict[str, Any]:
    """Run a job from its tables to its published results; return the run record.

    A run that is published already is not repeated. ``arrived`` are validation rows in place of those of the table.
    Raises: the DvsparkError of the stage that could not go on; then nothing is published.
    """
    storage = open_storage(config.output.path)
    try:
        with named_jobs(spark_of(session), config.run_id) as stages:
            return _run(config, session, storage, stages, arrived)
    except OSError as error:
        if (exhausted := ran_out(error)) is not None:
            raise exhausted from error
        hint = "choose another output or work_dir; started again, the run goes on after its last wave"
        raise ComputeError(Problem("writing", "storage that takes what is written", str(error), hint)) from error


def _run(
    config: JobConfig, session: Session, storage: Storage, stages: NamedStages, arrived: DataFrame | None
) -> dict[str, Any]:
    """Read and validate the tables; return the record of the same run if it is published, else go on with this one."""
    request = request_of(config)
    output = _output(config, session, storage)
    train = config.train.reference().asked(config.asks())
    validation = None if config.validation is None else config.validation.reference().without_train_columns()

    tables = read_tables(train, validation, request, session, storage, stages, arrived)
    checked = validate_tables(tables, request, stages)

    checked = admission.known(checked, storage)
    require_own_name(storage, checked.run_id)
    if (published := output.already(checked)) is not None:
        with suppress(OutputConflictError), held(storage, checked.run_id):
            output.clear(checked)
        return published
    if checked.secret is not None:  # refuse now whatever can be refused; after `admit` the run's id is final
        output.destination(checked)
        checked = admission.admit(checked, storage, config)
    stages.run_id = checked.run_id
    with held(storage, checked.run_id) as lease:
        return _run_alone(checked, request, output, config.kept(), lease, stages)


def _run_alone(
    checked: Checked,
    request: Request,
    output: Output,
    configuration: dict[str, Any],
    lease: Lease,
    stages: Stages,
) -> dict[str, Any]:
    """Value and publish, or return the record of the same run if it was published meanwhile."""
    if output.force:
        checked.ledger(output.storage).remove()  # what is published stays until it can be replaced
    elif (published := output.already(checked)) is not None:
        return published
    destination = output.destination(checked)
    rest_on = rows_after(checked.inputs.validation, checked.parent) if checked.may_change else None
    try:
        computed = compute(checked, request, output.session, stages, output.storage)
        record = publish_results(computed, output, destination, rest_on, configuration, lease, stages)
    except (AuditError, InputError):  # waves of such tables, or waves that contain such an error, are of no use
        output.clear(checked)
        raise
    output.clear(checked)
    return record


def compute(
    checked: Checked,
    request: Request,
    session: Session,
    stages: Stages,
    files: Files | None = None,
) -> Computed:
    """Return audited values of validated tables; nothing is published.

    ``files``: where finished waves are recorded, and where a private release is kept before its use.
    Raises: ComputeError if something was lost on the way, AuditError if the values fail a check.
    """
    options, inputs, parent = checked.options, checked.inputs, checked.parent
    ledger = None if files is None else _begun(checked, files)
    plan = plan_run(inputs, request, session, stages)
    with index_rows(inputs, options, plan, request.work_dir, ledger, stages) as index:
        prepared = prepare_method(checked, plan.n_chunks, index, files, stages)
        valued = value_rows(prepared, index, ledger, parent, checked.ranking, stages)
        finalized = finalize_totals(valued.totals, checked.run_id, index, options, stages)
        audited = audit_values(finalized.values, valued, prepared, index, parent, stages)
        extremes = pa.table({})
        if request.extremes:
            extremes = find_extremes(finalized.table, prepared.validation_rows, index, options, stages)
    return Computed(checked, plan, prepared, valued, finalized, audited, extremes)


def _begun(checked: Checked, files: Files) -> Ledger:
    """Return the run's ledger, ready to record waves."""
    ledger = checked.ledger(files)
    if checked.secret is not None:
        files.make_private(ledger.folder)  # it has sums of values in it
    ledger.begin()
    return ledger


def _output(config: JobConfig, session: Session, storage: Storage) -> Output:
    """Return where results go. Raises: ConfigError if a package that the output needs is not installed."""
    if config.report:
        report.require_extras()
    if config.mlflow:
        tracking.require_mlflow()
    place = Place(config.output.format, config.output.table)
    return Output(storage, session, place, config.force, config.to_owners(), config.report, config.mlflow)
