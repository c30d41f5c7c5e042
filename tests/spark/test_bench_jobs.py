"""Benchmarks that need Spark run, tiny; what they measure is right where it can be told at that size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench_checks import check_result, in_this_process

from tests.bench import engine_overhead, lost_executors, rest_of_job, scaling, soak, yfcc100m

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A benchmark starts several sessions, one after the other.
pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(900)]


def test_engine_overhead__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, engine_overhead)
    result = engine_overhead.main(tiny=True)
    check_result(result, engine_overhead)
    stages, beside = result["tables"].values()
    assert [row["stage"] for row in stages][:5] == ["read", "validate", "plan", "index", "value"]
    assert beside[-1]["measured"] < 1e-12  # the job's values are those of `value_arrays`


def test_rest_of_job__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, rest_of_job)
    result = rest_of_job.main(tiny=True)
    check_result(result, rest_of_job)
    stages, driver, prepared, starts = result["tables"].values()
    told = [row["what"] for row in stages]
    assert told[:6] == ["cat", "bare read", "read", "validate", "plan", "index"]
    assert [len(driver), len(prepared), len(starts)] == [1, 2, 1]


def test_lost_executors__leave_the_bits_of_a_job_that_nothing_befell() -> None:
    result = lost_executors.main(tiny=True)
    check_result(result, lost_executors)
    told = {row["what"]: row["measured"] for row in next(iter(result["tables"].values()))}
    assert told["executors killed"] > 0
    assert told["executors stopped for a while"] > 0
    assert result["targets"][0]["measured"] == 0


def test_scaling__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, scaling)
    result = scaling.main(tiny=True)
    check_result(result, scaling)
    assert list(result["tables"]) == ["In M, sorted", "In N, binned", "In D, sorted", "In cores", "In cores, a game"]
    assert [(row["cores"], row["tasks at once"]) for row in result["tables"]["In cores"]] == [
        (1, 1),
        (2, 1),
        (2, 2),
    ]


def test_soak__runs_tiny() -> None:
    result = soak.main(tiny=True)
    check_result(result, soak)
    (samples,) = result["tables"].values()
    assert [row["jobs"] for row in samples] == [1, 2, 3]
    # Where nothing is left to chance, nothing is left behind.
    for name in ("driver threads", "Python workers at work", "temporary files", "shuffle files", "stored by Spark"):
        assert samples[-1][name] <= samples[0][name], name


def test_yfcc100m__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, yfcc100m)
    result = yfcc100m.main(tiny=True)
    check_result(result, yfcc100m)
    sizes, stages, _, shown = result["tables"].values()
    told = {row["what"]: row["measured"] for row in sizes}
    assert told["photos imported for training"] + told["photos imported for validation"] == yfcc100m.TINY_ROWS
    assert "value" in [row["stage"] for row in stages]
    asked = set(
        next(title for title in result["tables"] if title.startswith("Contributors")).split("tags ")[1].split(", ")
    )
    # Rows that help share a tag with the photo, those that hurt share none.
    assert [bool(asked & set(row["tags"].split(", "))) for row in shown] == [row["value"] > 0 for row in shown]
