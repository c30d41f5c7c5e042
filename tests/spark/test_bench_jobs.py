"""Benchmarks that need Spark run, tiny; what they measure is right where it can be told at that size."""

from __future__ import annotations

import pytest
from bench_checks import check_result

from tests.bench import engine_overhead, scaling, soak

pytestmark = pytest.mark.spark


def test_engine_overhead__runs_tiny() -> None:
    result = engine_overhead.main(tiny=True)
    check_result(result, engine_overhead)
    stages, beside = result["tables"].values()
    assert [row["stage"] for row in stages][:5] == ["read", "validate", "plan", "index", "value"]
    assert beside[-1]["measured"] < 1e-12  # the job's values are those of `value_arrays`


def test_scaling__runs_tiny() -> None:
    result = scaling.main(tiny=True)
    check_result(result, scaling)
    assert list(result["tables"]) == ["In M, sorted", "In N, binned", "In D, sorted", "In cores"]
    assert [(row["cores"], row["tasks at once"]) for row in result["tables"]["In cores"]] == [(1, 1), (2, 1), (2, 2)]


def test_soak__runs_tiny() -> None:
    result = soak.main(tiny=True)
    check_result(result, soak)
    (samples,) = result["tables"].values()
    assert [row["jobs"] for row in samples] == [1, 2, 3]
    # Where nothing is left to chance, nothing is left behind.
    for name in ("driver threads", "Python workers at work", "temporary files", "shuffle files", "stored by Spark"):
        assert samples[-1][name] <= samples[0][name], name
