"""`dvspark evaluate` on tables: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvspark.cli import evaluate, main
from dvspark.cli.declared import QUESTIONS

METHODS = "knn_shapley:k=3,threshold_knn_shapley:radius=6"


def write_rows(path: Path, n: int, seed: int, as_bytes: bool = False) -> None:
    """Write rows of two classes that lie far apart."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = (draw.normal(size=(n, 3)) + 10 * y[:, None]).astype(np.float32)
    embedding = pa.array([row.tobytes() for row in x], pa.binary()) if as_bytes else pa.array(x.tolist())
    table = {"id": np.arange(n), "embedding": embedding, "label": np.array(["b", "a"])[y]}
    pq.write_table(pa.table(table), path)


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    write_rows(tmp_path / "train.parquet", 150, 0)
    write_rows(tmp_path / "validation.parquet", 50, 1)
    sides = [word for side in ("train", "validation") for word in (f"--{side}", str(tmp_path / f"{side}.parquet"))]
    return [*sides, "--methods", METHODS, "--seeds", "1"]


@pytest.mark.long
@pytest.mark.parametrize("question", sorted(set(QUESTIONS) - {"subsets"}))
def test_evaluate__answers_each_question(question: str, tables: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    if question in ("removal", "compare"):
        pytest.importorskip("sklearn")
    methods = "knn_shapley,threshold_knn_shapley:radius=6"
    words = [methods if word == METHODS else word for word in tables]
    assert main(["evaluate", question, *words, "--k", "3", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    first = next(iter(found["tables"].values()))
    beside = {"review"} if question == "removal" else set()
    assert {row["method"] for row in first} == {*methods.split(","), *beside}
    assert found["settings"]["methods"]["knn_shapley"]["k"] == 3


def test_evaluate__of_subsets_trains_by_the_criteria_asked_for(
    tables: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ("--criteria", "random,chg", "--shares", "0.2,0.5", "--epochs", "4", "--every", "2", "--batch-rows", "16")
    assert main(["evaluate", "subsets", *tables, *asked, "--share", "0.2", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    rows = found["tables"]["subsets"]
    assert [(row["criterion"], row["share"]) for row in rows] == [
        ("random", 0.2), ("random", 0.5), ("chg", 0.2), ("chg", 0.5)
    ]  # fmt: skip
    assert all(row["accuracy"] > 0.9 for row in rows)
    assert found["settings"]["training"] == {"epochs": 4, "every": 2, "batch_rows": 16, "learning_rate": 1.0}
    assert found["settings"]["protocol"]["share"] == 0.2
    assert main(["evaluate", "subsets", *tables, "--criteria", "chance"]) == 2
    assert "one of" in capfd.readouterr().err
    assert main(["evaluate", "subsets", *tables, "--shares", "few"]) == 2
    assert "a number" in capfd.readouterr().err


def test_evaluate__writes_once_and_never_over_what_is_there(
    tables: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "found"
    assert main(["evaluate", "detect", *tables, "--output", str(folder)]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names >= {"evaluation.json", "detection.csv", "curves.csv", "trials.csv"}
    assert "detection" in capfd.readouterr().out
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["evaluate", "detect", *tables, "--output", str(folder)]) == 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    for name in kept:  # what is left is somebody else's, and no file of ours would be written over
        (folder / name).unlink()
    (folder / "notes.txt").write_text("mine")
    assert main(["evaluate", "detect", *tables, "--output", str(folder)]) == 4
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_evaluate__bytes_are_read_as_numbers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = []
    for as_bytes in (False, True):
        write_rows(tmp_path / "t.parquet", 80, 0, as_bytes)
        write_rows(tmp_path / "v.parquet", 30, 1, as_bytes)
        words = ["--train", str(tmp_path / "t.parquet"), "--validation", str(tmp_path / "v.parquet")]
        assert main(["evaluate", "detect", *words, "--methods", "knn_shapley", "--seeds", "1", "--json"]) == 0
        said.append(json.loads(capfd.readouterr().out)["tables"]["trials"])
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["detekt"], 2, "did you mean 'detect'"),
        ([], 2, "expected: QUESTION: detect"),
        (["detect", "--train", "x"], 2, "one of them"),
        (["detect", "--seeds", "0"], 2, "a whole number from 1"),
        (["detect", "--share", "much"], 2, "a number"),
        (["detect", "--share", "1"], 2, "--share"),
        (["detect", "--methods", "knn"], 2, "did you mean"),
        (["detect", "--protocol", "planes"], 2, "--protocol"),
        (["detect", "--train", "/nowhere", "--validation", "/nowhere"], 3, "/nowhere"),
    ],
)
def test_evaluate__refuses(words: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words]) == code
    assert said in capfd.readouterr().err


def test_evaluate__labels_that_are_sets_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"id": [1, 2], "embedding": [[1.0], [2.0]], "label": [["a"], ["a", "b"]]})
    pq.write_table(table, tmp_path / "t.parquet")
    words = ["--train", str(tmp_path / "t.parquet"), "--validation", str(tmp_path / "t.parquet")]
    assert main(["evaluate", "detect", *words]) == 3
    assert "one label a row" in capfd.readouterr().err


def test_evaluate__a_folder_that_another_evaluation_will_write_to_is_refused_at_once(
    tables: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second of two is told before its work, not after it."""
    words, read, others = ["evaluate", "detect", *tables, "--output", str(tmp_path / "out")], evaluate.read_labeled, [0]

    def late(side: str, *others_of: Any) -> Any:
        others[0] = others[0] or main(words)
        return read(side, *others_of)

    monkeypatch.setattr(evaluate, "read_labeled", late)
    assert (main(words), others) == (0, [4])
    assert "another evaluation" in capfd.readouterr().err
    assert [*(tmp_path / "out").iterdir()]


@pytest.mark.parametrize("command", [["evaluate", "detect"], ["select", "--method", "chg", "--share", "0.5"]])
def test_labeled_tables__bytes_that_may_be_of_another_type_are_refused_as_a_job_refuses_them(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float16 numbers read as float32 would be half as many numbers, and garbage."""
    monkeypatch.chdir(tmp_path)
    draw, found = np.random.default_rng(0), []
    for side in ("train", "validation"):
        x = draw.normal(size=(60, 8)).astype(np.float16)
        keys = {"id": np.arange(60), "label": np.arange(60) % 2}
        halves = pa.array([row.tobytes() for row in x], pa.binary())
        pq.write_table(pa.table({**keys, "embedding": halves}), f"{side}-bytes.parquet")
        pq.write_table(pa.table({**keys, "embedding": pa.array(x.astype(np.float32).tolist())}), f"{side}.parquet")

    def words(kind: str) -> list[str]:
        return [*command, "--train", f"train{kind}.parquet", "--validation", f"validation{kind}.parquet"]

    assert main(words("-bytes")) == 3
    assert "set --embedding-dtype to float16" in capfd.readouterr().err
    for place, asked in enumerate((words(""), [*words("-bytes"), "--embedding-dtype", "float16"])):
        beside = ["--to", f"kept{place}"] if command[0] == "select" else ["--json"]
        assert main([*asked, *beside]) == 0
        told = capfd.readouterr().out
        found.append(
            Path(f"kept{place}.csv").read_text()
            if command[0] == "select"
            else [{**row, "seconds": 0} for row in json.loads(told)["tables"]["detection"]]
        )
    assert found[0] == found[1]


def test_labeled_tables__bad_rows_are_named_and_csv_is_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"r{n},{n % 2},{n % 2}.5,{n}" for n in range(40)]
    head = "id,label,embedding_0,embedding_1"
    Path("good.csv").write_text("\n".join([head, *rows]) + "\n")
    Path("bad.csv").write_text("\n".join([head, *rows, "r7,1,2,", "r50,,1,1", "r51,1,1e30,1"]) + "\n")
    words = ["evaluate", "detect", "--format", "csv", "--validation", "good.csv", "--seeds", "1"]
    assert main([*words, "--train", "bad.csv"]) == 3
    said = capfd.readouterr().err
    assert "1 ids more than once; the first: 'r7'" in said
    assert "label is null in 1 rows; the first: 'r50'" in said
    assert "what to do: scale the embeddings down" in said
    assert not any(one in said for one in ("on_bad_row", "precision"))
    assert main([*words, "--train", "good.csv"]) == 0
