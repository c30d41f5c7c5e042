"""The estimate: sums of its parts, what it grows with, and the calibration that feeds it. No time is asserted."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from dvspark.engine.planning import calibrate as calibration
from dvspark.engine.planning.calibrate import PointCost, calibrate, measure
from dvspark.engine.planning.estimate import START_CORE_SECONDS, START_SECONDS, Estimate, estimate, not_counted
from dvspark.engine.planning.plan import Hosts, make_plan
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ComputeError
from dvspark.kernels import loops, memory
from dvspark.kernels.ranking import gap_values
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions

GIB = 2**30
SIZES = Sizes(n_train=100_000, n_validation=2_560, n_features=32)
POINT = PointCost(fixed=0.01, per_row=1e-6)


def expected(n_tasks: int = 2, point: PointCost = POINT, asked: str = "auto", **changes: Any) -> Estimate:
    sizes = Sizes(**{**vars(SIZES), **changes})
    hosts = Hosts(n_tasks, n_tasks, 64 * GIB)
    return estimate(make_plan(sizes, hosts, chunk_rows=256, asked=asked), sizes, hosts, point)


@pytest.mark.parametrize(("asked", "told"), [("numpy", False), ("numba", True), ("", True)])
def test_not_counted__is_compiling_where_loops_are_compiled(
    asked: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba", reason="needs the extra `fast`")
    monkeypatch.setenv(loops.CHOICE_VARIABLE, asked)
    loops.fastest.cache_clear()
    try:
        assert (loops.name(loops.fastest()) == "numba") is told
    finally:
        monkeypatch.undo()
        loops.fastest.cache_clear()
    monkeypatch.setenv(loops.CHOICE_VARIABLE, asked)
    assert ("compiling" in not_counted()) is told


def test_estimate__is_the_sum_of_its_parts() -> None:
    found = expected()
    assert found.core_seconds == pytest.approx(sum(found.parts.values()), abs=0.1)
    assert found.parts["start"] == START_CORE_SECONDS
    assert found.parts["kernel"] == pytest.approx(2_560 * (0.01 + 0.1))
    assert found.record()["core_hours"] == pytest.approx(found.core_seconds / 3600, abs=1e-4)


def test_estimate__more_cores_take_less_time_and_the_same_work() -> None:
    few, many = expected(n_tasks=2), expected(n_tasks=5)
    assert few.core_seconds == many.core_seconds
    assert few.wall_seconds > many.wall_seconds > START_SECONDS


def test_estimate__all_cores_read_and_check_while_one_packs_the_index() -> None:
    free = PointCost(fixed=0.0, per_row=0.0)
    found = expected(4, free, n_train=10_000_000)
    spread = sum(found.parts[name] for name in ("check", "rows", "exchange"))
    assert found.wall_seconds == pytest.approx(START_SECONDS + found.parts["index"] + spread / 4, abs=0.1)


@pytest.mark.parametrize(("n_tasks", "turns"), [(1, 10), (2, 5), (3, 4), (9, 2), (10, 1), (64, 1)])
def test_estimate__the_last_task_of_a_wave_is_waited_for(n_tasks: int, turns: int) -> None:
    # Ten chunks; where the kernel is all that counts, time goes by whole chunks.
    kernel = PointCost(fixed=100.0, per_row=0.0)
    assert expected(n_tasks, kernel).wall_seconds == pytest.approx(turns * 25_600, rel=0.01)


def test_estimate__waves_follow_each_other() -> None:
    kernel = PointCost(fixed=100.0, per_row=0.0)
    found = expected(60, kernel, n_validation=65 * 256)  # 64 chunks in two turns, then one
    assert found.wall_seconds == pytest.approx(3 * 25_600, rel=0.01)


def test_estimate__the_sharded_plan_s_exchange_counts() -> None:
    assert expected(asked="sharded").parts["exchange"] > expected(asked="replicated").parts["exchange"]


# --- calibration ------------------------------------------------------------------------------------------


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put a kernel of known cost in place of the real one; return the sizes it is measured at."""
    measured: list[int] = []

    def seconds(_sizes: Sizes, _options: ValueOptions, n_train: int, _n_labels: int, _points: int) -> float:
        measured.append(n_train)
        return POINT.seconds(n_train)

    monkeypatch.setattr(calibration, "_kernel_seconds", seconds)
    return measured


def test_measure__finds_the_line_through_two_sizes(kernel: list[int]) -> None:
    sizes = Sizes(n_train=10**9, n_validation=1_000, n_features=4)
    found = measure(sizes, ValueOptions(), n_labels=3, points=1)
    assert (found.fixed, found.per_row) == (pytest.approx(POINT.fixed), pytest.approx(POINT.per_row))
    assert kernel[-2] < kernel[-1] < 10**9


def test_measure__a_small_table_is_measured_as_it_is(kernel: list[int]) -> None:
    found = measure(Sizes(n_train=20_000, n_validation=9, n_features=4), ValueOptions(), n_labels=3, points=9)
    assert found.seconds(20_000) == pytest.approx(POINT.seconds(20_000))
    assert kernel[-1] == max(kernel) == 20_000


def test_measure__a_slow_kernel_is_not_tried_on_more_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def seconds(_sizes: Sizes, _options: ValueOptions, n_train: int, _n_labels: int, points: int) -> float:
        measured.append(n_train)
        assert points == 1
        return 1e-7 * n_train**2.5

    monkeypatch.setattr(calibration, "_kernel_seconds", seconds)
    found = measure(Sizes(n_train=10**6, n_validation=1_000, n_features=4), ValueOptions(), n_labels=3, points=320)
    assert measured == [128, 512, 512]
    assert found.power == pytest.approx(2.5)
    assert found.seconds(10_000) == pytest.approx(1_000)


@pytest.mark.parametrize("ranking", ["sorted", "binned"])
def test_calibrate__takes_as_many_points_at_once_as_the_kernel(ranking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[dict[str, Any]]()

    def run(*_: Any, **given: Any) -> Any:
        asked.append(json.loads(given["input"]))
        return subprocess.CompletedProcess([], 0, '{"fixed": 0.0, "per_row": 1e-9}', "")

    monkeypatch.setattr(calibration.subprocess, "run", run)
    n, d, options = 10_000_000, 512, ValueOptions(parameters={"k": 3}, ranking=ranking)
    sizes = Sizes.of(options, n_train=n, n_validation=5_000, n_features=d, dtype="float32")
    calibrate(sizes, options, n_labels=10, chunk_rows=256)
    assert asked[0]["points"] == memory.points_at_once(n, d, ranking=ranking)


@pytest.mark.parametrize("compiled_at", [128, 8_192, calibration.FIRST_ROWS])
def test_measure__loops_that_are_compiled_on_the_way_are_no_cost_of_a_point(
    monkeypatch: pytest.MonkeyPatch, compiled_at: int
) -> None:
    measured: list[int] = []

    def seconds(_sizes: Sizes, _options: ValueOptions, n_train: int, _n_labels: int, _points: int) -> float:
        measured.append(n_train)
        return POINT.seconds(n_train) + 20.0 * (measured.count(compiled_at) == 1 and n_train == compiled_at)

    monkeypatch.setattr(calibration, "_kernel_seconds", seconds)
    found = measure(Sizes(n_train=10**9, n_validation=1_000, n_features=4), ValueOptions(), n_labels=3, points=1)
    assert found.seconds(10**6) == pytest.approx(POINT.seconds(10**6))


def test_measure__loops_that_more_rows_ask_for_are_no_cost_of_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0, 50.0]  # and what the first call of such a loop takes

    def take(*_given: Any) -> None:
        clock[0] += clock.pop() if len(clock) > 1 else 1.0

    monkeypatch.setattr(gap_values.CodedPoints, "take", take)
    monkeypatch.setattr(calibration.time, "process_time", lambda: clock[0])
    sizes = Sizes(n_train=20_000, n_validation=9, n_features=4)
    assert calibration._kernel_seconds(sizes, ValueOptions(parameters={"k": 3}), 20_000, 10, 9) == 1.0
    assert clock == [59.0]


@pytest.mark.parametrize("ranking", ["sorted", "binned"])
@pytest.mark.parametrize("self_validation", [False, True])
def test_measure__runs_the_real_kernel(ranking: str, self_validation: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "FIRST_ROWS", 500)
    options = ValueOptions(
        "soft_knn_shapley", {"k": 3}, metric="cosine", ranking=ranking, self_validation=self_validation
    )
    found = measure(Sizes(n_train=2_000, n_validation=40, n_features=4), options, n_labels=3, points=40)
    assert found.per_row >= 0


# What a method has no default for.
ASKED: dict[str, dict[str, Any]] = {
    "truncated_knn_shapley": {"k_star": 40},
    "dp_threshold_knn_shapley": {"epsilon": 1.0, "delta": 1e-6},
    "knn_dp": {"k": 3, "epsilon": 1.0, "delta": 1e-6},
    "weighted_knn_shapley": {"kind": "hard", "bits": 2},
}


@pytest.mark.parametrize("name", METHODS)
def test_measure__runs_every_method_s_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "FIRST_ROWS", 200)
    parameters = ASKED.get(name, {"k": 3} if METHODS[name].knows("k") else {})
    options = ValueOptions(name, parameters, self_validation=METHODS[name].self_validates)
    sizes = Sizes.of(options, n_train=900, n_validation=20, n_features=4, dtype="float32")
    assert measure(sizes, options, n_labels=3, points=20).seconds(900) >= 0


def test_calibrate__asks_a_process_of_its_own() -> None:
    found = calibrate(Sizes(300, 20, 5), ValueOptions(parameters={"k": None}), n_labels=2, chunk_rows=256)
    assert found.seconds(300) >= 0


def test_calibrate__a_kernel_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LONGEST_SECONDS", 1e-3)
    with pytest.raises(ComputeError, match=r"(?s)none after 0\.001 s.*run the job itself"):
        calibrate(Sizes(300, 20, 5), ValueOptions(parameters={"k": None}), n_labels=2, chunk_rows=256)


def test_calibrate__a_kernel_that_fails_is_told() -> None:
    with pytest.raises(ComputeError, match="KeyError: 'unknown'"):
        calibrate(Sizes(300, 20, 5), ValueOptions("unknown"), n_labels=2, chunk_rows=256)
