"""The way of the data, in one screen: one call a stage, the stage's name being the module's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dvspark import report
from dvspark.config import JobConfig
from dvspark.engine.plan import PLANS, host_memory_problems
from dvspark.errors import ConfigError, Problem
from dvspark.logs import log_event, stage
from dvspark.methods.options import ValueOptions, choice_problems
from dvspark.schemas import Finding
from dvspark.tables.read import TableReference, canonical_rows, read_rows
from dvspark.tables.storage import Storage, open_storage
from dvspark.tables.validate import ON_BAD_ROW
from dvspark.tables.values_tables import RunKey, ValuesTable, commit_values, new_columns, values_destination
from dvspark.tables.write import publish, refuse_conflict, values_frame
from dvspark.valuation import Request, RowsOrProblems, Valuation, check, compute

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.report.rows import RowLine

# How many of the lowest rows the run record names, for a glance without the report.
LOWEST_ROWS = 10

# Options of `value_table` that go to `ValueOptions` as they are.
COMPUTED = (
    "metric",
    "precision",
    "ties",
    "aggregate",
    "ranking",
    "tolerance",
    "error_bound",
    "self_validation",
)


@dataclass(frozen=True)
class Result:
    """A finished valuation: ``values`` (`schemas.VALUES`), ``run`` the record, ``findings`` of the audit."""

    values: DataFrame
    run: dict[str, Any]
    findings: list[Finding]


def run(config: JobConfig, spark: SparkSession) -> dict[str, Any]:
    """Run a job from its tables to its published results; return the run record.

    A run that is published already is not repeated.
    Raises: DvsparkError of the stage that could not go on; nothing is published then.
    """
    storage, stages = open_storage(config.output.path), list[dict[str, Any]]()
    if config.report:
        report.require_extras()
    with stage("read", stages):
        asks, target = config.options().asks, config.options().declaration.target
        asks += ("owners",) * config.to_owners()
        train = read_rows(spark, "train", config.train.reference().asked(asks), target)
        other = config.validation.reference().without_train_columns() if config.validation else None
        validation = None if other is None else read_rows(spark, "validation", other, target)
    valuation = check(train, validation, _request(config), stages)
    if (published := refuse_conflict(storage, valuation.run_id, valuation.fingerprint)) is not None:
        log_event(f"already done: {valuation.run_id} is published", run_id=valuation.run_id)
        return published
    destination = values_destination(storage, spark, config.output.format, config.output.table)
    if destination is not None:
        new_columns(destination, valuation.schema)  # a conflict is better known before hours of work
    compute(valuation, spark, storage)
    with stage("write", stages) as now:
        now.rows, now.note = valuation.inputs.train_facts.n_rows, valuation.run_id
        for rows in (valuation.inputs.train, valuation.inputs.validation):
            rows.require_unchanged()
        return _publish(valuation, spark, storage, destination, with_report=config.report, to_owners=config.to_owners())


def value_table(
    train_df: DataFrame,
    validation_df: DataFrame | None = None,
    *,
    method: str = "knn_shapley",
    k: int = 10,
    metric: str = "euclidean",
    n_classes: int | None = None,
    aggregate: str = "mean",
    precision: str = "default",
    ties: str = "id",
    ranking: str = "auto",
    tolerance: float = 1e-8,
    error_bound: bool = False,
    self_validation: bool = False,
    on_bad_row: str = "fail",
    columns: dict[str, str] | None = None,
    run_id: str | None = None,
    work_dir: str | None = None,
    plan: str = "auto",
    host_memory: str | None = None,
    **method_params: Any,
) -> Result:
    """Return the values of the rows of ``train_df``, by the rows of ``validation_df``.

    Both have columns id, embedding and label, or what ``columns`` maps these names (and owner) to. Options as
    in `dvspark.value_arrays`; ``work_dir`` is a folder all hosts see, for an index too large to ship; ``plan``
    (auto, replicated, sharded) and ``host_memory``, such as "64g", as in `dvspark.config.JobConfig`.
    Raises: ConfigError, InputError, ComputeError or AuditError, each with all problems of its kind.
    Cost: V (N D + N log N) spread over tasks; memory of a worker: `kernels.memory.scratch_bytes` beside the
    mapped index; of the driver: about 100 bytes a training row.
    """
    computed = (metric, precision, ties, aggregate, ranking, tolerance, error_bound, self_validation)
    options = ValueOptions.of(method, k, n_classes, method_params, **dict(zip(COMPUTED, computed, strict=True)))
    problems = options.problems() + choice_problems("on_bad_row", on_bad_row, ON_BAD_ROW)
    problems += choice_problems("plan", plan, PLANS) + host_memory_problems(host_memory)
    if options.self_validation == (validation_df is not None):
        expected = "a validation DataFrame, or self_validation=True; not both"
        problems.append(Problem("validation_df", expected, "both" if options.self_validation else "neither"))
    if problems:
        raise ConfigError(problems)
    request = Request(
        options, on_bad_row, run_id=run_id, work_dir=work_dir, plan=plan, host_memory=host_memory, extremes=False
    )
    target = options.declaration.target
    reference = TableReference.of_frame("train_df", columns).asked(options.asks)
    train = canonical_rows("train", train_df, reference, target)
    validation: RowsOrProblems | None = None
    if validation_df is not None:
        reference = TableReference.of_frame("validation_df", columns).without_train_columns()
        validation = canonical_rows("validation", validation_df, reference, target)
    spark = train_df.sparkSession
    valuation = compute(check(train, validation, request, []), spark)
    values = values_frame(spark, valuation.table, valuation.types)
    return Result(values, valuation.record({}, spark.version), valuation.findings)


def _request(config: JobConfig) -> Request:
    return Request(
        options=config.options(),
        on_bad_row=config.on_bad_row,
        chunk_rows=config.chunk_rows,
        run_id=config.run_id,
        work_dir=config.work_dir,
        plan=config.plan,
        host_memory=config.host_memory,
        extremes=config.report and not config.to_owners(),
    )


def _publish(
    valuation: Valuation,
    spark: SparkSession,
    storage: Storage,
    destination: ValuesTable | None,
    *,
    with_report: bool,
    to_owners: bool,
) -> dict[str, Any]:
    """Publish the results, and return the run record; ``to_owners``: values in a folder each, shown nowhere else."""
    with_report &= not to_owners
    run_id, inputs = valuation.run_id, valuation.inputs
    outputs = {"values": storage.shown_path(f"values/run_id={run_id}")}
    outputs["run"] = storage.shown_path(f"runs/{run_id}/run.json")
    if with_report:
        outputs["report"] = storage.shown_path(f"runs/{run_id}/report.html")
    frames, commit = {}, None
    if destination is None:
        frames["values"] = values_frame(spark, valuation.table, valuation.types)
    else:
        outputs["values"] = destination.place
        run = RunKey(run_id, valuation.fingerprint)
        commit = partial(commit_values, destination, valuation.table, valuation.schema, run)
    if inputs.rejected is not None:
        outputs["rejected"] = storage.shown_path(f"rejected/run_id={run_id}")
        frames["rejected"] = inputs.rejected
    record = valuation.record(outputs, spark.version)
    documents = {}
    if with_report:
        shown = report.summarize(valuation.table, record, record["findings"], valuation.extremes)
        record["lowest_rows"] = [_row_record(row) for row in shown.lowest[:LOWEST_ROWS]]
        documents["report.html"] = report.render_html(shown)
    documents["run.json"] = json.dumps(record, indent=1)
    publish(storage, run_id, frames, documents, by_owner=to_owners, commit=commit)
    return record


def _row_record(row: RowLine) -> dict[str, Any]:
    labels = [neighbor.label for neighbor in row.neighbors]
    return {"id": row.train_id, "label": row.label, "value": row.value, "neighbor_labels": labels}
