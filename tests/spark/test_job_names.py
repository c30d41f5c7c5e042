"""Each job and query of a run says on Spark's pages which run and stage it is of; the caller's words come back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from drivers import sharded_plan
from frames import draw_data, frames_of, write_parquet

import dvspark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DATA = draw_data(40, 12, seed=61)
STAGES = {"read", "validate", "plan", "index", "neighbors", "value", "finalize", "audit", "extremes", "write"}


def last_job(spark: SparkSession) -> int:
    return max((job.jobId() for job in _all(spark, "jobsList")), default=-1)


def last_query(spark: SparkSession) -> int:
    return max((query.executionId() for query in _queries(spark)), default=-1)


def descriptions(spark: SparkSession, job: int, query: int) -> list[str]:
    """Return those of jobs and queries after these."""
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    jobs = [one.description() for one in _all(spark, "jobsList") if one.jobId() > job]
    queries = [one.description() for one in _queries(spark) if one.executionId() > query]
    return [one.get() if one.isDefined() else "none" for one in jobs] + queries


def _all(spark: SparkSession, of: str) -> list:
    found = getattr(spark.sparkContext._jsc.sc().statusStore(), of)(None)
    return [found.apply(place) for place in range(found.size())]


def _queries(spark: SparkSession) -> list:
    found = spark._jsparkSession.sharedState().statusStore().executionsList()
    return [found.apply(place) for place in range(found.size())]


@pytest.mark.parametrize(
    ("words", "n_jobs"), [(("--k", 3), 9), (("--method", "threshold_knn_shapley", "--radius", "auto"), 9)], ids=str
)
def test_value__every_job_and_query_says_its_run_and_stage(
    spark: SparkSession, command: Callable[..., int], tmp_path: Path, words: tuple[object, ...], n_jobs: int
) -> None:
    train, validation = (
        write_parquet(tmp_path / f"{name}.parquet", getattr(DATA, name)) for name in ("train", "validation")
    )
    before = last_job(spark), last_query(spark)
    spark.sparkContext.setJobGroup("group", "the caller's")
    try:
        tables = ("--train", train, "--validation", validation, "--report", "false")
        assert command("value", *tables, *words, "--run_id", "first", "--output", tmp_path / "out") == 0
        assert spark.sparkContext.getLocalProperty("spark.job.description") == "the caller's"
        assert spark.sparkContext.getLocalProperty("spark.jobGroup.id") == "group"
    finally:
        for key in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
            spark.sparkContext.setLocalProperty(key, None)
    found = set(descriptions(spark, *before))
    assert found <= {f"dvspark first: {stage}" for stage in STAGES}
    assert {f"dvspark first: {stage}" for stage in ("validate", "value")} <= found
    jobs = [job for job in _all(spark, "jobsList") if job.jobId() > before[0]]
    assert len(jobs) <= n_jobs  # in a new session each takes Java half a second to plan
    # So a signal cancels them, those of other threads of the run among them.
    assert [str(job) for job in jobs if f"dvspark-{os.getpid()}" not in str(job.jobTags())] == []


@pytest.mark.long
def test_value_table__jobs_say_the_stage_and_from_then_on_the_run_that_is_known(
    spark: SparkSession, tmp_path: Path
) -> None:
    train, validation = frames_of(spark, DATA)
    before = last_job(spark), last_query(spark)
    with sharded_plan():
        run = dvspark.value_table(train, validation, k=3, work_dir=str(tmp_path)).run["run_id"]
    found = set(descriptions(spark, *before))
    assert found <= {"dvspark: validate"} | {f"dvspark {run}: {stage}" for stage in STAGES - {"validate"}}
    assert {"dvspark: validate", f"dvspark {run}: value"} <= found
    assert spark.sparkContext.getLocalProperty("spark.job.description") is None
