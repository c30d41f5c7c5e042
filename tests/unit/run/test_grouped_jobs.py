"""Jobs whose validation rows count differently: weights, tasks and classes, against games of single validation rows."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from family import FAMILY, SCORES, Case, expected_points
from family_strategies import cases
from frames import Side, draw_data, write_parquet
from hypothesis import given
from hypothesis import strategies as st
from oracles import EXACT_ORDER_TOLERANCE
from property_tests import examples

import dvspark
from dvspark.config.job import JobConfig
from dvspark.config.sections import TableConfig
from dvspark.engine import chunks
from dvspark.engine.by_workers.worker import answer
from dvspark.engine.groups import Groups
from dvspark.errors import DvsparkError
from dvspark.local.session import LocalSession
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.run.change.change import parent_record
from dvspark.run.grouping import driver_bytes, expected_groups
from dvspark.run.pipeline import run
from dvspark.runs.ledger import Ledger
from dvspark.tables.sinks.contents import by_task_digest
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.rows import Rows
from dvspark.tables.storage import open_storage

GROUPED = [method for method in FAMILY if method not in (SCORES, "knn_acquisition_shapley")]
DATA = draw_data(70, 60, seed=3, id_type="string", label_type="string")
N = len(DATA.validation)
WEIGHTS = np.random.default_rng(1).choice([0.0, 0.25, 1.0, 3.0], N)
TASKS = np.random.default_rng(2).choice(["acme", "b's shop", "zoo"], N)


class Here:
    """Workers that are this process."""

    n_most = 1

    def map(self, requests: Iterable[bytes]) -> Iterator[bytes]:
        return map(answer, requests)


WORKERS: Any = Here()
SESSION = LocalSession(WORKERS)


def job(folder: Path, train: dict[str, Any], validation: dict[str, Any] | None, **settings: Any) -> dict[str, Any]:
    """Run a job in this process; return its record."""
    tables: dict[str, Any] = {"train": train, "validation": validation, "output": {"path": str(folder / "out")}}
    config = JobConfig(**tables, **{"report": False, **settings})
    assert not config.problems()
    return run(config, SESSION)


def values_of(folder: Path, record: dict[str, Any], table: str = "values") -> pa.Table:
    return pq.read_table(folder / "out" / table / f"run_id={record['run_id']}").sort_by("id")


def column(folder: Path, record: dict[str, Any], name: str = "value") -> list[float]:
    return values_of(folder, record)[name].to_pylist()


# --- by definition: sums of games of single validation rows -------------------------------------------------


def written(
    folder: Path, case: Case, weights: Sequence[float], tasks: Sequence[Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the tables of a case; return the sections of both."""
    problem, (z, labels) = case.problem, case.validation
    ids = list(problem.train_ids or range(case.n_train))
    more = {name: list(one) for name, one in (("owner", case.owners), ("weight", case.weights)) if one is not None}
    train = write_parquet(folder / "train.parquet", _side(ids, problem.x_train, problem.y_train), **more)
    points = _side([f"point {v}" for v in range(len(z))], z, labels)
    place = write_parquet(folder / "validation.parquet", points, counts=list(weights), buyer=list(tasks))
    named = {"path": train, **{name: name for name in more}}
    return named, {"path": place, "weight": "counts", "task": "buyer"}


def _side(ids: list[Any], x: Any, labels: Any) -> Side:
    plain = [list(label) if isinstance(label, tuple) else label for label in labels]
    return Side(ids, np.array(x, np.float64), plain)


def case_settings(case: Case) -> dict[str, Any]:
    given = {name: value for name, value in case.parameters.items() if value is not None}
    if METHODS[case.method].knows("k"):
        given["k"] = case.problem.k
    if not case.counted:
        given["n_classes"] = case.problem.n_classes
    return {**given, "method": case.method, "metric": case.problem.metric, "ties": case.ties}


@pytest.mark.parametrize("method", GROUPED)
@examples(3)
@given(data=st.data(), aggregate=st.sampled_from(["mean", "sum"]), chunk_rows=st.integers(1, 3))
def test_job__weighs_the_games_of_validation_rows_and_tells_tasks_apart(
    method: str, data: st.DataObject, aggregate: str, chunk_rows: int
) -> None:
    case = data.draw(cases(method, self_validation=False).filter(lambda case: not case.by_pairs))
    n = len(case.validation[0])
    drawn = st.sampled_from([0.0, 0.5, 1.0, 3.0, 1e-3])
    weights = np.array(data.draw(st.lists(drawn, min_size=n, max_size=n).filter(any)))
    tasks = data.draw(st.lists(st.sampled_from([3, 1, 20]), min_size=n, max_size=n))
    points = np.array(expected_points(case), float)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, validation = written(folder, case, weights, tasks)
        settings = case_settings(case) | {"aggregate": aggregate, "chunk_rows": chunk_rows}
        record = job(folder, train, validation, **settings)
        found, by_task = values_of(folder, record), values_of(folder, record, "by_task")
    near = {"rtol": 0, "atol": EXACT_ORDER_TOLERANCE["default"] * max(1, weights.sum())}
    ids = sorted(set(case.owners)) if case.owners is not None else list(case.problem.train_ids or range(case.n_train))
    place = {one: n for n, one in enumerate(ids)}
    over = weights.sum() if aggregate == "mean" else 1.0
    expected = weights @ points / over
    np.testing.assert_allclose(found["value"], [expected[place[one]] for one in found["id"].to_pylist()], **near)
    there = sorted({task for task, weight in zip(tasks, weights, strict=True) if weight})
    assert sorted(set(by_task["task"].to_pylist())) == there
    assert [one["task"] for one in record["tasks"]] == there
    for task in there:
        own = np.where(np.array(tasks) == task, weights, 0.0)
        expected = own @ points / (own.sum() if aggregate == "mean" else 1.0)
        of_task = by_task.filter(pa.compute.equal(by_task["task"], task))
        np.testing.assert_allclose(
            of_task["value"], [expected[place[one]] for one in of_task["id"].to_pylist()], **near
        )


# --- on a larger table: the same bits whatever must not matter ------------------------------------------------


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections of both tables, whose columns tell weight and task."""
    folder = tmp_path_factory.mktemp("tables")
    train = write_parquet(folder / "train.parquet", DATA.train)
    place = write_parquet(folder / "validation.parquet", DATA.validation, weight=WEIGHTS.tolist(), task=TASKS.tolist())
    return {"path": train}, {"path": place}


GROUPS = {"weight": "weight", "task": "task"}
SETTINGS: dict[str, Any] = {"k": 3, "chunk_rows": 3}


def point_values(case_of: Any = DATA) -> np.ndarray:
    """Return the values of each validation row alone, (n_validation, n_train), in the order of the training ids."""
    (x, y, z, labels), given = case_of.arrays()
    order = np.argsort(given["train_ids"])
    each = [dvspark.value_arrays(x, y, z[v : v + 1], labels[v : v + 1], k=3, **given) for v in range(N)]
    return np.array(each)[:, order]


def test_job__tells_what_comes_from_a_rows_own_class(tables: Any, tmp_path: Path) -> None:
    train, validation = tables
    record = job(tmp_path, train, {**validation, "weight": "weight"}, **SETTINGS, by_class=True)
    values = values_of(tmp_path, record)
    alone, labels = point_values(), np.array(DATA.validation.labels)
    is_own = labels[:, None] == np.array(values["label"].to_pylist())[None, :]
    own, other = (WEIGHTS @ np.where(kept, alone, 0.0) / WEIGHTS.sum() for kept in (is_own, ~is_own))
    np.testing.assert_allclose(values["own_class_value"], own, rtol=0, atol=1e-12)
    np.testing.assert_allclose(values["other_class_value"], other, rtol=0, atol=1e-12)
    both = np.add(values["own_class_value"], values["other_class_value"])
    np.testing.assert_allclose(both, values["value"], rtol=0, atol=1e-16)
    assert record["by_class"] is True


def test_job__standard_errors_are_those_of_weighted_means(tables: Any, tmp_path: Path) -> None:
    train, validation = tables
    record = job(tmp_path, train, validation | GROUPS, **SETTINGS)
    alone, by_task = point_values(), values_of(tmp_path, record, "by_task")

    def errors(weights: np.ndarray) -> np.ndarray:
        n = np.count_nonzero(weights)
        apart = alone - weights @ alone / weights.sum()
        return np.sqrt(weights**2 @ apart**2) / weights.sum() * np.sqrt(n / (n - 1))

    near = {"rtol": 1e-6, "atol": 1e-9}
    np.testing.assert_allclose(column(tmp_path, record, "standard_error"), errors(WEIGHTS), **near)
    for task in sorted(set(TASKS)):
        found = by_task.filter(pa.compute.equal(by_task["task"], task))["standard_error"]
        np.testing.assert_allclose(found, errors(np.where(task == TASKS, WEIGHTS, 0.0)), **near)


def test_job__standard_errors_of_a_task_are_the_same_however_little_it_weighs(tables: Any, tmp_path: Path) -> None:
    train, validation = tables
    expected = values_of(tmp_path, job(tmp_path, train, validation | GROUPS, **SETTINGS), "by_task")
    # As of months that count for half as much a day later.
    of_task = {"acme": 1e-100, "b's shop": 2.0**-1000, "zoo": 1.0}
    weights = WEIGHTS * np.array([of_task[task] for task in TASKS])
    place = write_parquet(tmp_path / "aged.parquet", DATA.validation, weight=weights.tolist(), task=TASKS.tolist())
    record = job(tmp_path / "aged", train, {"path": place, **GROUPS}, **SETTINGS)
    found = values_of(tmp_path / "aged", record, "by_task")
    for name in ("value", "standard_error"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-15)
    zoo = found.filter(pa.compute.equal(found["task"], "zoo"))
    for name in ("value", "standard_error"):  # of all: no other task has any weight beside this one
        factor = 1.0 if name == "value" else np.sqrt(_bessel(np.count_nonzero(weights)) / _bessel(len_of("zoo")))
        np.testing.assert_allclose(column(tmp_path / "aged", record, name), factor * np.array(zoo[name]), rtol=1e-9)


def len_of(task: str) -> int:
    """Return how many validation rows of a task have weight."""
    return int(np.count_nonzero(WEIGHTS[task == TASKS]))


def _bessel(n: int) -> float:
    return n / (n - 1)


def test_job__of_weights_that_are_equal_has_the_bits_of_no_weights(tables: Any, tmp_path: Path) -> None:
    train, _ = tables
    place = write_parquet(tmp_path / "equal.parquet", DATA.validation, weight=[0.3] * N)
    plain = job(tmp_path, train, {"path": place}, **SETTINGS, error_bound=True)
    equal = job(tmp_path, train, {"path": place, "weight": "weight"}, **SETTINGS, error_bound=True)
    assert plain["run_id"] != equal["run_id"]
    for name in ("value", "standard_error", "rank", "error_bound"):
        assert column(tmp_path, equal, name) == column(tmp_path, plain, name)


def test_job__has_the_same_bits_whatever_the_files_the_waves_and_the_engine_s_pace(
    tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, validation = tables
    settings = {**SETTINGS, "by_class": True, "error_bound": True}
    expected = job(tmp_path / "one", train, validation | GROUPS, **settings)
    rows = pq.read_table(validation["path"])
    order = np.random.default_rng(5).permutation(N)
    for part, places in enumerate(np.array_split(order, 4)):
        (tmp_path / "parts").mkdir(exist_ok=True)
        pq.write_table(rows.take(pa.array(places)), tmp_path / "parts" / f"{part}.parquet")
    monkeypatch.setattr(chunks, "WAVE_CHUNKS", 2)
    found = job(tmp_path / "other", train, {**validation, **GROUPS, "path": str(tmp_path / "parts")}, **settings)
    assert found["values_sha256"] == expected["values_sha256"]
    assert found["by_task_sha256"] == expected["by_task_sha256"]


def test_job__that_was_stopped_goes_on_with_the_same_bits(
    tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, validation = tables
    settings = {**SETTINGS, "by_class": True}
    whole = job(tmp_path / "whole", train, validation | GROUPS, **settings)
    monkeypatch.setattr(chunks, "WAVE_CHUNKS", 2)
    commit, stop_at = Ledger.commit, itertools.count()

    def stopped(ledger: Ledger, number: int, wave: Any) -> None:
        if next(stop_at) == 5:
            raise KeyboardInterrupt
        commit(ledger, number, wave)

    monkeypatch.setattr(Ledger, "commit", stopped)
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "stopped", train, validation | GROUPS, **settings)
    monkeypatch.setattr(Ledger, "commit", commit)
    again = job(tmp_path / "stopped", train, validation | GROUPS, **settings)
    assert "earlier_waves" in [finding["name"] for finding in again["findings"]]
    assert (again["values_sha256"], again["by_task_sha256"]) == (whole["values_sha256"], whole["by_task_sha256"])


def test_job__publishes_tasks_under_its_record(tables: Any, tmp_path: Path) -> None:
    train, validation = tables
    record = job(tmp_path, train, validation | GROUPS, **SETTINGS)
    by_task = values_of(tmp_path, record, "by_task")
    assert by_task.column_names == ["task", "id", "value", "standard_error", "rank", "label"]
    assert by_task_digest(record["run_id"], by_task) == record["by_task_sha256"]
    assert record["outputs"]["by_task"].endswith(f"by_task/run_id={record['run_id']}")
    kept = json.loads((tmp_path / "out" / "runs" / record["run_id"] / "run.json").read_text())
    totals = {one["task"]: (one["n_validation"], one["weight"]) for one in kept["tasks"]}
    counted = {task: (np.count_nonzero(WEIGHTS[task == TASKS]), WEIGHTS[task == TASKS].sum()) for task in totals}
    assert totals == counted
    weights = np.array([totals[task][1] for task in sorted(totals)])
    of_tasks = [by_task.filter(pa.compute.equal(by_task["task"], task))["value"] for task in sorted(totals)]
    together = weights @ np.array(of_tasks) / weights.sum()
    np.testing.assert_allclose(column(tmp_path, record), together, rtol=0, atol=1e-15)
    assert {one["name"]: one["verdict"] for one in record["findings"]}["tasks"] == "pass"
    assert job(tmp_path, train, validation | GROUPS, **SETTINGS)["created"] == record["created"]
    assert not (tmp_path / "out" / "validation_rows").exists()
    with pytest.raises(DvsparkError, match="rows told apart by task, weight"):
        parent_record(open_storage(str(tmp_path / "out")), record["run_id"])


def test_job__does_not_see_validation_rows_of_weight_zero(tables: Any, tmp_path: Path) -> None:
    train, _ = tables
    settings = {"method": "threshold_knn_shapley", "chunk_rows": 1, "n_classes": 7}  # its radius is from a sample
    far = DATA.validation.x + np.where(WEIGHTS > 0, 0.0, 100.0).astype(np.float32)[:, None]
    points = Side(DATA.validation.ids, far, DATA.validation.labels)
    all_rows = write_parquet(tmp_path / "all.parquet", points, weight=WEIGHTS.tolist())
    pq.write_table(pq.read_table(all_rows).filter(pa.array(WEIGHTS > 0)), tmp_path / "kept.parquet")
    there = job(tmp_path / "a", train, {"path": all_rows, "weight": "weight"}, **settings)
    without = job(tmp_path / "b", train, {"path": str(tmp_path / "kept.parquet"), "weight": "weight"}, **settings)
    assert column(tmp_path / "a", there) == column(tmp_path / "b", without)


def test_job__tells_classes_apart_where_rows_validate_themselves(tables: Any, tmp_path: Path) -> None:
    train, _ = tables
    plain = job(tmp_path / "plain", train, None, k=3, self_validation=True)
    record = job(tmp_path / "by", train, None, k=3, self_validation=True, by_class=True)
    assert record["groups"] == {"by": ["label"], "n_groups": len(set(DATA.train.labels))}
    np.testing.assert_allclose(column(tmp_path / "by", record), column(tmp_path / "plain", plain), rtol=0, atol=1e-15)


def test_expected_groups__are_those_of_the_run(tables: Any, tmp_path: Path) -> None:
    train, validation = tables
    record = job(tmp_path, train, validation | GROUPS, **SETTINGS)
    rows = read_rows(SESSION, "validation", TableConfig(**validation, **GROUPS).reference())
    assert isinstance(rows, Rows)
    groups = expected_groups(rows, ValueOptions(parameters={"k": 3}), SETTINGS["chunk_rows"])
    assert groups is not None
    assert (len(groups.members), groups.n_chunks) == (record["groups"]["n_groups"], record["plan"]["n_chunks"])
    assert driver_bytes(groups, 1_000) > 3 * driver_bytes(Groups(("weight",), groups.members), 1_000)


# --- what is refused --------------------------------------------------------------------------------------

UNUSABLE: dict[str, tuple[dict[str, list[Any]], str]] = {
    "weight null": ({"weight": [None, *[1.0] * (N - 1)]}, "weight is null in 1 rows"),
    "weight negative": ({"weight": [-1.0, *[1.0] * (N - 1)]}, "weight is negative"),
    "weight infinite": ({"weight": [np.inf, *[1.0] * (N - 1)]}, "NaN or infinity"),
    "weights all zero": ({"weight": [0.0] * N}, "a weight above 0"),
    "weight a word": ({"weight": ["much"] * N}, "a number"),
    "task null": ({"task": [None, *["a"] * (N - 1)]}, "task is null in 1 rows"),
    "task a number": ({"task": [0.5] * N}, "a string or an integer"),
}


@pytest.mark.parametrize(("columns", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_job__refuses_weights_and_tasks_that_say_nothing(
    tables: Any, tmp_path: Path, columns: dict[str, list[Any]], said: str
) -> None:
    place = write_parquet(tmp_path / "validation.parquet", DATA.validation, **columns)
    with pytest.raises(DvsparkError, match=said):
        job(tmp_path, tables[0], {"path": place, **{name: name for name in columns}}, **SETTINGS)


def test_job__rejects_rows_without_a_weight_or_a_task(tables: Any, tmp_path: Path) -> None:
    columns = {"weight": [None, *[1.0] * (N - 1)], "task": [*["a"] * (N - 1), None]}
    place = write_parquet(tmp_path / "validation.parquet", DATA.validation, **columns)
    record = job(tmp_path, tables[0], {"path": place, **GROUPS}, **SETTINGS, on_bad_row="reject")
    assert record["tasks"] == [{"task": "a", "n_validation": N - 2, "weight": N - 2.0}]


def test_job__refuses_more_tasks_than_it_can_hold(tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvspark.run.grouping.MOST_TASKS", 2)
    with pytest.raises(DvsparkError, match="at most 2 tasks"):
        job(tmp_path, tables[0], tables[1] | GROUPS, **SETTINGS)


def test_job__warns_of_groups_of_few_rows(tables: Any, tmp_path: Path) -> None:
    place = write_parquet(tmp_path / "v.parquet", DATA.validation, weight=np.linspace(1, 2, N).tolist())
    record = job(tmp_path, tables[0], {"path": place, "weight": "weight"}, **SETTINGS)
    assert [one["got"] for one in record["warnings"]][-1] == f"{N} groups of 1 rows in the mean"


PRIVATE = {"method": "dp_threshold_knn_shapley", "epsilon": 1.0, "delta": 1e-5, "publish_all_values": True}
UNFIT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a private method": (PRIVATE, ["validation.weight", "validation.task"]),
    "a game of all rows": ({"method": "chg_shapley"}, ["validation.weight", "validation.task"]),
    "classes of owners": ({"method": "owner_knn_shapley", "by_class": True}, ["by_class"]),
    "classes of numbers": ({"method": "knn_regression_shapley", "by_class": True}, ["by_class"]),
    "classes in private": ({**PRIVATE, "by_class": True}, ["by_class", "validation.weight", "validation.task"]),
    "a change": ({"parent": "a-run", "change": "add"}, ["validation.weight", "validation.task"]),
}


@pytest.mark.parametrize(("settings", "where"), UNFIT.values(), ids=UNFIT)
def test_configuration__refuses_what_cannot_be_told_apart(settings: dict[str, Any], where: list[str]) -> None:
    tables: dict[str, Any] = {"train": {"path": "t"}, "validation": {"path": "v", **GROUPS}, "output": {"path": "o"}}
    assert [problem.where for problem in JobConfig(**tables, **settings).problems()] == where


def test_job__refuses_classes_of_rows_with_several_labels(tmp_path: Path) -> None:
    several = draw_data(20, 10, label_type="array<bigint>")
    train = {"path": write_parquet(tmp_path / "t.parquet", several.train)}
    with pytest.raises(DvsparkError, match="one label in each row"):
        job(tmp_path, train, {"path": write_parquet(tmp_path / "v.parquet", several.validation)}, by_class=True)
