"""The way of the data on one screen: one call for each stage, to the module of its name, with one frozen result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.config.job import JobConfig
from dvspark.errors import AuditError, InputError
from dvspark.local.session import spark_of
from dvspark.logs import Stages
from dvspark.run import admission
from dvspark.run.audit import audit_values
from dvspark.run.change.change import changed_rows
from dvspark.run.computed import Computed
from dvspark.run.delivery import delivery_of
from dvspark.run.finalize import finalize_values
from dvspark.run.index import index_rows, rows_ahead
from dvspark.run.output import already_published, clear, destination_of, open_output, published_before, require_packages
from dvspark.run.plan import plan_run
from dvspark.run.prepare import prepare_method
from dvspark.run.presenting.extremes import find_extremes
from dvspark.run.publish import publish_results
from dvspark.run.read import read_tables
from dvspark.run.request import Budget, Change, Delivery, ReviewRules, RowRules, Spread
from dvspark.run.review import review_values
from dvspark.run.validate import Checked, validate_tables
from dvspark.run.value import value_rows
from dvspark.runs.files import Files
from dvspark.runs.leases import Lease, held
from dvspark.runs.ledger import Ledger
from dvspark.spark.exhausted import translated
from dvspark.spark.job_names import named_jobs
from dvspark.tables.sinks.write import require_own_name
from dvspark.tables.sources.session_settings import in_own_settings
from dvspark.tables.sources.unreadable import readable
from dvspark.tables.storage import Storage

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
    options = config.options()
    rules = RowRules(config.on_bad_row, config.to_owners())
    train = config.train_reference()
    validation = config.validation_reference()
    change = None
    if config.parent is not None and config.change is not None:
        change = Change(config.parent, config.change, config.run_id)
    spread = Spread(config.plan, config.chunk_rows, config.host_memory, config.work_dir)
    delivery = delivery_of(config)
    review = ReviewRules(config.review_k, config.duplicate_radius) if config.review else None
    budget = Budget(train, config.budget, config.epsilon_budget, config.delta_budget)

    with (
        open_output(config.output.path, spread.work_dir, budget.folder) as storage,
        named_jobs(spark_of(session), config.run_id) as stages,
        rows_ahead(spread, storage, force=delivery.force) as begin,
    ):
        require_packages(delivery)
        tables = read_tables(train, validation, rules, options, change, session, storage, stages, arrived)
        checked = validate_tables(tables, rules, options, config.run_id, spread.chunk_rows, stages, review, begin)
        checked = admission.known(checked, storage)
        require_own_name(storage, checked.run_id)
        if (published := published_before(checked, delivery, storage, session)) is not None:
            return published
        if checked.secret is not None:  # refuse now whatever can be refused; after `admit` the run's id is final
            destination_of(checked, delivery, storage, session)
            checked = admission.admit(checked, storage, budget)
        stages.run_id = checked.run_id
        with held(storage, checked.run_id) as lease:
            return _run_alone(checked, spread, delivery, config.kept(), session, storage, lease, stages)


def _run_alone(
    checked: Checked,
    spread: Spread,
    delivery: Delivery,
    configuration: dict[str, Any],
    session: Session,
    storage: Storage,
    lease: Lease,
    stages: Stages,
) -> dict[str, Any]:
    """Value and publish, or return the record of the same run if it was published meanwhile."""
    if delivery.force:
        checked.ledger(storage).remove()  # what is published stays until it can be replaced
    elif (published := already_published(checked, delivery, storage, session)) is not None:
        return published
    destination = destination_of(checked, delivery, storage, session)
    changed = None if checked.parent is None else changed_rows(checked.parent, checked.inputs.validation)
    with_extremes = delivery.report and checked.shows_distances
    try:
        computed = compute(checked, spread, session, stages, storage, with_extremes=with_extremes)
        record = publish_results(
            computed, delivery, destination, changed, configuration, session, storage, lease, stages
        )
    except (AuditError, InputError):  # waves of such tables, or waves that contain such an error, are of no use
        clear(checked, storage)
        raise
    clear(checked, storage)
    return record


def compute(
    checked: Checked,
    spread: Spread,
    session: Session,
    stages: Stages,
    files: Files | None = None,
    *,
    with_extremes: bool = True,
) -> Computed:
    """Return audited values of validated tables; nothing is published.

    ``files``: where finished waves are recorded, and where a private release is kept before its use.
    Raises: ComputeError if something was lost on the way, AuditError if the values fail a check.
    """
    options, inputs, parent = checked.options, checked.inputs, checked.parent
    ledger = None if files is None else _begun(checked, files)
    plan = plan_run(inputs, options, spread, session, stages, checked.groups)
    with index_rows(inputs, options, plan, spread.work_dir, ledger, stages) as index:
        prepared = prepare_method(checked, plan.n_chunks, index, ledger, stages)
        valued = value_rows(prepared, index, ledger, parent, checked.ranking, stages)
        finalized = finalize_values(valued, checked.run_id, index, options, stages)
        audited = audit_values(finalized.values, valued, prepared, index, parent, stages)
        review = None
        if checked.review is not None:
            rows, rules = prepared.validation_rows, checked.review
            review = review_values(checked, rows, finalized, index, rules, spread.chunk_rows, stages)
        extremes = pa.table({})
        if with_extremes:
            decided = None if review is None else review.table
            extremes = find_extremes(finalized.table, decided, prepared.validation_rows, index, options, stages)
    return Computed(checked, plan, prepared, valued, finalized, audited, extremes, review)


def _begun(checked: Checked, files: Files) -> Ledger:
    """Return the run's ledger, ready to record waves."""
    ledger = checked.ledger(files)
    if checked.secret is not None:
        files.make_private(ledger.folder)  # it has sums of values in it
    ledger.begin()
    return ledger
