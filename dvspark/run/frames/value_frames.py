"""DataFrames in, values out: the way of the data without files, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dvspark.arguments import choice_problems
from dvspark.engine.planning.plan import PLANS, host_memory_problems
from dvspark.errors import ConfigError, Problem
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions, epoch_problems, owned_problems
from dvspark.review.review_rows import radius_problems, review_problems
from dvspark.run.computed import Computed
from dvspark.run.frames.showing import result_html, result_line
from dvspark.run.pipeline import compute
from dvspark.run.read import RowsOrProblems, Tables
from dvspark.run.request import ReviewRules, RowRules, Spread
from dvspark.run.validate import validate_tables
from dvspark.schemas import OWNED, Finding
from dvspark.spark.exhausted import translated
from dvspark.spark.job_names import named_jobs
from dvspark.tables.sinks.task_values import by_task_frame
from dvspark.tables.sinks.write import values_frame
from dvspark.tables.sources.epochs import with_epochs
from dvspark.tables.sources.given_frames import column_problems, frame_problems, told_apart_problems
from dvspark.tables.sources.owned import with_owned
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import canonical_rows
from dvspark.tables.sources.session_settings import in_own_settings
from dvspark.tables.sources.unreadable import own_errors, readable
from dvspark.tables.storage import folder_problems
from dvspark.tables.table_checks import ON_BAD_ROW

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Result:
    """A finished valuation: ``values`` (`schemas.VALUES`), the record ``run``, and the ``findings`` of the audit.

    ``by_task``: values by task (`schemas.BY_TASK`), None without tasks.
    """

    values: DataFrame
    run: dict[str, Any]
    findings: list[Finding]
    by_task: DataFrame | None = None

    def __repr__(self) -> str:
        """Return what a prompt shows: the record alone would fill pages."""
        return f"<{result_line(self.run, self.findings)}; values: {self.values}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the run, and a table of the findings."""
        return result_html(self.run, self.findings)


@own_errors
@readable()
@translated()
@in_own_settings
def value_table(
    train_df: DataFrame,
    validation_df: DataFrame | None = None,
    *,
    owned_df: DataFrame | None = None,
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
    validation_weights: str | None = None,
    validation_tasks: str | None = None,
    by_class: bool = False,
    on_bad_row: str = "fail",
    columns: dict[str, str] | None = None,
    run_id: str | None = None,
    work_dir: str | None = None,
    plan: str = "auto",
    host_memory: str | None = None,
    **method_params: Any,
) -> Result:
    """Return the values of the rows of ``train_df``, by the rows of ``validation_df``.

    - Both DataFrames have the columns id, embedding and label. ``columns`` maps these names (and owner, weight, loss,
      epoch) to the names in the DataFrames. Its ``embedding_dtype`` is the type of numbers in binary embeddings:
      float16, float32 or float64.
    - ``owned_df``: only for knn_acquisition_shapley, a DataFrame of rows that are owned already, which get no values.
    - Options are those of `dvspark.value_arrays`. ``work_dir`` is a folder that all hosts see, for an index too large
      to travel. ``plan`` (auto, replicated, sharded) and ``host_memory``, such as "64g", are those of
      `dvspark.config.job.JobConfig`.
    - ``validation_weights``: the column of ``validation_df`` that says how much a row counts, from 0.
      ``validation_tasks``: its column of tasks, such as buyers or months; `Result.by_task` has the values by the rows
      of each task alone.
    - ``by_class``: the columns own_class_value and other_class_value say what comes from validation rows of the row's
      own class, and what from others.
    Cost: V (N D + N log N), spread over tasks. Memory of a worker: `kernels.memory.scratch_bytes` beside the mapped
    index; of the driver: about 100 bytes a training row.
    Raises: ConfigError, InputError, ComputeError or AuditError, each with all problems of its kind.
    """
    options = ValueOptions.of(
        method,
        k,
        n_classes,
        method_params,
        metric=metric,
        precision=precision,
        ties=ties,
        aggregate=aggregate,
        ranking=ranking,
        tolerance=tolerance,
        error_bound=error_bound,
        self_validation=self_validation,
        by_class=by_class,
    )
    told_apart = {"weight": validation_weights, "task": validation_tasks}
    spread = Spread(plan, host_memory=host_memory, work_dir=work_dir)
    given = options, train_df, validation_df, columns, on_bad_row, run_id, spread, owned_df
    computed, stages = computed_frames(*given, told_apart=told_apart)
    return _result(computed, stages, train_df.sparkSession)


def _result(computed: Computed, stages: Stages, spark: SparkSession) -> Result:
    finalized, types = computed.finalized, computed.checked.types
    by_task = None if finalized.by_task is None else by_task_frame(spark, finalized.by_task, types)
    values = values_frame(spark, finalized.table, types)
    return Result(values, computed.record({}, stages, spark), computed.audited.findings, by_task)


def computed_frames(
    options: ValueOptions,
    train_df: DataFrame,
    validation_df: DataFrame | None,
    columns: dict[str, str] | None,
    on_bad_row: str,
    run_id: str | None,
    spread: Spread,
    owned_df: DataFrame | None = None,
    review: ReviewRules | None = None,
    told_apart: Mapping[str, str | None] = MappingProxyType({}),
) -> tuple[Computed, Stages]:
    """Return what is computed of DataFrames, and the stages; ``review``: how rows are reviewed, if they are.

    ``told_apart``: the columns of ``validation_df`` that are the weight and the task of its rows, if there are some.
    Raises: as `value_table` does.
    """
    problems = options.problems() + choice_problems("on_bad_row", on_bad_row, ON_BAD_ROW)
    problems += choice_problems("plan", spread.plan, PLANS) + host_memory_problems(spread.host_memory)
    problems += folder_problems(work_dir=spread.work_dir)
    if options.self_validation == (validation_df is not None):
        expected = "a validation DataFrame, or self_validation=True; not both"
        problems.append(Problem("validation_df", expected, "both" if options.self_validation else "neither"))
    problems += owned_problems(options, given=owned_df is not None)
    optional = {"validation_df": validation_df, "owned_df": owned_df}
    problems += frame_problems({"train_df": train_df, **{n: df for n, df in optional.items() if df is not None}})
    problems += column_problems(columns) + told_apart_problems(told_apart, options)
    if isinstance(columns, dict):
        problems += epoch_problems(options, {"columns['epoch']": columns.get("epoch")})
    if review is not None:
        problems += review_problems(options.method, options.metric, None) + radius_problems(review.duplicate_radius)
    if problems:
        raise ConfigError(problems)
    target = options.target
    reference = TableReference.of_frame("train_df", columns).asked(options.asks)
    train = _rows("train", train_df, reference, target)
    if owned_df is not None:
        reference = TableReference.of_frame("owned_df", columns).of_rows_alone()
        train = with_owned(train, canonical_rows(OWNED.name, owned_df, reference, target))
    validation: RowsOrProblems | None = None
    if validation_df is not None:
        reference = TableReference.of_frame("validation_df", columns).of_validation(options.asks)
        reference = replace(reference, weight=told_apart.get("weight"), task=told_apart.get("task"))
        validation = _rows("validation", validation_df, reference, target)
    spark = train_df.sparkSession
    with named_jobs(spark, run_id) as stages:
        checked = validate_tables(
            Tables(train, validation), RowRules(on_bad_row), options, run_id, spread.chunk_rows, stages, review
        )
        stages.run_id = checked.run_id
        computed = compute(checked, spread, spark, stages, with_extremes=False)
    return computed, stages


def _rows(side: str, frame: DataFrame, reference: TableReference, target: str) -> RowsOrProblems:
    """Return the rows of a DataFrame; of several epochs, joined."""
    rows = canonical_rows(side, frame, reference, target)
    return rows if reference.epoch is None else with_epochs(rows)
