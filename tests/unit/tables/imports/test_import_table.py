"""`dvspark import table`: vectors in every form become the same rows, whatever the table's format."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_versions import writes_views

from dvspark.cli import main
from dvspark.errors import InputError
from dvspark.local.session import LocalSession
from dvspark.local.workers import Workers
from dvspark.tables.imports.sides import SIDES
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference

N_ROWS = 40
# Whole numbers, small: every type of numbers holds them. Half are 0, as in sparse vectors.
RNG = np.random.default_rng(3)
X = RNG.integers(-5, 6, (N_ROWS, 6)) * RNG.integers(0, 2, (N_ROWS, 6))
ML_VECTOR = pa.struct(
    [("type", pa.int8()), ("size", pa.int32()), ("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))]
)


def ml_vectors() -> pa.Array:
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(X.tolist()):
        places = [place for place, value in enumerate(row) if value]
        sparse = {"type": 0, "size": 6, "indices": places, "values": [float(row[place]) for place in places]}
        rows.append(
            sparse if number % 2 else {"type": 1, "size": None, "indices": None, "values": list(map(float, row))}
        )
    return pa.array(rows, ML_VECTOR)


def matrices() -> pa.Array:
    return pa.array(X.reshape(N_ROWS, 2, 3).tolist(), pa.list_(pa.list_(pa.float32())))


FORMS = {
    "list": lambda: pa.array(X.tolist(), pa.list_(pa.float32())),
    "large list": lambda: pa.array(X.tolist(), pa.large_list(pa.float64())),
    "fixed size": lambda: pa.FixedSizeListArray.from_arrays(pa.array(X.ravel(), pa.float32()), 6),
    "float16": lambda: pa.array(X.astype(np.float32).tolist()).cast(pa.list_(pa.float16())),
    "bytes": lambda: pa.array(X.tolist(), pa.list_(pa.int8())),
    "integers": lambda: pa.array(X.tolist(), pa.list_(pa.int64())),
    "lists of lists": matrices,
    "fixed matrices": lambda: pa.FixedSizeListArray.from_arrays(
        pa.FixedSizeListArray.from_arrays(pa.array(X.ravel(), pa.float64()), 3), 2
    ),
    "structs": lambda: pa.array([[{"v": value} for value in row] for row in X.tolist()]),
    "struct": lambda: pa.array([{"values": row} for row in X.astype(float).tolist()]),
    "ml vectors": ml_vectors,
    "tensors": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(X.reshape(N_ROWS, 2, 3).astype(np.float32)),
}


def table_of(embedding: pa.Array, label: Any = None) -> pa.Table:
    labels = [f"class {row % 3}" for row in range(N_ROWS)] if label is None else label
    return pa.table({"id": list(range(N_ROWS)), "embedding": embedding, "label": labels})


def imported(place: Path, output: Path, *words: str) -> tuple[int, pa.Table | None]:
    code = main(["import", "table", "--from", str(place), "--output", str(output), "--validation-share", "0.3", *words])
    rows = pa.concat_tables(pq.read_table(output / side) for side in SIDES).sort_by("id") if code == 0 else None
    return code, rows


@pytest.mark.parametrize("form", FORMS)
def test_vectors__of_every_form_are_the_same_rows(form: str, tmp_path: Path) -> None:
    pq.write_table(table_of(FORMS[form]()), tmp_path / "t.parquet", row_group_size=7)
    code, rows = imported(tmp_path / "t.parquet", tmp_path / "out")
    assert code == 0
    assert rows is not None
    assert rows["id"].to_pylist() == list(range(N_ROWS))
    wide = form in ("large list", "integers", "fixed matrices", "structs", "struct", "ml vectors")
    assert rows["embedding"].type == pa.list_(pa.float64() if wide else pa.float32())
    np.testing.assert_array_equal(np.stack(rows["embedding"].to_numpy()), X)


@pytest.mark.parametrize("kind", ["delta", "iceberg", "lance"])
def test_tables__of_other_formats(kind: str, tmp_path: Path) -> None:
    table = table_of(FORMS["lists of lists"]())
    place = tmp_path / "t"
    if kind == "delta":
        pytest.importorskip("deltalake").write_deltalake(str(place), table.slice(0, 15))
        pytest.importorskip("deltalake").write_deltalake(str(place), table.slice(15), mode="append")
    elif kind == "lance":
        pytest.importorskip("lance", reason="an extra that the tests' environment may lack").write_dataset(
            table, str(place)
        )
    else:
        catalogs = pytest.importorskip("pyiceberg.catalog.sql")
        catalog = catalogs.SqlCatalog("c", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
        catalog.create_namespace("n")
        made = catalog.create_table("n.t", table.schema)
        made.append(table)
        place = Path(made.location().removeprefix("file://"))
    code, rows = imported(place, tmp_path / "out", "--format", kind)
    assert code == 0
    assert rows is not None
    np.testing.assert_array_equal(np.stack(rows["embedding"].to_numpy()), X)
    assert rows["label"].to_pylist() == table["label"].to_pylist()


def test_delta__columns_that_only_the_log_has_are_imported(tmp_path: Path) -> None:
    table = table_of(FORMS["lists of lists"](), ["a b", "a%20b", "ä/é", "1"] * (N_ROWS // 4)).append_column(
        "day", pa.array([date(2026, 1, 1 + row % 2) for row in range(N_ROWS)])
    )
    pytest.importorskip("deltalake").write_deltalake(str(tmp_path / "t"), table, partition_by=["label", "day"])
    code, rows = imported(tmp_path / "t", tmp_path / "out", "--format", "delta", "--keep", "day", "--workers", "2")
    assert code == 0
    assert rows is not None
    assert rows.drop_columns("embedding").to_pylist() == table.drop_columns("embedding").to_pylist()


def test_delta__a_file_that_is_gone_stops_the_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of(FORMS["list"]())
    for some in (table.slice(0, 15), table.slice(15)):
        pytest.importorskip("deltalake").write_deltalake(str(tmp_path / "t"), some, mode="append")
    gone = sorted((tmp_path / "t").glob("*.parquet"))[0]
    gone.unlink()
    assert imported(tmp_path / "t", tmp_path / "out", "--format", "delta")[0] == 3
    assert f"1 of 2 are gone; the first: {gone}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_delta__files_that_may_be_no_longer_of_the_table_are_not_imported_as_parquet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = table_of(FORMS["list"]())
    for some in (table.slice(0, 15), table.slice(15)):
        pytest.importorskip("deltalake").write_deltalake(str(tmp_path / "t"), some, mode="overwrite")
    assert imported(tmp_path / "t", tmp_path / "out")[0] == 3
    assert "a table of format delta, whose files alone are not its rows" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_rows__are_set_aside_with_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Any] = X.reshape(N_ROWS, 2, 3).astype(float).tolist()
    rows[3], rows[5][1], rows[7][0] = None, None, [1.0]
    rows[9][0][1], rows[11][1][2] = None, float("inf")
    labels: list[Any] = [row % 3 for row in range(N_ROWS)]
    labels[13] = None
    pq.write_table(table_of(pa.array(rows), labels), tmp_path / "t.parquet", row_group_size=4)
    code, found = imported(tmp_path / "t.parquet", tmp_path / "out", "--json")
    assert code == 0
    told = json.loads(capsys.readouterr().out)["bad_lines"]
    assert told == {"a null in the embedding": 3, "not 6 numbers": 1, "a number that is not finite": 1, "no label": 1}
    assert found is not None
    assert set(range(N_ROWS)) - set(found["id"].to_pylist()) == {3, 5, 7, 9, 11, 13}
    aside = pq.read_table(tmp_path / "out" / "rejected" / "part-00000.parquet")
    assert aside["line"].to_pylist() == [4, 6, 8, 10, 12, 14]


IDS = {
    "int8": pa.array(range(N_ROWS), pa.int8()),
    "int32": pa.array(range(N_ROWS), pa.int32()),
    "uint32": pa.array(range(N_ROWS), pa.uint32()),
    "categories": pa.array(range(N_ROWS)).dictionary_encode(),
    "large text": pa.array(map(str, range(N_ROWS)), pa.large_string()),
    "views": pa.array(map(str, range(N_ROWS)), pa.string_view()),
    "words": pa.array(map(str, range(N_ROWS))).dictionary_encode(),
}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=writes_views if kind == "views" else ()) for kind in IDS])
def test_ids__of_every_type_split_the_rows_as_text_or_bigint_does(kind: str, tmp_path: Path) -> None:
    plain = pa.string() if kind in ("large text", "views", "words") else pa.int64()
    table = table_of(FORMS["list"]())
    for name, ids in (("given", IDS[kind]), ("plain", IDS[kind].cast(plain))):
        pq.write_table(table.set_column(0, "id", ids), tmp_path / f"{name}.parquet")
        assert imported(tmp_path / f"{name}.parquet", tmp_path / name)[0] == 0
    for side in SIDES:
        given, expected = (pq.read_table(tmp_path / name / side) for name in ("given", "plain"))
        assert given.equals(expected)
        assert len(given)


@writes_views
def test_columns__of_types_that_only_arrow_has(tmp_path: Path) -> None:
    words = [f"word {row % 4}" for row in range(N_ROWS)]
    table = table_of(FORMS["list"](), pa.array(words, pa.string_view()))
    table = table.append_column("kind", pa.array(words).dictionary_encode())
    table = table.append_column("raw", pa.array([word.encode() for word in words], pa.binary_view()))
    table = table.append_column("tags", pa.array([[word] for word in words], pa.list_(pa.string_view())))
    pq.write_table(table, tmp_path / "t.parquet")
    code, rows = imported(tmp_path / "t.parquet", tmp_path / "out", "--keep", "kind,raw,tags")
    assert code == 0
    assert rows is not None
    assert rows.drop_columns("embedding").to_pylist() == table.drop_columns("embedding").to_pylist()


def test_numbers__that_no_double_holds_are_rounded(tmp_path: Path) -> None:
    x = X.tolist()
    x[0][0] = 2**60 + 1
    pq.write_table(table_of(pa.array(x, pa.list_(pa.int64()))), tmp_path / "t.parquet")
    code, rows = imported(tmp_path / "t.parquet", tmp_path / "out")
    assert code == 0
    assert rows is not None
    assert rows["embedding"][0].as_py() == [float(one) for one in x[0]]


def test_rows__without_one_label_are_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels: list[Any] = [["a", "b"]] * N_ROWS
    labels[2], labels[3], labels[5] = [], ["a", None], None
    pq.write_table(table_of(FORMS["list"](), labels), tmp_path / "t.parquet")
    code, rows = imported(tmp_path / "t.parquet", tmp_path / "out", "--json")
    assert code == 0
    assert rows is not None
    assert set(range(N_ROWS)) - set(rows["id"].to_pylist()) == {2, 3, 5}
    assert json.loads(capsys.readouterr().out)["bad_lines"] == {"no label": 3}


def test_files__that_do_not_fit_together_are_told_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, folder = table_of(FORMS["list"]()), tmp_path / "t"
    folder.mkdir()
    pq.write_table(table.slice(0, 9), folder / "a.parquet")
    pq.write_table(table.set_column(2, "label", pa.array(range(N_ROWS))).slice(9, 9), folder / "b.parquet")
    pq.write_table(table.drop_columns("label").slice(18, 9), folder / "c.parquet")
    pq.write_table(table.set_column(1, "embedding", FORMS["large list"]()).slice(27), folder / "d.parquet")
    assert imported(folder, tmp_path / "out")[0] == 3
    said = capsys.readouterr().err
    for name, got in (("b", "int64"), ("c", "no such column"), ("d", "large_list<element: double>")):
        assert f"{name}.parquet, column" in said
        assert f"got: {got}" in said


def test_import__that_is_killed_leaves_no_worker(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for number in range(200):
        pq.write_table(table_of(FORMS["list"]()), tmp_path / "t" / f"{number:03}.parquet")
    words = ["import", "table", "--from", str(tmp_path / "t"), "--output", str(tmp_path / "out"), "--workers", "2"]
    with subprocess.Popen([sys.executable, "-m", "dvspark.cli", *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("40 rows" in line for line in process.stderr)  # one file is done, so workers are at the others
        process.kill()
        process.communicate(timeout=60)  # workers have the same stderr: it ends when all have ended


@pytest.mark.parametrize("keep", ["label", "embedding", "text,text"])
def test_columns__that_are_there_already_are_not_kept_again(
    keep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(table_of(FORMS["list"]()).append_column("text", pa.array(["a"] * N_ROWS)), tmp_path / "t.parquet")
    assert imported(tmp_path / "t.parquet", tmp_path / "out", "--keep", keep)[0] == 2
    assert "each once" in capsys.readouterr().err


def test_ids__that_repeat_within_one_file_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of(FORMS["list"]()).set_column(0, "id", pa.array([0, *range(N_ROWS - 1)]))
    pq.write_table(table, tmp_path / "t.parquet")
    assert imported(tmp_path / "t.parquet", tmp_path / "out")[0] == 3
    assert "1 in more than one row; the first: 0" in capsys.readouterr().err


def hugging_face(place: Path, labels: list[Any], *, several: bool = False) -> None:
    datasets = pytest.importorskip("datasets", minversion="4")
    kind = datasets.ClassLabel(names=["cat", "dog", "bird"])
    features = datasets.Features(
        {
            "id": datasets.Value("int64"),
            "embedding": datasets.Array2D((2, 3), "float32"),
            "label": datasets.List(kind) if several else kind,
        }
    )
    given = {"id": list(range(N_ROWS)), "embedding": X.reshape(N_ROWS, 2, 3).tolist(), "label": labels}
    datasets.Dataset.from_dict(given, features=features).to_parquet(str(place))


def test_hugging_face__classes_get_their_names_and_none_is_no_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [row % 3 for row in range(N_ROWS)]
    labels[4] = labels[6] = -1
    hugging_face(tmp_path / "t.parquet", labels)
    code, rows = imported(tmp_path / "t.parquet", tmp_path / "out", "--json")
    assert code == 0
    assert rows is not None
    names = ["cat", "dog", "bird"]
    assert dict(zip(rows["id"].to_pylist(), rows["label"].to_pylist(), strict=True)) == {
        row: names[label] for row, label in enumerate(labels) if label >= 0
    }
    assert json.loads(capsys.readouterr().out)["bad_lines"] == {"a class that has no name": 2}
    np.testing.assert_array_equal(rows["embedding"].to_pylist()[0], X[0])


def test_hugging_face__several_classes_a_row(tmp_path: Path) -> None:
    labels = [[row % 3, (row + 1) % 3][: 1 + row % 2] for row in range(N_ROWS)]
    hugging_face(tmp_path / "t.parquet", labels, several=True)
    code, rows = imported(tmp_path / "t.parquet", tmp_path / "out")
    assert code == 0
    assert rows is not None
    names = ["cat", "dog", "bird"]
    assert rows["label"].to_pylist() == [[names[one] for one in row] for row in labels]


@pytest.mark.parametrize("several", [False, True])
def test_missing_classes__are_refused_where_they_would_be_a_class_of_their_own(several: bool, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", minversion="4")
    kind = datasets.ClassLabel(names=["cat", "dog"])
    features = {"id": datasets.Value("int64"), "embedding": datasets.List(datasets.Value("float32"))}
    features["label"] = datasets.List(kind) if several else kind
    for name, missing in (("good", 1), ("bad", -1)):
        labels: list[Any] = [[0]] * 9 + [[missing, 0]] if several else [0] * 9 + [missing]
        given = {"id": list(range(10)), "embedding": X[:10].tolist(), "label": labels}
        datasets.Dataset.from_dict(given, datasets.Features(features)).to_parquet(str(tmp_path / f"{name}.parquet"))
    session = LocalSession(Workers("nothing", 1))
    assert not isinstance(read_rows(session, "train", TableReference(path=str(tmp_path / "good.parquet"))), list)
    found = read_rows(session, "train", TableReference(path=str(tmp_path / "bad.parquet")))
    assert isinstance(found, list)
    assert "-1, which means no label" in str(InputError(found))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--format", "orc"], 2, "'orc'"),
        (["--embedding", "vector"], 2, "'vector'"),
        (["--embedding", "text"], 3, "ml vectors"),
        (["--label", "score"], 3, "an array of either"),
    ],
)
def test_words__that_cannot_be_used(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = table_of(FORMS["list"]()).append_column("text", pa.array(["a"] * N_ROWS))
    pq.write_table(table.append_column("score", pa.array([0.5] * N_ROWS)), tmp_path / "t.parquet")
    assert imported(tmp_path / "t.parquet", tmp_path / "out", *words)[0] == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("share", "by"), [("0", "--self_validation true"), ("1", "--validation ")])
def test_next_command__names_a_validation_table_only_if_it_has_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: str, by: str
) -> None:
    """Of few rows, none may be drawn for validation; the command that was told was refused then."""
    pq.write_table(pa.table({"id": range(3), "embedding": X[:3].tolist(), "label": [0, 1, 0]}), tmp_path / "t.parquet")
    words = ["import", "table", "--from", str(tmp_path / "t.parquet"), "--output", str(tmp_path / "out")]
    assert main([*words, "--validation-share", share]) == 0
    assert by in capsys.readouterr().out.splitlines()[-1]
