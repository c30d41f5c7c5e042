"""Tables that this process reads itself: the same columns and rows as Spark's, or a refusal that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_versions import writes_views
from lake_tables import open_catalog, write_delta, write_iceberg

from dvspark.errors import Problem
from dvspark.local.session import LocalSession
from dvspark.local.workers import Workers
from dvspark.tables.sources.not_local import NotLocalError
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows

SESSION = LocalSession(Workers("nothing", 1))
X = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))


def _write(place: Path, **columns: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": [1, 2], "embedding": X, "label": ["a", "b"], **columns}), place)


def _read(place: Path, **given: Any) -> Rows | list[Problem]:
    return read_rows(SESSION, "train", TableReference(path=str(place), **given), "label")


def _rows(found: Rows | list[Problem]) -> list[dict[str, Any]]:
    assert isinstance(found, Rows), found
    return pa.Table.from_batches(found.frame.read(list(found.types))).to_pylist()  # type: ignore[union-attr]


def test_rows__have_fixed_names_and_types_in_the_order_of_the_files(tmp_path: Path) -> None:
    _write(tmp_path / "b.parquet", id=pa.array([3, 4], pa.int16()))
    _write(tmp_path / "a.parquet", id=pa.array([1, 2], pa.int16()))
    _write(tmp_path / "_hidden.parquet")
    _write(tmp_path / ".hidden.parquet")
    found = _read(tmp_path)
    assert [row["id"] for row in _rows(found)] == [1, 2, 3, 4]
    assert isinstance(found, Rows)
    assert found.types == {"id": "bigint", "embedding": "array<float>", "label": "string"}
    assert found.source["n_files"] == 2
    assert found.first(["label"], 3).to_pydict() == {"label": ["a", "b", "a"]}
    found.require_unchanged()


def test_rows__columns_of_folder_names_are_read_as_spark_reads_them(tmp_path: Path) -> None:
    for year, label in ((2025, "x"), (2026, "__HIVE_DEFAULT_PARTITION__")):
        place = tmp_path / f"owner={year}" / f"label={label}" / "part.parquet"
        place.parent.mkdir(parents=True)
        pq.write_table(pa.table({"id": [year, -year], "embedding": X}), place)
    found = _read(tmp_path, owner="owner")
    assert isinstance(found, Rows)
    assert (found.types["owner"], found.types["label"]) == ("bigint", "string")
    assert [(row["owner"], row["label"]) for row in _rows(found)] == [(2025, "x")] * 2 + [(2026, None)] * 2


@pytest.mark.parametrize("kind", [pa.list_(pa.float16()), pa.list_(pa.float16(), 2)], ids=str)
def test_rows__of_float16_are_refused_for_spark_cannot_read_them_either(tmp_path: Path, kind: pa.DataType) -> None:
    """The advice was to take Spark, which refused them, too."""
    _write(tmp_path / "t.parquet", embedding=pa.array([np.array(row, np.float16) for row in X.to_pylist()], kind))
    found = _read(tmp_path)
    assert isinstance(found, list)
    assert "halffloat" in found[0].got
    assert "as `dvspark import table` does" in found[0].hint


def test_rows__two_columns_of_one_name_are_told_as_such(tmp_path: Path) -> None:
    """They were files that cannot be read."""
    table = pa.table({"id": [1, 2], "embedding": X, "label": ["a", "b"]})
    pq.write_table(table.append_column("label", table["label"]), tmp_path / "t.parquet")
    found = _read(tmp_path)
    assert isinstance(found, list)
    assert found[0].got == "2 columns 'label'"
    pq.write_table(table.append_column("a", table["id"]).append_column("a", table["id"]), tmp_path / "t.parquet")
    assert len(_rows(_read(tmp_path))) == 2


def test_rows__bytes_of_a_declared_type_are_numbers(tmp_path: Path) -> None:
    held = [b"\x00\x3c\x00\x40", None]
    _write(tmp_path / "t.parquet", embedding=pa.array(held, pa.binary()))
    found = _read(tmp_path, embedding_dtype="float16")
    assert [row["embedding"] for row in _rows(found)] == [[1.0, 2.0], None]
    assert isinstance(found, Rows)
    assert found.types["embedding"] == "array<float>"


@pytest.mark.parametrize(
    ("column", "stored", "read_as"),
    [
        ("label", pa.array(["b", None]).dictionary_encode(), "string"),  # pandas' categories
        ("label", pa.array(["b", None]).cast(pa.dictionary(pa.int8(), pa.large_string())), "string"),
        ("label", pa.array([7, None]).dictionary_encode(), "bigint"),
        pytest.param("label", pa.array(["b", None], pa.string_view()), "string", marks=writes_views),
        pytest.param(
            "label", pa.array([["b", "c"], None], pa.list_(pa.string_view())), "array<string>", marks=writes_views
        ),
        ("label", pa.array([255, None], pa.uint8()), "bigint"),
        ("label", pa.array([2**16 - 1, 0], pa.uint16()), "bigint"),
        ("label", pa.array([[2**32 - 1], [0, 1]], pa.list_(pa.uint32())), "array<bigint>"),
        ("embedding", pa.array([b"\0\0\x80?", None], pa.binary(4)), "binary"),
        pytest.param("embedding", pa.array([b"\0\0\x80?", None], pa.binary_view()), "binary", marks=writes_views),
        ("embedding", pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((2, 3), np.float32)), "array<float>"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_rows__of_types_that_only_arrow_has_are_those_that_spark_reads(
    tmp_path: Path, column: str, stored: pa.Array, read_as: str
) -> None:
    _write(tmp_path / "t.parquet", **{column: stored})
    found = _read(tmp_path)
    assert [row[column] for row in _rows(found)] == stored.to_pylist()
    assert isinstance(found, Rows)
    assert found.types[column] == read_as


def test_rows__of_integers_beyond_bigint_are_refused_as_on_spark(tmp_path: Path) -> None:
    _write(tmp_path / "t.parquet", id=pa.array([1, 2**64 - 1], pa.uint64()))
    found = _read(tmp_path)
    assert isinstance(found, list)
    assert [(one.got, one.hint) for one in found] == [("decimal(20,0)", "cast it to string")]


@pytest.mark.parametrize("labels", [[0, -1], [[0], [1, -1]]], ids=["one", "several"])
@pytest.mark.parametrize("write_statistics", [True, False])
def test_rows__without_a_class_are_refused_whatever_files_tell_of_it(
    tmp_path: Path, labels: list[Any], write_statistics: bool
) -> None:
    names = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}
    good = pa.table({"id": [1, 2], "embedding": X, "label": labels[:1] * 2})
    bad = pa.table({"id": [3, 4], "embedding": X, "label": labels})
    pq.write_table(good, tmp_path / "a.parquet")
    pq.write_table(good.replace_schema_metadata({"huggingface": json.dumps(names)}), tmp_path / "b.parquet")
    assert len(_rows(_read(tmp_path))) == 4
    pq.write_table(bad, tmp_path / "c.parquet", write_statistics=write_statistics, row_group_size=1)
    found = _read(tmp_path)
    assert isinstance(found, list)
    assert found[0].got == f"-1, which means no label, in {tmp_path / 'c.parquet'}"


def test_rows__of_no_rows_are_an_empty_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "embedding": X[:1], "label": ["a"]}).slice(0, 0), tmp_path / "t.parquet")
    assert _rows(_read(tmp_path)) == []


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"format": "json"}, "train.format"),
        ({"format": "orc"}, "train.format"),
        ({"path": None, "table": "a.b"}, "of Spark's catalogs"),
        ({"path": "hdfs://nowhere/t"}, "files of this machine"),
    ],
)
def test_tables__that_only_spark_reads_are_refused(tmp_path: Path, reference: dict[str, Any], said: str) -> None:
    _write(tmp_path / "t.parquet")
    with pytest.raises(NotLocalError, match=said) as refused:
        read_rows(SESSION, "train", TableReference(**{"path": str(tmp_path), **reference}))
    assert "engine: spark" in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "named"),
    [(pa.decimal128(10, 2), r"w decimal\(10,2\)"), (pa.uint64(), r"w decimal\(20,0\)")],
    ids=["decimals", "unsigned"],
)
def test_tables__with_decimals_are_refused_by_the_name_of_the_column(
    tmp_path: Path, kind: pa.DataType, named: str
) -> None:
    _write(tmp_path / "t.parquet", w=pa.array([1, 2], pa.int64()).cast(pa.decimal128(21, 2)).cast(kind))
    with pytest.raises(NotLocalError, match=named):
        _read(tmp_path / "t.parquet", weight="w")


def test_tables__whose_rows_spark_would_fill_up_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", owner=["x", "y"])
    _write(tmp_path / "b.parquet")
    with pytest.raises(NotLocalError, match="each with the same columns"):
        _read(tmp_path, owner="owner")
    assert len(_rows(_read(tmp_path))) == 4


@pytest.mark.parametrize("damage", [b"", b"PAR1 and then nothing of a Parquet file"])
def test_tables__with_a_damaged_file_name_it(tmp_path: Path, damage: bytes) -> None:
    """Such a file is no more Spark's to read than this process's."""
    _write(tmp_path / "a.parquet")
    _write(tmp_path / "b.parquet")
    (tmp_path / "b.parquet").write_bytes(damage or (tmp_path / "b.parquet").read_bytes()[:-9])
    found = _read(tmp_path)
    assert isinstance(found, list)
    assert [(problem.expected, "b.parquet" in problem.got) for problem in found] == [("whole Parquet files", True)]


@pytest.mark.parametrize(
    ("name", "hint"), [("t.csv", "train.format to csv"), ("t.CSV.gz", "to csv"), ("t", "what it is")]
)
def test_tables__of_another_format_than_is_set_are_refused_without_spark(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / name).write_text("id,embedding_0,label\n1,0.5,a\n")
    found = _read(tmp_path / name)
    assert isinstance(found, list)
    assert [problem.expected for problem in found] == ["Parquet files"]
    assert hint in found[0].hint


def test_tables__that_are_wrong_are_told(tmp_path: Path) -> None:
    _write(tmp_path / "t.parquet", label=[1.5, 2.5])
    found = _read(tmp_path, id="name")
    assert isinstance(found, list)
    assert [problem.expected.split(",")[0] for problem in found] == ["a column 'name' (id)", "a string"]
    missing = _read(tmp_path / "missing")
    assert isinstance(missing, list)
    assert missing[0].expected == "a table that exists"
    (tmp_path / "empty.parquet").touch()
    empty = _read(tmp_path)
    assert isinstance(empty, list)
    assert "without a byte" in empty[0].got


def _lake_rows(labels: list[str], ids: list[int]) -> pa.Table:
    return pa.table({"id": ids, "embedding": X, "label": labels})


def test_delta__is_read_at_its_version_with_what_its_log_tells(tmp_path: Path) -> None:
    commits = (_lake_rows(["a", "b"], [1, 2]), _lake_rows(["b", "c"], [3, 4]))
    place = Path(write_delta(tmp_path / "t", *commits, partition_by=["label"]))
    found = _read(place, format="delta")
    assert isinstance(found, Rows)
    rows = {row["id"]: row["label"] for row in _rows(found)}
    assert rows == {1: "a", 2: "b", 3: "b", 4: "c"}
    assert found.source == {"format": "delta", "version": 1, "n_files": 4, "reader": "log"}
    assert len(_rows(_read(place, format="delta", version=0))) == 2
    plain = _read(place)
    assert isinstance(plain, list)
    assert "format delta" in plain[0].got


def test_iceberg__is_read_at_its_snapshot(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "lake")
    table = write_iceberg(catalog, "t", _lake_rows(["a", "b"], [1, 2]), _lake_rows(["b", "c"], [3, 4]))
    found = _read(table.metadata_location, format="iceberg")
    assert isinstance(found, Rows)
    assert {row["id"]: row["label"] for row in _rows(found)} == {1: "a", 2: "b", 3: "b", 4: "c"}
    assert found.source["snapshot_id"] == table.current_snapshot().snapshot_id
    first = table.snapshots()[0].snapshot_id
    assert len(_rows(_read(table.metadata_location, format="iceberg", snapshot=first))) == 2
