"""Jobs of methods that ask for more than labels: owners, numbers to predict, weights, one table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from frames import draw_data, frames_of, write_parquet

import dvspark
from dvspark.config.sources import load_config
from dvspark.errors import ConfigError, InputError
from dvspark.local.session import open_local_session
from dvspark.run import pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore::dvspark.DataWarning")]

N_TRAIN, N_VALIDATION = 40, 12
DATA = draw_data(N_TRAIN, N_VALIDATION, seed=91, n_features=3, id_type="string", label_type="string")
OWNERS = [f"owner {row % 5}" for row in range(N_TRAIN)]

Command = Callable[..., int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one train table for each kind, and the validation tables."""
    folder = tmp_path_factory.mktemp("tables")
    numbers = np.random.default_rng(91).normal(size=N_TRAIN + N_VALIDATION)
    missing = np.where(np.arange(N_TRAIN) == 3, np.nan, numbers[:N_TRAIN])
    write_parquet(folder / "plain.parquet", DATA.train)
    write_parquet(folder / "owned.parquet", DATA.train, owner=[None, *OWNERS[1:]])
    write_parquet(folder / "numbers.parquet", DATA.train, label=missing.tolist())
    write_parquet(folder / "weighed.parquet", DATA.train, weight=[-1.0] + [2.0] * (N_TRAIN - 1))
    write_parquet(folder / "validation.parquet", DATA.validation)
    write_parquet(folder / "targets.parquet", DATA.validation, label=numbers[N_TRAIN:].tolist())
    return folder


def _words(folder: Path, out: Path, train: str, method: str, *more: Any, validation: str = "validation") -> list[Any]:
    tables = ["--train", folder / f"{train}.parquet", "--validation", folder / f"{validation}.parquet"]
    return [*tables, "--output", out, "--run_id", "run", "--method", method, *more]


def _results(out: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]], str]:
    """Return the record, the values by id, and the report."""
    record = json.loads((out / "runs" / "run" / "run.json").read_text())
    values = pa.dataset.dataset(out / "values", partitioning="hive").to_table().to_pylist()
    return record, {row["id"]: row for row in values}, (out / "runs" / "run" / "report.html").read_text()


def _good(sides: Any, row: int) -> tuple[Any, Any]:
    rows = [place for place in range(N_TRAIN) if place != row]
    return sides.x[rows], rows


@pytest.mark.long
def test_owner_job__values_owners_and_shows_no_rows_near_them(command: Command, folder: Path, tmp_path: Path) -> None:
    words = _words(folder, tmp_path, "owned", "owner_knn_shapley", "--k", 3, "--on_bad_row", "reject")
    assert command("value", *words) == 0
    record, values, report = _results(tmp_path)
    x, rows = _good(DATA.train, 0)
    local = dvspark.value_arrays(
        x,
        [DATA.train.labels[row] for row in rows],
        DATA.validation.x,
        DATA.validation.labels,
        method="owner_knn_shapley",
        k=3,
        train_ids=[DATA.train.ids[row] for row in rows],
        owners=[OWNERS[row] for row in rows],
    )
    assert sorted(values) == sorted(set(OWNERS))
    np.testing.assert_allclose([values[owner]["value"] for owner in sorted(values)], local, rtol=0, atol=1e-12)
    assert {row["label"] for row in values.values()} == {None}
    assert sorted(row["rank"] for row in values.values()) == [1, 2, 3, 4, 5]
    assert record["inputs"]["train"]["n_rejected"] == 1
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
    assert [row["neighbor_labels"] for row in record["lowest_rows"]] == [[]] * 5
    assert "owner 3" in report
    (rejected,) = pa.dataset.dataset(tmp_path / "rejected").to_table().to_pylist()
    assert (rejected["id"], rejected["reason"]) == (DATA.train.ids[0], "owner is null")


@pytest.mark.parametrize("method", ["owner_knn_shapley", "owner_sum_of_points"])
def test_owner_job__a_table_without_owners_is_told(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    assert command("value", *_words(folder, tmp_path, "plain", method)) == InputError.exit_code
    err = capsys.readouterr().err
    assert "a column 'owner' (owner)" in err
    assert "publish_all_values" not in err


@pytest.mark.long
def test_regression_job__predicts_numbers_and_has_no_classes(command: Command, folder: Path, tmp_path: Path) -> None:
    more = ["--k", 3, "--empty_utility", "formula", "--on_bad_row", "reject"]
    words = _words(folder, tmp_path, "numbers", "knn_regression_shapley", *more, validation="targets")
    assert command("value", *words) == 0
    record, values, report = _results(tmp_path)
    x, rows = _good(DATA.train, 3)
    ids = [DATA.train.ids[row] for row in rows]
    labels = [values[row]["label"] for row in ids]
    targets = pa.dataset.dataset(folder / "targets.parquet").to_table()["label"].to_pylist()
    local = dvspark.value_arrays(
        x, labels, DATA.validation.x, targets, method="knn_regression_shapley", k=3, train_ids=ids
    )
    np.testing.assert_allclose([values[row]["value"] for row in ids], local, rtol=0, atol=1e-12)
    assert (record["inputs"]["n_classes"], record["inputs"]["train"]["types"]["label"]) == (None, "double")
    assert record["inputs"]["train"]["n_rejected"] == 1
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
    assert "Values by class" not in report
    (rejected,) = pa.dataset.dataset(tmp_path / "rejected").to_table().to_pylist()
    assert (rejected["id"], rejected["reason"]) == (DATA.train.ids[3], "label is NaN or infinity")


def test_regression_job__words_are_no_numbers(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("value", *_words(folder, tmp_path, "plain", "knn_regression_shapley")) == InputError.exit_code
    assert "a number, which regression predicts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "said"),
    [("weighed", "weight is negative, NaN or infinity in 1 rows"), ("plain", "a column 'weight' (weight)")],
)
def test_weighted_job__weights_must_be_there_and_not_negative(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], train: str, said: str
) -> None:
    assert command("value", *_words(folder, tmp_path, train, "weighted_knn_shapley")) == InputError.exit_code
    assert said in capsys.readouterr().err


def test_cleanlab_job__has_one_table(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--train", folder / "plain.parquet", "--output", tmp_path, "--run_id", "run"]
    words += ["--method", "cleanlab_knn_shapley"]
    both = command("value", *words, "--validation", folder / "validation.parquet")
    assert both == ConfigError.exit_code
    assert "not both" in capsys.readouterr().err
    assert command("value", *words, "--k", N_TRAIN) == ConfigError.exit_code
    assert f"at most the {N_TRAIN - 1} other rows" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

    assert command("value", *words, "--k", 4) == 0
    record, values, _ = _results(tmp_path)
    arrays, given = DATA.arrays(self_validation=True)
    local = dvspark.value_arrays(*arrays, **given, method="cleanlab_knn_shapley", k=4)
    np.testing.assert_allclose([values[row]["value"] for row in DATA.train.ids], local, rtol=0, atol=1e-12)
    assert record["self_validation"] is True
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}


def test_gradient_job__is_one_game_without_errors(command: Command, folder: Path, tmp_path: Path) -> None:
    assert command("value", *_words(folder, tmp_path, "plain", "chg_shapley")) == 0
    record, values, report = _results(tmp_path)
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, method="chg_shapley")
    np.testing.assert_allclose([values[one]["value"] for one in DATA.train.ids], local, rtol=0, atol=1e-12)
    assert {row["standard_error"] for row in values.values()} == {None}
    assert [finding["name"] for finding in record["findings"]] == ["finite", "sample", "efficiency", "head"]
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
    assert f"on {N_TRAIN} rows" in record["findings"][-1]["meaning"]
    assert not (tmp_path / "runs" / "run" / "totals.npz").exists()
    assert "chg_shapley" in report


def test_gradient_job__of_one_table_aims_at_its_own_mean(command: Command, folder: Path, tmp_path: Path) -> None:
    words = ["--train", folder / "plain.parquet", "--self_validation", "true", "--output", tmp_path, "--run_id", "run"]
    assert command("value", *words, "--method", "chg_shapley") == 0
    _, values, _ = _results(tmp_path)
    arrays, given = DATA.arrays(self_validation=True)
    local = dvspark.value_arrays(*arrays, **given, method="chg_shapley")
    np.testing.assert_allclose([values[one]["value"] for one in DATA.train.ids], local, rtol=0, atol=1e-12)


def test_gradient_job__of_rows_with_several_labels_is_refused(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = [[label] for label in DATA.train.labels], [[label] for label in DATA.validation.labels]
    write_parquet(folder / "several.parquet", DATA.train, label=several[0])
    write_parquet(folder / "severally.parquet", DATA.validation, label=several[1])
    words = _words(folder, tmp_path, "several", "chg_shapley", validation="severally")
    assert command("value", *words) == ConfigError.exit_code
    assert "choose one label of each row" in capsys.readouterr().err
    assert not (tmp_path / "values").exists()


WEIGHTS = [0.0, 0.5, 1.0, 2.5] * 3
BUYERS = ["acme", "b's", "acme", "b's", "zoo", "zoo"] * 2


@pytest.mark.long
def test_grouped_job__has_the_same_bits_on_both_engines_and_plans(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = write_parquet(tmp_path / "train.parquet", DATA.train, owner=OWNERS)
    place = write_parquet(tmp_path / "validation.parquet", DATA.validation, counts=WEIGHTS, buyer=BUYERS)
    settings = {
        "train": {"path": train, "owner": "owner"},
        "validation": {"path": place, "weight": "counts", "task": "buyer"},
        "k": 3,
        "chunk_rows": 2,
        "error_bound": True,
        "by_class": True,
        "report": False,
    }
    found = {}
    with open_local_session() as local:
        for name, session, plan in (("local", local, "auto"), ("one", spark, "replicated"), ("many", spark, "sharded")):
            output = {"output": {"path": str(tmp_path / name)}, "plan": plan}
            if name == "one":  # as if there were too many validation rows for the driver to hold
                monkeypatch.setattr("dvspark.engine.replicated.chunk_frames.HELD_BYTES", 0)
            record = pipeline.run(load_config(None, {**settings, **output}), session)
            assert {finding["verdict"] for finding in record["findings"]} == {"pass"}
            assert [one["task"] for one in record["tasks"]] == ["acme", "b's", "zoo"]
            found[name] = record["values_sha256"], record["by_task_sha256"]
            monkeypatch.undo()
    assert found["one"] == found["local"]
    assert found["many"] == found["local"]

    values = pq.read_table(record["outputs"]["values"]).sort_by("id")
    each = [_valued_by([row]) for row in range(N_VALIDATION)]
    expected = np.array(WEIGHTS) @ each / sum(WEIGHTS)
    np.testing.assert_allclose(values["value"], expected, rtol=0, atol=1e-14)


@pytest.mark.long
def test_value_table__tells_tasks_apart_by_a_column(spark: SparkSession) -> None:
    train_df, validation_df = frames_of(spark, DATA)
    rows = list(zip(DATA.validation.ids, WEIGHTS, BUYERS, strict=True))
    beside = validation_df.join(spark.createDataFrame(rows, "id string, w double, b string"), "id")
    result = dvspark.value_table(train_df, beside, k=3, validation_weights="w", validation_tasks="b")
    assert result.by_task is not None
    zoo = [row for row, buyer in enumerate(BUYERS) if buyer == "zoo"]
    weights = np.array(WEIGHTS)[zoo]
    expected = weights @ [_valued_by([row]) for row in zoo] / weights.sum()
    found = result.by_task.where("task = 'zoo'").toArrow().sort_by("id")
    np.testing.assert_allclose(found["value"], expected, rtol=0, atol=1e-14)
    with pytest.raises(ConfigError, match="validation_weights"):
        dvspark.value_table(train_df, self_validation=True, validation_weights="w")
    with pytest.raises(InputError, match=r"a column 'w' \(weight\)"):
        dvspark.value_table(train_df, validation_df, validation_weights="w")


def _valued_by(rows: list[int]) -> np.ndarray:
    """Return the values by some validation rows, in the order of the training ids."""
    points = DATA.validation.take(rows)
    values = dvspark.value_arrays(
        DATA.train.x, DATA.train.labels, points.x, points.labels, k=3, train_ids=DATA.train.ids
    )
    return values[np.argsort(DATA.train.ids)]
