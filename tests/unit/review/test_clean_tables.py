"""`dvspark clean` loses nothing of tables whose files, folders or columns are not as the first file has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from arrow_versions import writes_views

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


@writes_views
def test_columns_of_types_that_only_arrow_has__are_kept(tmp_path: Path) -> None:
    words = pa.array([f"n{row % 3}" for row in range(N)])
    more = {"note": words.cast(pa.string_view()), "raw": words.cast(pa.binary_view()), "group": words}
    tags = [[f"n{row}", None] if row % 3 else None for row in range(N)]
    more |= {"tags": pa.array(tags, pa.list_(pa.string_view())), "pair": pa.array(tags, pa.list_(pa.string_view(), 2))}
    more["notes"] = pa.array([{"en": f"n{row}"} for row in range(N)], pa.struct([("en", pa.string_view())]))
    more["by_name"] = pa.array([[("a", f"n{row}")] for row in range(N)], pa.map_(pa.string_view(), pa.string_view()))
    given = table(**more, kind=words.dictionary_encode(), count=pa.array(range(N), pa.uint8()))
    given = given.set_column(2, "label", words.take(pa.array(Y)).dictionary_encode())
    write(tmp_path / "train.parquet", given)
    decisions = cleaned(tmp_path, "--train", str(tmp_path / "train.parquet"))
    found = pq.read_table(tmp_path / "new" / "cleaned")
    assert found.schema.equals(given.schema)
    assert by_id(found.to_pylist()) == decided(given.to_pylist(), decisions)


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
            own = str(label) if decision == "relabel" else cells[3]
            expected.append([*cells[:3], own, *cells[4:], "01" if row < HALF else "1"])
    assert [list(row) for row in zip(*(column.to_pylist() for column in found.columns), strict=True)] == expected


def iceberg(folder: Path, rows: pa.Table) -> list[str]:
    sql = pytest.importorskip("pyiceberg.catalog.sql")
    catalog = sql.SqlCatalog("test", uri="sqlite:///:memory:", warehouse=folder.as_uri())
    catalog.create_namespace("db")
    made = catalog.create_table("db.train", rows.schema)
    made.append(rows)
    catalog.close()
    return ["--train", made.metadata_location.removeprefix("file://"), "--train.format", "iceberg"]


def read_iceberg(place: Path) -> Rows:
    from pyiceberg.table import StaticTable

    return by_id(StaticTable.from_metadata(str(place)).scan().to_arrow().to_pylist())


def test_iceberg_columns__whose_names_files_cannot_have_are_kept(tmp_path: Path) -> None:
    rows = table(**{"my note": [f"n{row}" for row in range(N)], "1é-x": np.arange(N)})
    decisions = cleaned(tmp_path, *iceberg(tmp_path, rows))
    original = read_iceberg(tmp_path / "new" / "original")
    assert original == rows.to_pylist()
    assert read_iceberg(tmp_path / "new" / "cleaned") == decided(original, decisions)


def test_iceberg_tables__are_read_at_places_that_no_uri_names(tmp_path: Path) -> None:
    words = iceberg(tmp_path, table())
    folder = tmp_path / "set #1 é%20?"
    folder.mkdir()
    decisions = cleaned(folder, *words)
    assert read_iceberg(folder / "new" / "cleaned") == decided(table().to_pylist(), decisions)


def delta(folder: Path) -> list[str]:
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(str(folder / "train"), table())
    return ["--train", str(folder / "train"), "--train.format", "delta"]


def test_delta_tables__are_not_written_where_deltalake_writes_elsewhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cleaned(tmp_path, *delta(tmp_path))
    place = tmp_path / "x[1]%20"
    assert main(["clean", str(tmp_path / "out" / "runs" / "first"), "--output", str(place)]) == 2
    assert "escapes such as %20" in capfd.readouterr().err
    assert not place.exists()


def test_delta_tables__on_a_full_disk_end_with_a_message(tmp_path: Path) -> None:
    cleaned(tmp_path, *delta(tmp_path))
    run, place = str(tmp_path / "out" / "runs" / "first"), tmp_path / "other"
    script = (
        "import resource, sys; from dvspark.cli.front import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        f"sys.exit(main(['clean', {run!r}, '--output', {str(place)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "a folder that can be made" in ended.stderr
    assert not place.exists()


def test_files_that_broke_since_the_review__are_told_without_a_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notes = [str(n) * 500 for n in np.random.default_rng(0).random(N)]
    path = tmp_path / "train.parquet"
    pq.write_table(table(note=notes), path, compression="none")
    cleaned(tmp_path, "--train", str(path))
    column = pq.ParquetFile(path).metadata.row_group(0).column(3)
    start = column.dictionary_page_offset or column.data_page_offset
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 64)
    assert main(["clean", str(tmp_path / "out" / "runs" / "first"), "--output", str(tmp_path / "other")]) == 3
    said = capfd.readouterr().err
    assert "the table that was reviewed" in said
    assert "Traceback" not in said
    assert not (tmp_path / "other").exists()
