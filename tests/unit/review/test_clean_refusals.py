"""What `dvspark clean` refuses or says: other tables than the one reviewed, odd decisions, and what is lost by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvspark.cli.front import main

N = 40
# Two classes apart, two rows with the other's label, and a copy of row 0.
X = np.repeat(np.eye(2), N // 2, axis=0) * 9 + np.random.default_rng(4).normal(0, 0.3, (N, 2))
X[1] = X[0]
Y = np.repeat([0, 1], N // 2)
Y[[5, 30]] = [1, 0]

Change = Callable[[pa.Table], pa.Table]


def table() -> pa.Table:
    embedding = pa.FixedSizeListArray.from_arrays(X.astype(np.float32).ravel(), 2).cast(pa.list_(pa.float32()))
    return pa.table({"id": np.arange(N, dtype=np.int32), "embedding": embedding, "label": pa.array(Y, pa.int16())})


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviewed")
    (folder / "train").mkdir()
    for part, start in (("a", 0), ("b", N // 2)):
        pq.write_table(table().slice(start, N // 2), folder / "train" / f"{part}.parquet")
    words = ["review", "--train", str(folder / "train"), "--output", str(folder / "out"), "--engine", "local"]
    assert main([*words, "--run_id", "first", "--k", "3", "--report", "false"]) == 0
    return folder


def cleaned(reviewed: Path, tmp_path: Path, csv: str | bytes | None, *more: str) -> int:
    words = ["clean", str(reviewed / "out" / "runs" / "first"), "--output", str(tmp_path / "new")]
    if csv is not None:
        path = tmp_path / "decisions.csv"
        path.write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        words += ["--decisions", str(path)]
    return main([*words, *more])


def other_label(rows: pa.Table) -> pa.Table:
    labels = np.asarray(rows["label"]).copy()
    labels[3] = 9
    return rows.set_column(2, "label", pa.array(labels, pa.int16()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_label, "1 have another label now; the first: 3"),
        (lambda rows: pa.concat_tables([rows, rows.slice(0, 2)]), "2 are there twice"),
        (lambda rows: pa.concat_tables([rows, rows.slice(0, 1).set_column(0, "id", pa.array([99], pa.int32()))]), "99"),
        (lambda rows: rows.rename_columns(["id", "embedding", "class"]), "20 have another label now"),
        (lambda rows: rows.set_column(2, "label", rows["label"].cast(pa.string())), "one type for each column"),
        (lambda rows: rows.append_column("n", rows["id"]).append_column("n", rows["id"]), "2 columns 'n'"),
    ],
    ids=["relabeled", "twice", "more", "renamed", "strings", "two notes"],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["written", "dry"])
def test_clean__of_another_table_is_refused_and_writes_nothing(
    reviewed: Path, tmp_path: Path, change: Change, said: str, dry: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    path = reviewed / "train" / "a.parquet"
    kept = path.read_bytes()
    try:
        pq.write_table(change(pq.read_table(path)), path)
        assert cleaned(reviewed, tmp_path, None, *dry) == 3
    finally:
        path.write_bytes(kept)
    assert said in capfd.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_clean__of_a_table_that_is_gone_is_refused(
    reviewed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (reviewed / "train").rename(reviewed / "elsewhere")
    try:
        assert cleaned(reviewed, tmp_path, None) == 3
    finally:
        (reviewed / "elsewhere").rename(reviewed / "train")
    assert "the table that was reviewed" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("", "an empty file"),
        ("foo;bar\n", "columns foo;bar"),
        ("id,decision,decision\n1,keep,drop\n", "each once"),
        ("id,decision\n1,keep,drop\n", "line 2"),
        ("id,decision,suggested_label\n1,keep\n", "line 2"),
        ("id,decision,suggested_label\n35,relabel,100000\n", "int16"),
        ("id,decision,suggested_label\n35,relabel,1_0\n", "no whole number"),
        ("id,decision,suggested_label\n35,relabel,99999999999999999999\n", "line 2"),
        ("id,decision,suggested_label\n35,relabel,1\n", "keep is the word"),
        ("id,decision,suggested_label\n35,relabel,\n", "keep is the word"),
        ('id,decision,note\n\n35,drop,"two\nlines"\nx,drop,\n', "line 5"),
        ("id,decision\n" + "".join(f"{row},drop\n" for row in range(N)), "a row that stays"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["written", "dry"])
def test_clean__odd_decisions_are_refused_and_write_nothing(
    reviewed: Path, tmp_path: Path, csv: str, said: str, dry: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert cleaned(reviewed, tmp_path, csv, *dry) == 3
    assert said in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["decisions.csv"]


def test_clean__says_what_decisions_lose(reviewed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    of_ones = [row for row in range(N) if (row >= N // 2 and row != 30) or row == 5]
    lines = [f"{row},drop," for row in {*of_ones, 0, 30}] + ["7,relabel,4"]
    csv = "\ufeffid,decision,suggested_label\r\n" + "\r\n".join(lines) + "\r\n"
    assert cleaned(reviewed, tmp_path, csv) == 0
    out = capfd.readouterr().out
    assert "1 class has no row any more: 1" in out
    assert "1 label is new: no row had it: 4" in out
    assert "1 row is dropped with all its copies: 0" in out
    found = pq.read_table(tmp_path / "new" / "cleaned")
    assert found.schema.equals(table().schema)
    assert f"{len(lines)} rows dropped" in out or f"{N - len(found)} rows dropped" in out
    log = (tmp_path / "new" / "changes.csv").read_text()
    assert "decided by a person" in log


def test_clean__passes_over_rows_that_a_program_for_tables_left_empty(
    reviewed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    csv = "suggested_label,decision,id\r\n,drop,7\r\n,,\r\n\r\n,,\r\n,drop,8\r\n"
    assert cleaned(reviewed, tmp_path, csv) == 0
    left = set(pq.read_table(tmp_path / "new" / "cleaned")["id"].to_pylist())
    assert set(range(N)) - left >= {7, 8}
    assert "rows dropped" in capfd.readouterr().out


def test_clean__never_writes_into_the_table(reviewed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in (reviewed / "train").iterdir())
    run = str(reviewed / "out" / "runs" / "first")
    assert main(["clean", run, "--output", str(reviewed / "train" / "inner")]) == 2
    assert "outside of the training table" in capfd.readouterr().err
    assert sorted(path.name for path in (reviewed / "train").iterdir()) == before


def test_clean__that_fails_halfway_leaves_nothing(
    reviewed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    assert cleaned(reviewed, tmp_path, None) == 2
    assert "No space left" in capfd.readouterr().err
    assert [*tmp_path.iterdir()] == []
