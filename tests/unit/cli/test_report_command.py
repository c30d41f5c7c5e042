"""`dvspark report`: the report of a published run, made anew from what the run published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import draw_data, write_parquet

from dvspark.cli import main
from dvspark.run.presenting import presenting
from dvspark.run.presenting.report_again import NEIGHBORS

DATA = draw_data(60, 20, seed=71)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of two runs, of which the later one is the latest."""
    folder = tmp_path_factory.mktemp("results")
    for side in ("train", "validation"):
        write_parquet(folder / f"{side}.parquet", getattr(DATA, side))
    tables = [word for side in ("train", "validation") for word in (f"--{side}", str(folder / f"{side}.parquet"))]
    for run_id, k in (("before", "3"), ("second", "7")):
        words = ["value", *tables, "--output", str(folder / "out"), "--run_id", run_id, "--k", k, "--engine", "local"]
        assert main(words) == 0
    return folder / "out"


def test_report__made_anew_is_the_published_one(results: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(results)]) == 0
    assert capsys.readouterr().out == "wrote report-second.html\n"
    anew = (tmp_path / "report-second.html").read_text(encoding="utf-8")
    assert anew == (results / "runs" / "second" / "report.html").read_text(encoding="utf-8")
    assert "differs" in anew


def test_report__against_another_run_says_what_differs(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.html"
    runs = results / "runs"
    words = ["report", str(runs / "second"), "--against", str(runs / "before"), "--to", str(path)]
    assert main(words) == 0
    html = path.read_text(encoding="utf-8")
    assert "Compared with run" in html
    assert "60 rows are in both runs" in html
    assert main(words) == 4
    assert main([*words, "--force"]) == 0


def test_report__of_results_in_a_folder_called_runs(results: Path, tmp_path: Path, capsys: Any) -> None:
    below = tmp_path / "runs" / "one"
    shutil.copytree(results, below)
    for named, run_id in ((below, "second"), (f"{below}/", "second"), (below / "runs" / "before", "before")):
        page = tmp_path / f"{run_id}.html"
        assert main(["report", str(named), "--to", str(page), "--force"]) == 0, capsys.readouterr().err
        assert run_id in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("folder", "named"),
    [
        (".", "runs/before"),
        (".", "./runs/before/"),
        ("runs", "before"),
        ("runs/before", "."),
        (".", "runs/before/run.json"),
    ],
)
def test_report__of_a_run_named_from_within_its_output(
    results: Path, tmp_path: Path, monkeypatch: Any, folder: str, named: str
) -> None:
    monkeypatch.chdir(results / folder)
    assert main(["report", named, "--to", str(tmp_path / "page.html")]) == 0
    assert "<title>before" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        ([], 2, "OUTPUT/runs/RUN_ID"),
        (["OUT/runs/nowhere"], 2, "a published run"),
        (["OUT", "--against", "OUT/runs/nowhere"], 2, "a published run"),
        (["OUT", "--onto", "x"], 2, "an option of dvspark report"),
    ],
)
def test_report__refusals(
    results: Path, tmp_path: Path, monkeypatch: Any, capsys: Any, words: list[str], exit_code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *(word.replace("OUT", str(results), 1) for word in words)]) == exit_code
    assert says in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_report__shows_a_column_of_the_training_table(results: Path, tmp_path: Path, capsys: Any) -> None:
    path = results.parent / "train.parquet"
    rows = pq.read_table(path)
    texts = [f"this is row {each}" for each in rows["id"].to_pylist()]
    pq.write_table(rows.append_column("words", [texts]), path)
    page = tmp_path / "shown.html"
    try:
        assert main(["report", str(results), "--show", "words", "--to", str(page)]) == 0
        assert all(text in page.read_text(encoding="utf-8") for text in texts)
        assert main(["report", str(results), "--show", "wrods", "--to", str(tmp_path / "x.html")]) == 3
        assert "a column 'wrods' to show" in capsys.readouterr().err
    finally:
        pq.write_table(rows, path)


@pytest.mark.parametrize("later", ["after the run", "while it ends"])
def test_report__shows_a_column_as_it_was_when_the_run_read_the_table(
    results: Path, tmp_path: Path, monkeypatch: Any, later: str
) -> None:
    deltalake = pytest.importorskip("deltalake")
    rows = pq.read_table(results.parent / "train.parquet")
    delta, read = str(tmp_path / "delta"), presenting.one_column

    def write(word: str) -> None:
        words = pa.array([f"{word} {number}" for number in range(rows.num_rows)])
        deltalake.write_deltalake(delta, rows.append_column("words", words), mode="overwrite")

    def late(*given: Any) -> pa.Table:
        write("other")
        return read(*given)

    write("those")
    if later == "while it ends":
        monkeypatch.setattr(presenting, "one_column", late)
    tables = ["--train", delta, "--train.format", "delta", "--validation", str(results.parent / "validation.parquet")]
    words = ["value", *tables, "--output", str(tmp_path / "out"), "--run_id", "shown", "--engine", "local"]
    assert main([*words, "--show", "words"]) == 0
    page = tmp_path / "out" / "runs" / "shown" / "report.html"
    if later == "after the run":
        write("other")
        page = tmp_path / "again.html"
        assert main(["report", str(tmp_path / "out"), "--show", "words", "--to", str(page)]) == 0
    html = page.read_text(encoding="utf-8")
    assert "those 7" in html
    assert "other 7" not in html


def test_job__shows_a_column_in_its_own_report(results: Path, tmp_path: Path, capsys: Any) -> None:
    rows = pq.read_table(results.parent / "train.parquet")
    texts = [f"this is row {each}" for each in rows["id"].to_pylist()]
    pq.write_table(rows.append_column("words", [texts]), tmp_path / "train.parquet")
    words = ["value", "--train", str(tmp_path / "train.parquet"), "--self_validation", "true", "--engine", "local"]
    words += ["--output", str(tmp_path / "out")]
    assert main([*words, "--show", "wrods"]) == 3
    assert "a column 'wrods' to show" in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs").exists()
    assert main([*words, "--show", "words", "--report", "false"]) == 2
    assert "a report" in capsys.readouterr().err
    assert main([*words, "--show", "words", "--method", "dp_threshold_knn_shapley"]) == 2
    assert "would tell of the table" in capsys.readouterr().err
    assert main([*words, "--show", "words", "--run_id", "shown"]) == 0
    page = (tmp_path / "out" / "runs" / "shown" / "report.html").read_text(encoding="utf-8")
    assert all(text in page for text in texts)


def test_report__of_neighbors_that_were_changed_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    path = results / "runs" / "before" / NEIGHBORS
    kept = path.read_bytes()
    told = json.loads(kept)
    for damaged in (kept[:-20], json.dumps({**told, "run_id": "before2"}).encode()):
        path.write_bytes(damaged)
        assert main(["report", str(results / "runs" / "before"), "--to", str(tmp_path / "x.html")]) == 4
        assert NEIGHBORS in capsys.readouterr().err
    path.write_bytes(kept)
