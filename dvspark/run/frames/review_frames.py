"""DataFrames in, one decision a row out: the review without files, for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dvspark.arguments import count_problems
from dvspark.errors import ConfigError
from dvspark.methods.options import ValueOptions
from dvspark.review.result import ReviewResult
from dvspark.review.review_rows import AUTO
from dvspark.run.frames.showing import result_line
from dvspark.run.frames.value_frames import computed_frames
from dvspark.run.request import ReviewRules, Spread
from dvspark.schemas import Finding
from dvspark.spark.exhausted import translated
from dvspark.tables.sinks.write import review_frame
from dvspark.tables.sources.session_settings import in_own_settings
from dvspark.tables.sources.unreadable import own_errors, readable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class ReviewedTable:
    """A finished review: ``table`` (`schemas.reviewing.REVIEW`), the record ``run``, and the audit's ``findings``.

    ``review`` is the same as `dvspark.review_arrays` returns, in id order.
    """

    table: DataFrame
    review: ReviewResult
    run: dict[str, Any]
    findings: list[Finding]

    def __repr__(self) -> str:
        """Return what a prompt shows: the record alone would fill pages."""
        return f"<{result_line(self.run, self.findings)}; {self.review!r}; table: {self.table}>"


@own_errors
@readable()
@translated()
@in_own_settings
def review_table(
    train_df: DataFrame,
    validation_df: DataFrame | None = None,
    *,
    k: int = 20,
    metric: str = "euclidean",
    duplicate_radius: float | str = AUTO,
    on_bad_row: str = "fail",
    columns: dict[str, str] | None = None,
    run_id: str | None = None,
    work_dir: str | None = None,
    plan: str = "auto",
    host_memory: str | None = None,
) -> ReviewedTable:
    """Return one decision for each row of ``train_df``, by the rows of ``validation_df``, or else by each other.

    DataFrames and options are those of `dvspark.value_table`; ``k``, ``metric`` and ``duplicate_radius`` are those of
    `dvspark.review_arrays`, and values are those of knn_shapley.
    Cost: that of the values and as much again for the neighbors, spread over tasks. Memory of the driver:
    `dvspark.review.memory_bytes`.
    Raises: ConfigError, InputError, ComputeError or AuditError, each with all problems of its kind.
    """
    if problems := count_problems("k", k, "20 is usual"):
        raise ConfigError(problems)
    options = ValueOptions.of("knn_shapley", k, None, {}, metric=metric, self_validation=validation_df is None)
    rules = ReviewRules(k, duplicate_radius)
    spread = Spread(plan, host_memory=host_memory, work_dir=work_dir)
    computed, stages = computed_frames(
        options, train_df, validation_df, columns, on_bad_row, run_id, spread, review=rules
    )
    spark, review = train_df.sparkSession, computed.review
    assert review is not None  # noqa: S101 - it was asked for
    types = {**computed.checked.types, "validation_id": computed.checked.inputs.validation.types["id"]}
    table = review_frame(spark, review.table, types)
    return ReviewedTable(table, review, computed.record({}, stages, spark), computed.audited.findings)
