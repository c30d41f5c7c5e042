"""`dvspark pay` and `dvspark select`: on a published run and on files; what they write, and never overwrite."""

from __future__ import annotations

import csv
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import Side, write_parquet

import dvspark
from dvspark.cli import main


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run with owners."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    labels = [f"class {row % 3}" for row in range(60)]
    train = Side(list(range(40)), x[:40], labels[:40])
    owners = [f"owner {row % 4}" for row in range(40)]
    words = ["--train", write_parquet(folder / "train.parquet", train, owner=owners), "--train.owner", "owner"]
    validation = Side(list(range(40, 60)), x[40:], labels[40:])
    words += ["--validation", write_parquet(folder / "validation.parquet", validation)]
    words += ["--output", str(folder / "out"), "--k", "3", "--report", "false", "--engine", "local"]
    assert main(["value", *words]) == 0
    return folder / "out"


def rows_of(place: Path) -> list[dict[str, str]]:
    with place.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_pay__splits_a_budget_by_owner_in_cents(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["pay", str(results), "--budget", "9999.99", "--by", "owner", "--to", "paid"]) == 0
    said = capsys.readouterr().out
    assert "an owner who splits gains nothing" in said
    rows = rows_of(tmp_path / "paid.csv")
    assert sum(Decimal(row["payout"]) for row in rows) == Decimal("9999.99")
    assert [row["id"] for row in rows] == [f"owner {n}" for n in range(4)]
    values = dvspark.read_values(str(results))
    owners = np.array(values["owner"].to_pylist())
    for row in rows:
        assert float(row["value"]) == pytest.approx(values["value"].to_numpy()[owners == row["id"]].sum(), abs=1e-15)
        assert int(row["rank_low"]) <= int(row["rank"]) <= int(row["rank_high"])
    assert [float(row["payout"]) for row in rows] == pq.read_table(tmp_path / "paid.parquet")["payout"].to_pylist()


def test_pay__never_overwrites(results: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "paid.csv").write_text("mine")
    assert main(["pay", str(results), "--budget", "1", "--to", str(tmp_path / "paid")]) == 4
    assert "nothing is overwritten" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["paid.csv"]
    assert (tmp_path / "paid.csv").read_text() == "mine"


def test_pay__takes_given_values_and_lets_negative_ones_owe(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "given.csv").write_text("id,value\na,3\nb,-1\n")
    words = ["pay", str(tmp_path / "given.csv"), "--budget", "10", "--decimals", "0", "--to"]
    assert main([*words, str(tmp_path / "one"), "--negative", "owes"]) == 0
    capsys.readouterr()
    assert main([*words, str(tmp_path / "two")]) == 0
    assert capsys.readouterr().out.startswith("10  a\n1 of 2 are paid")
    assert [row["payout"] for row in rows_of(tmp_path / "one.csv")] == ["15", "-5"]
    assert [row["payout"] for row in rows_of(tmp_path / "two.csv")] == ["10", "0"]
    assert [row["rank_low"] for row in rows_of(tmp_path / "two.csv")] == ["", ""]


def test_select__keeps_a_share_of_each_label(results: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["select", str(results), "--share", "0.5", "--by", "label", "--to", str(tmp_path / "kept")]) == 0
    said = capsys.readouterr().out
    assert "20 of 40 are selected" in said
    assert "class 0: 7 of 14" in said
    kept = pq.read_table(tmp_path / "kept.parquet")
    assert kept.column_names == ["id", "label", "owner", "value", "weight"]
    assert len(rows_of(tmp_path / "kept.csv")) == len(kept) == 20


def test_select__says_one_row_as_one(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "given.csv").write_text("id,value\na,3\nb,-1\n")
    assert main(["select", str(tmp_path / "given.csv"), "--rows", "1", "--to", str(tmp_path / "kept")]) == 0
    assert "1 of 2 is selected" in capsys.readouterr().out


def test_select__buys_within_a_budget(results: Path, tmp_path: Path, capsys: Any) -> None:
    pq.write_table(pa.table({"id": range(40), "price": [1.5] * 40}), tmp_path / "prices.parquet")
    words = ["select", str(results), "--costs", str(tmp_path / "prices.parquet"), "--cost-column", "price"]
    assert main([*words, "--budget", "6", "--by", "owner", "--to", str(tmp_path / "kept")]) == 0
    assert sorted(row["owner"] for row in rows_of(tmp_path / "kept.csv")) == [f"owner {n}" for n in range(4)]
    assert main([*words, "--budget", "5", "--by", "owner", "--to", str(tmp_path / "less")]) == 2
    assert "a row of each of 4 groups" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pay"], 2, "OUTPUT/runs/RUN_ID"),
        (["pay", "nowhere", "--budget", "5"], 2, "no published run"),
        (["pay", "RESULTS", "--budget", "much"], 2, "an amount of money"),
        (["pay", "RESULTS", "--budget", "1e400"], 2, "10^15 units"),
        (["pay", "RESULTS", "--budget", "-1"], 2, "from 0"),
        (["pay", "RESULTS", "--budget", "5", "--by", "label"], 2, "'owner'"),
        (["pay", "RESULTS", "--budget", "5", "--decimals", "1.5"], 2, "a whole number from 0 to 12"),
        (["pay", "RESULTS", "--budget", "5", "--negative", "gets"], 2, "pays-nothing"),
        (["pay", "none.csv", "--budget", "5"], 3, "a CSV or Parquet file"),
        (["select", "RESULTS"], 2, "one of --rows, --share, --budget"),
        (["select", "RESULTS", "--rows", "5", "--share", "0.5"], 2, "--rows, --share"),
        (["select", "RESULTS", "--rows", "4.5"], 2, "a whole number"),
        (["select", "RESULTS", "--rows", "many"], 2, "a number"),
        (["select", "RESULTS", "--share", "1.5"], 2, "up to 1"),
        (["select", "RESULTS", "--budget", "5"], 2, "only one of them"),
        (["select", "RESULTS", "--rows", "5", "--by", "id"], 2, "'label'"),
    ],
)
def test_market_commands__tell_what_is_wrong(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main([str(results) if word == "RESULTS" else word for word in words]) == code
    assert said in json.loads(capsys.readouterr().err.strip().splitlines()[-1])["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["pay", "--budget", "5"], ["select", "--rows", "5"], ["report"]], ids=" ".join)
def test_commands__show_no_hidden_values_together(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str]
) -> None:
    """Each owner of a private run has a folder, since all values together tell what noise does not hide."""
    tables = [f"{results.parent}/{name}.parquet" for name in ("train", "validation")]
    of_job = ["--train", tables[0], "--validation", tables[1], "--train.owner", "owner", "--engine", "local"]
    of_job += ["--method", "dp_threshold_knn_shapley", "--radius", "2", "--epsilon", "5", "--delta", "1e-3"]
    monkeypatch.chdir(tmp_path)
    assert main(["value", *of_job, "--output", "hidden"]) == 0
    assert main(["value", *of_job, "--output", "shown", "--publish_all_values", "true"]) == 0
    capsys.readouterr()
    assert main([words[0], "hidden", *words[1:], "--to", "rows"]) == 2
    assert "may be shown together" in json.loads(capsys.readouterr().err.strip().splitlines()[-1])["message"]
    assert not list(tmp_path.glob("rows*"))
    assert main([words[0], "shown", *words[1:], "--to", "rows"]) == 0


# --- pay by one task --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_tasks(results: Path) -> Path:
    """The output folder of a run whose validation rows have tasks."""
    folder, buyers = results.parent, [("b/uyer", "zoo")[row % 3 == 0] for row in range(20)]
    table = pq.read_table(folder / "validation.parquet").append_column("buyer", pa.array(buyers))
    pq.write_table(table, folder / "buyers.parquet")
    words = ["--train", str(folder / "train.parquet"), "--train.owner", "owner"]
    words += ["--validation", str(folder / "buyers.parquet"), "--validation.task", "buyer"]
    words += ["--output", str(folder / "by_buyers"), "--k", "3", "--report", "false", "--engine", "local"]
    assert main(["value", *words]) == 0
    return folder / "by_buyers"


def test_pay__by_one_task_of_a_run(
    with_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pay", str(with_tasks), "--budget", "100", "--by", "owner", "--task", "b/uyer"]) == 0
    (place,) = tmp_path.glob("payouts-*-b_uyer.csv")
    paid = {row["id"]: row for row in rows_of(place)}
    (by_task,) = with_tasks.glob("by_task/run_id=*")
    rows = pq.read_table(by_task).to_pylist()
    for owner, row in paid.items():
        total = sum(one["value"] for one in rows if one["task"] == "b/uyer" and one["owner"] == owner)
        assert float(row["value"]) == pytest.approx(total, abs=1e-15)
    assert sum(Decimal(row["payout"]) for row in paid.values()) == 100
    capsys.readouterr()
    assert main(["pay", str(with_tasks), "--budget", "100", "--task", "acme"]) == 2
    assert "'b/uyer', 'zoo'" in capsys.readouterr().err
    assert main(["pay", "values.csv", "--budget", "100", "--task", "acme"]) == 2


def test_pay__refuses_values_by_task_that_were_changed(with_tasks: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(with_tasks, copied)
    (file,) = copied.glob("by_task/*/*.parquet")
    table = pq.read_table(file)
    pq.write_table(table.set_column(2, "value", pa.array([1.0] * len(table))), file)
    assert main(["pay", str(copied), "--budget", "100", "--task", "zoo", "--to", str(tmp_path / "paid")]) == 4


def test_pay__of_a_run_without_tasks_says_how_to_get_them(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pay", str(results), "--budget", "100", "--task", "zoo", "--to", str(tmp_path / "paid")]) == 2
    assert "validation.task" in capsys.readouterr().err
