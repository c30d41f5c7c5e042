"""A reviewed job and `dvspark clean`, without Spark: the table as decided, or as a person edited the decisions."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import datasets

import dvspark
from dvspark.cli.front import main
from dvspark.review import clean

N = 400


def table(x: np.ndarray, labels: Any, ids: list[str]) -> pa.Table:
    embedding = pa.FixedSizeListArray.from_arrays(x.astype(np.float32).ravel(), x.shape[1]).cast(pa.list_(pa.float32()))
    return pa.table({"id": ids, "embedding": embedding, "label": labels, "note": [f"note {one}" for one in ids]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training table, of which some labels are wrong and some rows are copies, and its reviewed run."""
    folder = tmp_path_factory.mktemp("reviewed")
    x, truth = datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(N) < 0.1, (truth[:N] + 1) % 10, truth[:N])
    rows = np.r_[np.arange(N), np.arange(20)]
    train = table(x[rows], pa.array(y[rows], pa.int32()), [f"row{n:03d}" for n in range(len(rows))])
    pq.write_table(train, folder / "train.parquet")
    pq.write_table(table(x[N:600], pa.array(truth[N:600]), [f"v{n}" for n in range(200)]), folder / "valid.parquet")
    words = ["review", "--train", str(folder / "train.parquet"), "--output", str(folder / "out"), "--engine", "local"]
    assert main([*words, "--run_id", "alone", "--report", "false"]) == 0
    validation = ["--validation", str(folder / "valid.parquet")]
    assert main([*words, *validation, "--run_id", "judged"]) == 0
    return folder


def review_of(folder: Path, run_id: str) -> pa.Table:
    return pq.read_table(folder / "out" / "review" / f"run_id={run_id}", partitioning=None)


def test_reviewed_job__takes_the_radius_that_is_given(folder: Path) -> None:
    words = ["review", "--train", str(folder / "train.parquet"), "--output", str(folder / "near"), "--engine", "local"]
    # Digits lie some 20 apart and more; the table's own radius finds the 20 rows that are there twice.
    assert main([*words, "--duplicate_radius", "18", "--report", "false"]) == 0
    (path,) = (folder / "near" / "review").iterdir()
    train = pq.read_table(folder / "train.parquet")
    expected = dvspark.review_arrays(
        train["embedding"], train["label"], train_ids=train["id"], duplicate_radius=18
    ).table.sort_by("id")
    found = pq.read_table(path, partitioning=None).sort_by("id")
    assert found["duplicate_of"].to_pylist() == expected["duplicate_of"].to_pylist()
    assert found["decision"].to_pylist() == expected["decision"].to_pylist()
    assert found["duplicate_of"].null_count < review_of(folder, "alone")["duplicate_of"].null_count == N
    (record,) = (folder / "near" / "runs").glob("*/run.json")
    assert json.loads(record.read_text())["review"]["duplicate_radius"] == 18


@pytest.mark.parametrize("run_id", ["alone", "judged"])
def test_reviewed_job__decides_as_the_review_of_arrays_does(folder: Path, run_id: str) -> None:
    train, found = pq.read_table(folder / "train.parquet"), review_of(folder, run_id)
    arrays: tuple[Any, ...] = (train["embedding"], train["label"])
    options: dict[str, Any] = {"train_ids": train["id"]}
    if run_id == "judged":
        validation = pq.read_table(folder / "valid.parquet")
        arrays = (*arrays, validation["embedding"], validation["label"])
        options["validation_ids"] = validation["id"]
    expected = dvspark.review_arrays(*arrays, **options)
    others = [name for name in expected.table.column_names if name not in ("value", "standard_error")]
    for name in others:
        assert found[name].to_pylist() == expected.table[name].to_pylist(), name
    record = json.loads((folder / "out" / "runs" / run_id / "run.json").read_text())
    assert record["review"]["decisions"] == expected.counts()
    assert record["outputs"]["review"].endswith(f"review/run_id={run_id}")
    values = pq.read_table(folder / "out" / "values" / f"run_id={run_id}", partitioning=None)
    assert dict(zip(values["id"].to_pylist(), values["value"].to_pylist(), strict=True)) == dict(
        zip(found["id"].to_pylist(), found["value"].to_pylist(), strict=True)
    )


def test_a_review__is_another_run_than_the_values_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--train", str(folder / "train.parquet"), "--self_validation", "true", "--output", str(folder / "out")]
    assert main(["value", *words, "--run_id", "alone", "--engine", "local"]) == 4
    capfd.readouterr()
    assert main(["review", *words, "--run_id", "alone", "--engine", "local", "--report", "false"]) == 0
    assert "next: dvspark clean" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--metric", "inner_product"], "a distance, for a review"),
        (["--method", "knn_regression_shapley"], "values rows by their labels"),
        (["--review_k", "0"], "review_k"),
        (["--duplicate_radius", "-1"], "duplicate_radius"),
        (["--duplicate_radius", "near"], "duplicate_radius"),
    ],
)
def test_reviewed_job__refuses_what_cannot_be_reviewed(
    folder: Path, more: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["review", "--train", str(folder / "train.parquet"), "--output", str(folder / "none")]
    assert main([*words, *more]) == 2
    assert said in capfd.readouterr().err


def test_clean__writes_the_table_as_decided_and_a_log(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run, review = str(folder / "out" / "runs" / "judged"), review_of(folder, "judged").to_pylist()
    assert main(["clean", run, "--dry-run"]) == 0
    said = capfd.readouterr().out
    assert "nothing written" in said
    assert f"next: dvspark clean {run} --output FOLDER" in said
    assert main(["clean", run, "--output", str(tmp_path / "new")]) == 0
    before, after = pq.read_table(folder / "train.parquet"), pq.read_table(tmp_path / "new" / "cleaned")
    assert after.schema.equals(before.schema)
    labels = {row["id"]: row["suggested_label"] for row in review if row["decision"] == "relabel"}
    expected = [
        {**row, "label": labels.get(row["id"], row["label"])}
        for row, decided in zip(before.to_pylist(), review, strict=True)
        if decided["decision"] != "drop"
    ]
    assert after.to_pylist() == expected
    assert len(after) <= N
    with (tmp_path / "new" / "changes.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    changed = [row for row in review if row["decision"] in ("drop", "relabel")]
    assert [(line["id"], line["decision"], line["reason"]) for line in log] == [
        (row["id"], row["decision"], row["reason"]) for row in changed
    ]
    assert main(["clean", run, "--output", str(tmp_path / "new")]) == 4  # nothing is overwritten


def test_clean__of_two_at_once_one_is_told_that_the_other_came_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["clean", str(folder / "out" / "runs" / "judged"), "--output", str(tmp_path / "new")]
    write, others = clean.write_whole, list[int]()

    def late(*args: Any) -> None:
        if not others:
            others.append(-1)
            others[0] = main(words)
        write(*args)

    monkeypatch.setattr(clean, "write_whole", late)
    assert (main(words), others) == (4, [0])
    assert "a place where nothing is" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_clean__what_a_killed_one_left_goes_with_the_next_one(folder: Path, tmp_path: Path) -> None:
    words = ["clean", str(folder / "out" / "runs" / "judged"), "--output", str(tmp_path / "new")]
    code = f"""
import os
from dvspark.cli.front import main
from dvspark.review import clean
clean.write_whole = lambda *_: os._exit(9)
main({words!r})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    assert main(words) == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_clean__follows_the_decisions_of_a_person(folder: Path, tmp_path: Path) -> None:
    run, review = str(folder / "out" / "runs" / "judged"), review_of(folder, "judged")
    kept = review.filter(pa.compute.equal(review["decision"], "keep"))["id"].to_pylist()[:2]
    (relabeled,) = review.filter(pa.compute.equal(review["decision"], "relabel")).slice(0, 1).to_pylist()
    decisions = tmp_path / "decisions.csv"
    lines = [f"{kept[0]},drop,", f"{kept[1]},relabel,7", f"{relabeled['id']},keep,{relabeled['suggested_label']}"]
    decisions.write_text("id,decision,suggested_label\r\n" + "\r\n".join(lines) + "\r\n")
    assert main(["clean", run, "--output", str(tmp_path / "new"), "--decisions", str(decisions)]) == 0
    after = {row["id"]: row["label"] for row in pq.read_table(tmp_path / "new" / "cleaned").to_pylist()}
    assert kept[0] not in after
    assert after[kept[1]] == 7
    assert after[relabeled["id"]] == relabeled["label"]
    log = (tmp_path / "new" / "changes.csv").read_text()
    assert f"{kept[0]},drop," in log
    assert str(decisions) in log


def test_clean__refuses_decisions_all_at_once(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run, decisions = str(folder / "out" / "runs" / "judged"), tmp_path / "decisions.csv"
    lines = ["nobody,keep,", "row001,remove,", "row002,relabel,seven", "row003,keep,", "row003,drop,"]
    decisions.write_text("id,decision,suggested_label\n" + "\n".join(lines) + "\n")
    assert main(["clean", run, "--output", str(tmp_path / "new"), "--decisions", str(decisions)]) == 3
    said = capfd.readouterr().err
    assert all(f"line {number}" in said for number in (2, 3, 4, 6))
    assert not (tmp_path / "new").exists()
    decisions.write_text("name\nrow001\n")
    assert main(["clean", run, "--dry-run", "--decisions", str(decisions)]) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "RUN"),
        (["somewhere", "--dry-run"], 2, "the run that was published last"),
        (["{out}/runs/nobody", "--dry-run"], 2, "a published run"),
        (["{out}/runs/alone"], 2, "--output"),
    ],
)
def test_clean__refuses_words_and_runs(
    folder: Path, words: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", *(word.format(out=folder / "out") for word in words)]) == code
    assert said in capfd.readouterr().err


def test_clean__refuses_a_table_that_lost_reviewed_rows(folder: Path, tmp_path: Path) -> None:
    path = folder / "train.parquet"
    whole = path.read_bytes()
    try:
        pq.write_table(pq.read_table(path).slice(5), path)
        assert main(["clean", str(folder / "out" / "runs" / "alone"), "--output", str(tmp_path / "new")]) == 3
        assert not (tmp_path / "new").exists()
    finally:
        path.write_bytes(whole)


def test_review__that_is_not_the_one_published_is_refused_by_all_who_read_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(folder / "out", out)
    file = next((out / "review" / "run_id=alone").glob("*.parquet"))
    rows = pq.read_table(file, partitioning=None)
    decisions = pa.array(["drop", *rows["decision"].to_pylist()[1:]])
    pq.write_table(rows.set_column(rows.schema.get_field_index("decision"), "decision", decisions), file)
    again = ["review", "--train", str(folder / "train.parquet"), "--output", str(out), "--engine", "local"]
    for words in (
        ["clean", f"{out}/runs/alone", "--output", str(tmp_path / "clean.parquet")],
        ["report", f"{out}/runs/alone", "--to", str(tmp_path / "report.html")],
        [*again, "--run_id", "alone", "--report", "false"],
    ):
        assert main(words) == 4, words
        assert "the review that it has published" in capsys.readouterr().err
    assert not (tmp_path / "clean.parquet").exists()
    assert main([*again, "--run_id", "alone", "--report", "false", "--force"]) == 0
    assert review_of(tmp_path, "alone").equals(review_of(folder, "alone"))
