"""`dvspark clean` loses nothing of tables whose files, folders or columns are not as the first file has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dvspark.cli.front import main

N = 40
X = np.repeat(np.eye(2), N // 2, axis=0) * 9 + np.random.default_rng(4).normal(0, 0.3, (N, 2)).round(3)
X[1] = X[0]
Y = np.repeat([0, 1], N // 2)
Y[[5, 30]] = [1, 0]
HALF = N // 2

Rows = list[dict[str, Any]]


def table(**more: Any) -> pa.Table:
    embedding = pa.FixedSizeListArray.from_arrays(X.astype(np.float32).ravel(), 2).cast(pa.list_(pa.float32()))
    return pa.table({"id": np.arange(N), "embedding": embedding, "label": pa.array(Y), **more})


def cleaned(folder: Path, *train: str) -> dict[int, tuple[str, Any]]:
    """Review and clean a table; return the decisions and suggested labels by id."""
    out = folder / "out"
    words = ["review", *train, "--output", str(out), "--engine", "local", "--report", "false", "--k", "3"]
    assert main([*words, "--run_id", "first"]) == 0
    assert main(["clean", str(out / "runs" / "first"), "--output", str(folder / "new")]) == 0
    review = pq.read_table(out / "review" / "run_id=first", partitioning=None).to_pylist()
    return {int(row["id"]): (row["decision"], row["suggested_label"]) for row in review}


def decided(rows: Rows, decisions: dict[int, tuple[str, Any]]) -> Rows:
    found = []
    for row in rows:
        decision, label = decisions[int(row["id"])]
        if decision != "drop":
            found.append({**row, "label": label} if decision == "relabel" else row)
    assert len(found) < len(rows)
    return found


def by_id(rows: Sequence[dict[str, Any]]) -> Rows:
    return sorted(rows, key=lambda row: int(row["id"]))


def write(path: Path, rows: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)


def test_columns_that_only_later_files_have__are_kept(tmp_path: Path) -> None:
    notes = [f"n{row}" for row in range(N)]
    write(tmp_path / "train" / "a.parquet", table().slice(0, HALF))
    write(tmp_path / "train" / "b.parquet", table(note=notes).slice(HALF))
    decisions = cleaned(tmp_path, "--train", str(tmp_path / "train"))
    expected = [{**row, "note": None if row["id"] < HALF else notes[row["id"]]} for row in table().to_pylist()]
    assert by_id(pq.read_table(tmp_path / "new" / "cleaned").to_pylist()) == decided(expected, decisions)


def test_whole_numbers_of_two_widths__are_of_the_wider_one(tmp_path: Path) -> None:
    narrow, wide = pa.array(range(N), pa.int32()), pa.array([2**40] * N)
    write(tmp_path / "train" / "a.parquet", table(n=narrow).slice(0, HALF))
    write(tmp_path / "train" / "b.parquet", table(n=wide).slice(HALF))
    decisions = cleaned(tmp_path, "--train", str(tmp_path / "train"))
    expected = [{**row, "n": row["id"] if row["id"] < HALF else 2**40} for row in table().to_pylist()]
    assert by_id(pq.read_table(tmp_path / "new" / "cleaned").to_pylist()) == decided(expected, decisions)


@pytest.mark.parametrize("kind", [pa.string(), pa.float64()], ids=str)
def test_a_column_of_types_that_no_type_holds__is_refused(
    kind: pa.DataType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "train" / "a.parquet", table(n=pa.array(range(N))).slice(0, HALF))
    write(tmp_path / "train" / "b.parquet", table(n=pa.array(range(N)).cast(kind)).slice(HALF))
    words = ["review", "--train", str(tmp_path / "train"), "--output", str(tmp_path / "out"), "--engine", "local"]
    assert main([*words, "--report", "false", "--k", "3", "--run_id", "first"]) == 0
    assert main(["clean", str(tmp_path / "out" / "runs" / "first"), "--output", str(tmp_path / "new")]) == 3
    said = capfd.readouterr().err
    assert "one type for each column" in said
    assert "Traceback" not in said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("as_uri", [False, True])
def test_folder_names__keep_their_text_and_their_files(as_uri: bool, tmp_path: Path) -> None:
    for place, start in (("zip=01", 0), ("zip=1", HALF)):  # two files of one name
        write(tmp_path / "train" / place / "part.parquet", table().slice(start, HALF))
    train = tmp_path / "train"
    decisions = cleaned(tmp_path, "--train", train.as_uri() if as_uri else str(train))
    expected = [{**row, "zip": "01" if row["id"] < HALF else "1"} for row in table().to_pylist()]
    assert by_id(pq.read_table(tmp_path / "new" / "cleaned").to_pylist()) == decided(expected, decisions)
    for file in train.rglob("*.parquet"):
        copy = tmp_path / "new" / "original" / file.relative_to(train)
        assert copy.read_bytes() == file.read_bytes()


def test_labels_in_folder_names__keep_their_text(tmp_path: Path) -> None:
    labels = [f"0{label}" for label in Y]
    for label in ("00", "01"):
        rows = table().drop_columns(["label"]).filter(pa.array([one == label for one in labels]))
        write(tmp_path / "train" / f"label={label}" / "part.parquet", rows)
    decisions = cleaned(tmp_path, "--train", str(tmp_path / "train"))
    expected = [{**row, "label": labels[row["id"]]} for row in table().to_pylist()]
    assert by_id(pq.read_table(tmp_path / "new" / "cleaned").to_pylist()) == decided(expected, decisions)


def test_csv_files__keep_columns_of_one_name_and_texts_of_folder_names(tmp_path: Path) -> None:
    columns = ["id", "embedding_0", "embedding_1", "label", "x", "x"]
    rows = [[str(row), *map(str, X[row]), str(Y[row]), f"y{row}", f"z{row}"] for row in range(N)]
    for place, some in (("k=01", rows[:HALF]), ("k=1", rows[HALF:])):
        (tmp_path / "train" / place).mkdir(parents=True)
        lines = [",".join(row) for row in [columns, *some]]
        (tmp_path / "train" / place / "rows.csv").write_text("\n".join(lines))
    decisions = cleaned(tmp_path, "--train", str(tmp_path / "train"), "--train.format", "csv")
    (file,) = (tmp_path / "new" / "cleaned").iterdir()
    texts = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys([*columns, "k"], pa.string()))
    found = pyarrow.csv.read_csv(file, convert_options=texts)
    assert found.column_names == [*columns, "k"]
    expected = []
    for row, cells in enumerate(rows):
        decision, label = decisions[row]
        if decision != "drop":
            cells = [*cells[:3], str(label) if decision == "relabel" else cells[3], *cells[4:]]
            expected.append([*cells, "01" if row < HALF else "1"])
    assert [list(row) for row in zip(*(column.to_pylist() for column in found.columns), strict=True)] == expected


def test_iceberg_columns__whose_names_files_cannot_have_are_kept(tmp_path: Path) -> None:
    sql = pytest.importorskip("pyiceberg.catalog.sql")
    from pyiceberg.table import StaticTable

    rows = table(**{"my note": [f"n{row}" for row in range(N)], "1é-x": np.arange(N)})
    catalog = sql.SqlCatalog("test", uri="sqlite:///:memory:", warehouse=tmp_path.as_uri())
    catalog.create_namespace("db")
    made = catalog.create_table("db.train", rows.schema)
    made.append(rows)
    catalog.close()
    place = made.metadata_location.removeprefix("file://")
    decisions = cleaned(tmp_path, "--train", place, "--train.format", "iceberg")
    original, found = (
        by_id(StaticTable.from_metadata(str(tmp_path / "new" / name)).scan().to_arrow().to_pylist())
        for name in ("original", "cleaned")
    )
    assert original == rows.to_pylist()
    assert found == decided(original, decisions)
