"""Benchmarks run, tiny, without Spark; and docs/performance.md is what their stored results make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_checks import check_result

from tests.bench import (
    against_pydvl,
    certificates,
    family,
    frame,
    games,
    jobs,
    kernel,
    label_errors,
    performance_page,
    review,
    self_validation,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_kernel__runs_tiny() -> None:
    result = kernel.main(tiny=True)
    check_result(result, kernel)
    rows = result["tables"]["CPU time of one validation point"]
    assert [row["ranking"] for row in rows] == ["sorted", "binned", "binned"]
    assert rows[-1]["NumPy / kernel"] is None


@pytest.mark.long
def test_family__runs_tiny() -> None:
    result = family.main(tiny=True)
    check_result(result, family)
    (rows,) = result["tables"].values()
    assert [row["method"] for row in rows] == list(family.METHODS)
    assert [row["neighbors a point"] is not None for row in rows] == ["threshold" in row["method"] for row in rows]


def test_certificates__runs_tiny() -> None:
    result = certificates.main(tiny=True)
    check_result(result, certificates)


def test_self_validation__runs_tiny() -> None:
    result = self_validation.main(tiny=True)
    check_result(result, self_validation)
    _, ours, cleanlab = result["tables"]["Scores of rows by each other"]
    assert ours["mean score"] == pytest.approx(cleanlab["mean score"], abs=1e-12)


@pytest.mark.long
def test_review__runs_tiny() -> None:
    result = review.main(tiny=True)
    check_result(result, review)
    for (row,) in result["tables"].values():
        assert 0 <= row["memory, GB"] <= row["bound, GB"]


def test_label_errors__runs_tiny() -> None:
    result = label_errors.main(tiny=True)
    check_result(result, label_errors)
    scored, flagged, suggested = result["tables"].values()
    assert [row["wrong labels"] for row in scored] == [row["wrong labels"] for row in flagged] == ["10 %", "by class"]
    assert all(row["review"] > 0.8 and row["AUROC review"] > 0.95 for row in scored)
    assert sum(row["rows"] for row in suggested) == sum(row["rows"] for row in scored)


def test_plain_numpy__is_knn_shapley() -> None:
    # What the kernel is held against must do the same work.
    import numpy as np

    import dvspark

    rng = np.random.default_rng(5)
    arrays = rng.normal(size=(300, 6)), rng.integers(0, 3, 300), rng.normal(size=(20, 6)), rng.integers(0, 3, 20)
    np.testing.assert_allclose(kernel.plain_numpy(*arrays), dvspark.value_arrays(*arrays, k=kernel.K), atol=1e-12)


def test_games__runs_tiny() -> None:
    pytest.importorskip("pydvl", reason="pyDVL is in the group `bench` alone")
    result = games.main(tiny=True)
    check_result(result, games)
    for row in result["tables"]["CPU time of one evaluation"]:
        assert row["evaluations, pyDVL"] == pytest.approx(row["evaluations, dvspark"], rel=0.1)


def test_against_pydvl__runs_tiny() -> None:
    pytest.importorskip("pydvl", reason="pyDVL is in the group `bench` alone")
    result = against_pydvl.main(tiny=True)
    check_result(result, against_pydvl)
    for row in result["tables"]["CPU time of one validation point"]:
        assert row["largest difference"] < 1e-9


def test_apart__what_fails_there_is_told_here() -> None:
    with pytest.raises(RuntimeError, match="no-such-folder"):
        frame.apart(jobs.read_arrays, folder="no-such-folder")


def test_environment__has_one_setting_of_threads_and_no_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "DVSPARK_K"):
        monkeypatch.setenv(name, "7")
    measured = frame.environment(2, {"DVSPARK_CACHE": "there", "OPENBLAS_CORETYPE": "Haswell"})
    names = {name for name in measured if name.startswith(("OPENBLAS", "DVSPARK")) or name.endswith("_NUM_THREADS")}
    assert names == {"OMP_NUM_THREADS", "DVSPARK_CACHE"}
    assert measured["OMP_NUM_THREADS"] == "2"


def test_slope__is_the_exponent() -> None:
    assert frame.slope([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (frame.at_most("a", 1.8, 1.79), "yes"),
        (frame.at_most("a", 1.8, 1.8004), "yes"),  # printed as 1.80
        (frame.at_most("a", 1.8, 1.81), "**no**"),
        (frame.at_least("a", 30.0, 30.1), "yes"),
        (frame.at_least("a", 30.0, 29.9), "**no**"),
    ],
)
def test_page__says_which_targets_are_met(target: dict[str, Any], met: str) -> None:
    result = frame.result("kernel", "Question?", "Method.", [target], {})
    line = next(line for line in performance_page.page([result]).splitlines() if line.startswith("| kernel"))
    assert line.split("|")[-2].strip() == met


def test_number__whole_numbers_have_separators_and_others_three_digits() -> None:
    shown = [performance_page.number(value) for value in (1_500_000, 0, 0.0, 3.14159, 12_345.6, 100.0, 1e-9, None, "a")]
    assert shown == ["1,500,000", "0", "0", "3.14", "12,346", "100", "1.00e-09", "–", "a"]


def test_performance_page__is_what_the_results_make() -> None:
    # python -m tests.bench.performance_page > docs/performance.md
    made = performance_page.page(performance_page.load_results())
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == made


def test_performance_page__every_benchmark_has_a_result() -> None:
    assert {result["benchmark"] for result in performance_page.load_results()} == set(performance_page.ORDER)
