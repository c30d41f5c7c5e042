"""Rows that Arrow reads from Parquet files are those that were written, whatever the file's layout."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_versions import READS_FIXED_NULLS
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import InputError
from dvspark.schemas.arrow import arrow_type
from dvspark.tables.sources import parts, row_files
from dvspark.tables.sources.row_files import RowFiles, parts_of
from dvspark.tables.sources.types import spark_type

# Types a file may have, and as what dvspark uses them.
IDS = {pa.int8(): "bigint", pa.int32(): "bigint", pa.int64(): "bigint", pa.string(): "string"}
IDS |= {pa.large_string(): "string"}
EMBEDDINGS = {pa.list_(pa.float32()): "array<float>", pa.large_list(pa.float64()): "array<double>"}
EMBEDDINGS |= {pa.list_(pa.float32(), 2): "array<float>", pa.binary(): "binary", pa.large_binary(): "binary"}
LABELS = {pa.int16(): "bigint", pa.string(): "string", pa.list_(pa.int32()): "array<bigint>", pa.float32(): "double"}
LABELS |= {pa.list_(pa.string()): "array<string>"}
WEIGHTS = {pa.float32(): "double", pa.int64(): "double"}  # of which a double does not hold all
COLUMNS = {"id": IDS, "embedding": EMBEDDINGS, "label": LABELS, "weight": WEIGHTS}


def _cells(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_fixed_size_list(kind):
        vectors = st.lists(_cells(kind.value_type), min_size=2, max_size=2)
        return st.none() | vectors if READS_FIXED_NULLS else vectors
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return st.none() | st.lists(_cells(kind.value_type), max_size=3)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return st.none() | st.binary(max_size=9)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return st.none() | st.text(max_size=4)
    if pa.types.is_floating(kind):
        return st.none() | st.floats(width=32, allow_nan=False)
    largest = 2 ** (kind.bit_width - 1) - 1
    return st.none() | st.integers(-largest, largest)


@st.composite
def tables(draw: Any) -> tuple[pa.Table, dict[str, str]]:
    """Draw a table of up to nine rows of any of the types, and as what its columns are used."""
    n = draw(st.integers(0, 9))
    kinds = {name: draw(st.sampled_from(list(known))) for name, known in COLUMNS.items()}
    columns = {
        name: pa.array(draw(st.lists(_cells(kind), min_size=n, max_size=n)), kind) for name, kind in kinds.items()
    }
    return pa.table(columns), {name: COLUMNS[name][kind] for name, kind in kinds.items()}


def _stored(table: pa.Table) -> dict[str, str]:
    kinds = {field.name: spark_type(field.type) for field in table.schema}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _read(files: RowFiles, columns: list[str]) -> pa.Table:
    batches = [batch for part in files.parts for batch in files.read(part, columns)]
    schema = pa.schema([(column, arrow_type(files.types[column])) for column in columns])
    return pa.Table.from_batches(batches, schema)


@given(
    given_table=tables(),
    group_rows=st.integers(1, 9),
    part_bytes=st.sampled_from([1, 200, 2**25]),
    batch_bytes=st.sampled_from([1, 60, 2**22]),
    compression=st.sampled_from(["none", "snappy", "zstd"]),
    dictionary=st.booleans(),
    page=st.sampled_from(["1.0", "2.0"]),
)
def test_read__gives_the_rows_that_were_written(
    given_table: tuple[pa.Table, dict[str, str]],
    group_rows: int,
    part_bytes: int,
    batch_bytes: int,
    compression: str,
    dictionary: bool,
    page: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    table, types = given_table
    path = str(tmp_path_factory.mktemp("rows") / "a b%20c.parquet")
    layout = {"compression": compression, "use_dictionary": dictionary, "data_page_version": page}
    pq.write_table(table, path, row_group_size=group_rows, **layout)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_files, "PART_BYTES", part_bytes)
        patched.setattr(row_files, "BATCH_BYTES", batch_bytes)
        parts = parts_of(path, _stored(table))
    assert parts is not None
    files = RowFiles(tuple(parts), {name: name for name in types}, types)
    assert files.n_rows == len(table)
    expected = {name: table[name].combine_chunks().cast(arrow_type(kind), safe=False) for name, kind in types.items()}
    for columns in (list(types), ["embedding", "id"]):
        assert _read(files, columns).equals(pa.table({column: expected[column] for column in columns}))


@pytest.mark.parametrize("repeated", [False, True])
def test_parts_of__hold_some_megabytes_each_and_every_row_group_once(tmp_path: Path, repeated: bool) -> None:
    x = np.random.default_rng(0).standard_normal((5_000, 64)).astype(np.float32) * (not repeated)
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 64)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"embedding": embedding}), path, row_group_size=100, use_dictionary=repeated)
    assert (path.stat().st_size < x.nbytes / 10) == repeated
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_files, "PART_BYTES", 2**18)
        patched.setattr(row_files, "BATCH_BYTES", 2**14)
        parts = parts_of(str(path), {"embedding": "array<float>"})
    assert parts is not None
    assert [group for part in parts for group in part.row_groups] == list(range(50))
    assert all(2**17 <= part.n_rows * 256 <= 2**19 for part in parts[:-1])
    assert all(2**13 <= part.batch_rows * 256 <= 2**14 for part in parts)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("other", pa.int64()),  # not there
        ("id", pa.int32()),  # of another type than Spark has found in another file
        ("id", pa.uint64()),  # which Spark takes for decimals
        ("id", pa.decimal128(9, 0)),  # which Spark rounds in its own way
        ("id", pa.timestamp("us")),
    ],
)
def test_parts_of__none_where_a_column_is_not_in_the_file_as_spark_sees_it(
    tmp_path: Path, column: str, kind: pa.DataType
) -> None:
    pq.write_table(pa.table({column: pa.array([1], kind)}), tmp_path / "x.parquet")
    assert parts_of(str(tmp_path / "x.parquet"), {"id": "bigint"}) is None


def test_parts_of__refuses_rows_of_more_numbers_than_anybody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_files, "MOST_NUMBERS", 1_000)
    for n_numbers in (1_000, 1_001):
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(3 * n_numbers, np.float32)), n_numbers)
        path = tmp_path / f"{n_numbers}.parquet"
        pq.write_table(pa.table({"embedding": embedding}), path, compression="zstd")
        assert path.stat().st_size < 2_000
    assert parts_of(str(tmp_path / "1000.parquet"), {"embedding": "array<float>"})
    with pytest.raises(InputError, match="3003 in 3 rows"):
        parts_of(str(tmp_path / "1001.parquet"), {"embedding": "array<float>"})


@pytest.mark.parametrize("as_dictionary", [True, False])
def test_read__looks_at_long_words_before_rows_repeat_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_dictionary: bool
) -> None:
    monkeypatch.setattr(parts, "LARGE_WORDS", 5_000)
    words, path = ["a" * 10_000, "b", None, ""] * 25, str(tmp_path / "x.parquet")
    pq.write_table(pa.table({"label": words}), path, use_dictionary=as_dictionary, compression="zstd")
    files = RowFiles(tuple(parts_of(path, {"label": "string"}) or ()), {"label": "label"}, {"label": "string"})
    assert _read(files, ["label"])["label"].to_pylist() == words
    monkeypatch.setattr(row_files, "MOST_WORD_BYTES", 200_000)
    with pytest.raises(InputError, match="250025 bytes in 100 rows"):
        _read(files, ["label"])


def test_row_files__none_where_spark_is_on_another_machine(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "x.parquet")
    uri = (tmp_path / "x.parquet").as_uri()
    schema = SimpleNamespace(
        fields=[SimpleNamespace(name="id", dataType=SimpleNamespace(simpleString=lambda: "bigint"))]
    )
    for module, found in (("pyspark.sql.classic.dataframe", True), ("pyspark.sql.connect.dataframe", False)):
        kind = type("DataFrame", (), {"__module__": module, "inputFiles": lambda _: [uri], "schema": schema})
        assert (row_files.row_files(kind(), {"id": "id"}, {"id": "bigint"}) is not None) is found


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_parts_of__none_of_what_is_no_parquet_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    assert parts_of(str(tmp_path / "x.parquet"), {"id": "bigint"}) is None


@pytest.mark.parametrize("damage", ["gone", "cut", "zeros"])
def test_read__names_a_file_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": np.arange(10_000)}), path, use_dictionary=False, compression="zstd")
    files = RowFiles(tuple(parts_of(str(path), {"id": "bigint"}) or ()), {"id": "id"}, {"id": "bigint"})
    content = path.read_bytes()
    path.write_bytes(content[:50] if damage == "cut" else b"\0" * (len(content) - 500) + content[-500:])
    if damage == "gone":
        path.unlink()
    with pytest.raises(InputError, match=r"x\.parquet.*\n.*write this file again"):
        list(files.read(files.parts[0], ["id"]))


@pytest.mark.skipif(READS_FIXED_NULLS, reason="this pyarrow reads them")
def test_nulls_among_lists_of_a_fixed_size__tell_which_pyarrow_reads_them(tmp_path: Path) -> None:
    place = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2))}), place)
    files = RowFiles(tuple(parts_of(str(place), {"x": "array<double>"}) or ()), {"x": "x"}, {"x": "array<double>"})
    with pytest.raises(InputError, match="install pyarrow 26 or later"):
        _read(files, ["x"])
