"""Benchmarks of memory run, tiny, in a file of their own: each takes a minute, and a file stays with one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench_checks import check_result, in_this_process

from tests.bench import memory, sharded

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A benchmark starts several sessions, one after the other.
pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(900)]


def test_memory__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, memory, "run_jobs")
    result = memory.main(tiny=True)
    check_result(result, memory)
    workers, driver, kernels = result["tables"].values()
    peak = next(row for row in workers if row["what"].startswith("largest PSS"))
    assert peak["MiB"] > 0  # workers were found
    assert [row["chunks"] for row in driver] == [4, 8]
    assert all(row["taken, MiB"] > 0 for row in kernels)


def test_sharded__runs_tiny(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch, sharded)
    result = sharded.main(tiny=True)
    check_result(result, sharded)
    sizes, stages, refusal = result["tables"].values()
    assert result["targets"][0]["measured"] <= sharded.LARGEST_SHARE
    assert all(row["MiB"] > 0 for row in sizes)  # workers, their mappings and the work folder were found
    assert "replicated" in refusal[0]["message"]
    assert {"index", "value", "audit"} <= {row["stage"] for row in stages}
