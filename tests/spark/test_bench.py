"""Benchmarks that need Spark run, tiny; what they measure is right where it can be told at that size."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.bench import engine_overhead, memory, performance_page, scaling, sharded, soak

pytestmark = pytest.mark.spark


def section_of(result: dict[str, object], script: ModuleType) -> str:
    """Return the benchmark's part of the page, whose question is the script's."""
    section = performance_page.section(result)
    assert section.startswith(f"## {script.QUESTION}\n")
    return section


def test_engine_overhead__runs_tiny() -> None:
    result = engine_overhead.main(tiny=True)
    section_of(result, engine_overhead)
    stages, beside = result["tables"].values()
    assert [row["stage"] for row in stages][:5] == ["read", "validate", "plan", "index", "value"]
    assert beside[-1]["measured"] < 1e-12  # the job's values are the local engine's


def test_memory__runs_tiny() -> None:
    result = memory.main(tiny=True)
    section_of(result, memory)
    workers, driver, kernels = result["tables"].values()
    peak = next(row for row in workers if row["what"].startswith("largest PSS"))
    assert peak["MiB"] > 0  # workers were found
    assert [row["chunks"] for row in driver] == [8, 64]
    assert all(row["taken, MiB"] > 0 for row in kernels)


def test_scaling__runs_tiny() -> None:
    result = scaling.main(tiny=True)
    section_of(result, scaling)
    assert list(result["tables"]) == ["In M, sorted", "In N, binned", "In D, sorted", "In cores"]
    assert [row["cores"] for row in result["tables"]["In cores"]] == [1, 2]


def test_sharded__runs_tiny() -> None:
    result = sharded.main(tiny=True)
    section_of(result, sharded)
    sizes, stages, refusal = result["tables"].values()
    assert result["targets"][0]["measured"] <= sharded.LARGEST_SHARE
    assert all(row["MiB"] > 0 for row in sizes)  # workers, their mappings and the work folder were found
    assert "replicated" in refusal[0]["message"]
    assert {"index", "value", "audit"} <= {row["stage"] for row in stages}


def test_soak__runs_tiny() -> None:
    result = soak.main(tiny=True)
    section_of(result, soak)
    (samples,) = result["tables"].values()
    assert [row["jobs"] for row in samples] == [1, 2, 3]
    # Where nothing is left to chance, nothing is left behind.
    for name in ("driver threads", "Python workers at work", "temporary files", "shuffle files", "stored by Spark"):
        assert samples[-1][name] <= samples[0][name], name
