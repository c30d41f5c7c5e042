"""`dvspark clean` gives a table back in the format in which it was reviewed, whole, and the original beside it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dvspark.cli.front import main

N = 40
# Two classes apart, two rows with the other's label, and a copy of row 0.
X = np.repeat(np.eye(2), N // 2, axis=0) * 9 + np.random.default_rng(4).normal(0, 0.3, (N, 2)).round(3)
X[1] = X[0]
Y = np.repeat([0, 1], N // 2)
Y[[5, 30]] = [1, 0]
NOTES = [None if n % 7 == 0 else "" if n % 7 == 1 else f'n°{n}, "quoted"\nline' for n in range(N)]

Rows = list[dict[str, Any]]


def table() -> pa.Table:
    embedding = pa.FixedSizeListArray.from_arrays(X.astype(np.float32).ravel(), 2).cast(pa.list_(pa.float32()))
    return pa.table(
        {
            "id": np.arange(N, dtype=np.int32),
            "embedding": embedding,
            "label": pa.array(Y, pa.int16()),
            "note": NOTES,
            "half": pa.array(["a", "b"] * (N // 2)),
        }
    )


def write_csv(folder: Path) -> list[str]:
    """Write cells that a reader of numbers would write otherwise: 007, and spaces around a label."""
    (folder / "train").mkdir()
    cells = {
        "id": [f"{n:03d}" for n in range(N)],
        "embedding_0": [f"{x:.4f}" for x in X[:, 0]],
        "embedding_1": [str(x) for x in X[:, 1]],
        "label": [f" {y}" for y in Y],
        "note": NOTES,
    }
    with gzip.open(folder / "train" / "rows.csv.gz", "wb") as file:
        pyarrow.csv.write_csv(pa.table(cells), file)
    return ["--train", str(folder / "train"), "--train.format", "csv"]


def read_csv(place: Path) -> Rows:
    convert = pyarrow.csv.ConvertOptions(
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types=dict.fromkeys(("id", "embedding_0", "embedding_1", "label", "note"), pa.string()),
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    rows: Rows = []
    for file in sorted(place.iterdir()):
        rows += pyarrow.csv.read_csv(file, convert_options=convert, parse_options=parse).to_pylist()
    return rows


def write_numpy(folder: Path) -> list[str]:
    pq.write_table(table().drop_columns(["embedding"]), folder / "train.parquet")
    np.save(folder / "x.npy", X.astype(np.float16))
    return ["--train", str(folder / "train.parquet"), "--train.embedding_file", str(folder / "x.npy")]


def read_numpy(place: Path) -> Rows:
    (numbers,) = place.glob("*.npy")
    (rows,) = place.glob("*.parquet")
    x = np.load(numbers)
    assert x.dtype == np.float16
    return [{**row, "embedding": e.tolist()} for row, e in zip(pq.read_table(rows).to_pylist(), x, strict=True)]


def write_parquet(folder: Path) -> list[str]:
    pq.write_to_dataset(table(), folder / "train", partition_cols=["half"])
    return ["--train", str(folder / "train")]


def read_parquet(place: Path) -> Rows:
    return [{**row, "half": str(row["half"])} for row in pq.read_table(place).to_pylist()]


def write_delta(folder: Path) -> list[str]:
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(str(folder / "train"), table(), partition_by=["half"])
    return ["--train", str(folder / "train"), "--train.format", "delta"]


def read_delta(place: Path) -> Rows:
    import deltalake

    found = deltalake.DeltaTable(str(place))
    assert found.metadata().partition_columns == ["half"]
    return found.to_pyarrow_table().to_pylist()


def write_iceberg(folder: Path) -> list[str]:
    sql = pytest.importorskip("pyiceberg.catalog.sql")
    catalog = sql.SqlCatalog("test", uri="sqlite:///:memory:", warehouse=folder.as_uri())
    catalog.create_namespace("db")
    made = catalog.create_table("db.train", table().schema.set(2, pa.field("label", pa.int32())))
    made.append(table().set_column(2, "label", pa.array(Y, pa.int32())))
    catalog.close()
    return ["--train", made.metadata_location.removeprefix("file://"), "--train.format", "iceberg"]


def read_iceberg(place: Path) -> Rows:
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(str(place)).scan().to_arrow().to_pylist()


FORMS: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path], Rows]]] = {
    "csv": (write_csv, read_csv),
    "numpy": (write_numpy, read_numpy),
    "parquet": (write_parquet, read_parquet),
    "delta": (write_delta, read_delta),
    "iceberg": (write_iceberg, read_iceberg),
}


def by_id(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: int(row["id"]))


@pytest.mark.parametrize("form", FORMS)
def test_clean__writes_the_format_that_it_reads(form: str, tmp_path: Path) -> None:
    write, read = FORMS[form]
    train = write(tmp_path)
    words = ["review", *train, "--output", str(tmp_path / "out"), "--engine", "local", "--report", "false"]
    assert main([*words, "--run_id", "first", "--k", "3"]) == 0
    assert main(["clean", str(tmp_path / "out" / "runs" / "first"), "--output", str(tmp_path / "new")]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["changes.csv", "cleaned", "original"]
    for source in (tmp_path / "train", tmp_path / "db", tmp_path / "x.npy", tmp_path / "train.parquet"):
        shutil.rmtree(source) if source.is_dir() else source.unlink(missing_ok=True)  # nothing refers to what was read
    original, cleaned = (by_id(read(tmp_path / "new" / name)) for name in ("original", "cleaned"))
    assert [int(row["id"]) for row in original] == [*range(N)]
    assert [int(row["label"]) for row in original] == Y.tolist()
    assert [row["note"] for row in original] == NOTES
    review = pq.read_table(tmp_path / "out" / "review" / "run_id=first", partitioning=None).to_pylist()
    assert {row["decision"] for row in review} >= {"keep", "relabel", "drop"}
    expected = []
    for row, decided in zip(original, review, strict=True):
        if decided["decision"] == "relabel":
            new = decided["suggested_label"]
            expected.append({**row, "label": str(new) if form == "csv" else new})
        elif decided["decision"] != "drop":
            expected.append(row)
    assert cleaned == expected


@pytest.mark.parametrize("form", FORMS)
def test_cleaned_table__can_be_valued_as_the_original(form: str, tmp_path: Path) -> None:
    write, _ = FORMS[form]
    out = ["--output", str(tmp_path / "out"), "--engine", "local", "--report", "false"]
    train = write(tmp_path)
    assert main(["review", *train, *out, "--run_id", "first", "--k", "3"]) == 0
    assert main(["clean", str(tmp_path / "out" / "runs" / "first"), "--output", str(tmp_path / "new")]) == 0
    for name in ("cleaned", "original"):
        place = tmp_path / "new" / name
        again = ["--train", str(place), "--train.format", "parquet" if form == "numpy" else form]
        if form == "numpy":
            (numbers,), (rows,) = place.glob("*.npy"), place.glob("*.parquet")
            again = ["--train", str(rows), "--train.embedding_file", str(numbers)]
        words = ["value", *again, "--self_validation", "true", "--k", "3", "--run_id", name, *out]
        assert main(words) == 0, name
    values = [
        pq.read_table(tmp_path / "out" / "values" / f"run_id={run}", partitioning=None) for run in ("original", "first")
    ]
    assert values[0].sort_by("id")["value"].equals(values[1].sort_by("id")["value"])
