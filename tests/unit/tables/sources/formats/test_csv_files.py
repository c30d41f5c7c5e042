"""CSV files: each column has one meaning, and the rows are those of the same table in Parquet, to the bit."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import InputError
from dvspark.local.session import LocalSession
from dvspark.local.workers import Workers
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows

SESSION = LocalSession(Workers("nothing", 1))
HEAD = "id,embedding_0,embedding_1,label\n"


def read(place: Path, target: str = "label", **names: Any) -> Any:
    return read_rows(SESSION, "train", TableReference(str(place), "csv", **names), target)


def rows(found: Any) -> list[dict[str, Any]]:
    assert isinstance(found, Rows), found
    return [row for batch in found.frame.read(list(found.types)) for row in batch.to_pylist()]


def problems(place: Path, text: str, **names: Any) -> str:
    path = place / "t.csv"
    path.write_text(text)
    try:
        found = read(path, **names)
        if isinstance(found, Rows):
            rows(found)
    except InputError as error:
        found = list(error.problems)
    assert isinstance(found, list), "it was not refused"
    return "\n".join(f"{one.where}: expected {one.expected}, got {one.got}" for one in found)


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(codec="utf-8"), min_size=1)),
        min_size=1,
    )
)
def test_rows__are_those_that_another_writer_wrote(tmp_path_factory: Any, held: list[tuple[float, str]]) -> None:
    held = [(number, text) for number, text in held if "\0" not in text and "\r" not in text]
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_STRINGS if hasattr(csv, "QUOTE_STRINGS") else csv.QUOTE_NONNUMERIC)
        writer.writerow(["id", "embedding_0", "label"])
        writer.writerows([f"row {place}", number, f"a {text}"] for place, (number, text) in enumerate(held))
    expected = [
        {"id": f"row {place}", "embedding": [number], "label": f"a {text}"} for place, (number, text) in enumerate(held)
    ]
    assert rows(read(path)) == expected


@pytest.mark.parametrize(("declared", "dtype"), [(None, np.float64), ("float64", np.float64), ("float32", np.float32)])
def test_numbers__come_back_as_they_were(tmp_path: Path, declared: str | None, dtype: Any) -> None:
    numbers = np.random.default_rng(0).normal(size=(300, 12)).astype(dtype)
    frame = pd.DataFrame(numbers, columns=[f"x{column + 1}" for column in range(12)]).assign(label=1)
    frame.sample(frac=1, axis=1, random_state=0).to_csv(tmp_path / "t.csv.gz", index_label="id")
    with gzip.open(tmp_path / "t.csv.gz", "rt") as file:
        assert file.readline().startswith("id,")
    found = read(tmp_path, embedding="x", embedding_dtype=declared)
    spark = "float" if dtype is np.float32 else "double"
    assert found.types == {"id": "bigint", "embedding": f"array<{spark}>", "label": "bigint"}
    np.testing.assert_array_equal(np.array([row["embedding"] for row in rows(found)], dtype), numbers)


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["1", "2"], "bigint"),
        (["01", "02"], "string"),
        (["1", "b"], "string"),
        (["-3", "0"], "bigint"),
        (["1.5", "2"], "string"),
        (["12345678901234567890", "1"], "string"),
    ],
)
def test_texts__are_integers_if_all_are(tmp_path: Path, ids: list[str], kind: str) -> None:
    for place, text in enumerate(ids):  # two files, which are taken together
        (tmp_path / f"{place}.csv").write_text(f"{HEAD}{text},0,1,a\n")
    found = read(tmp_path)
    assert found.types["id"] == kind
    assert [str(row["id"]) for row in rows(found)] == ids


def test_cells__that_are_empty_are_nulls_and_empty_texts_in_quotes_are_texts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f'{HEAD}a,1,,x\n,1,2,""\nc,nan,2,\n')
    found = rows(read(tmp_path))
    assert [row["embedding"] for row in found][:2] == [[1.0, None], [1.0, 2.0]]
    assert np.isnan(found[2]["embedding"][0])
    assert [(row["id"], row["label"]) for row in found] == [("a", "x"), (None, ""), ("c", None)]


def test_folders__are_columns(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / f"label={label}").mkdir()
        (tmp_path / f"label={label}" / "t.csv").write_text(f"id,embedding_0\n{label}1,0.5\n")
    assert [(row["id"], row["label"]) for row in rows(read(tmp_path))] == [("cat1", "cat"), ("dog1", "dog")]


def test_numbers_to_predict_and_weights__are_doubles(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,embedding_0,label,w\n1,0,3,1\n2,0,1.5,2\n")
    found = read(tmp_path, "number", weight="w")
    assert (found.types["label"], found.types["weight"]) == ("double", "double")
    assert [(row["label"], row["weight"]) for row in rows(found)] == [(3.0, 1.0), (1.5, 2.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,embedding,label\n1,[0.5],a\n", "got a column 'embedding' of text"),
        ("id,label\n1,a\n", "columns embedding_0, embedding_1, ... (embedding)"),
        ("id;embedding_0;label\n1;0,5;a\n", "whose header has ';'"),
        ("id\tembedding_0\tlabel\n1\t0\ta\n", "whose header has '\\t'"),
        ("id,embedding_0,embedding_2,label\n1,0,0,a\n", "columns with other numbers"),
        ("id,embedding_0,embedding0,label\n1,0,0,a\n", "columns with other numbers"),
        ("id,embedding_2,label\n1,0,a\n", "columns with other numbers"),
        (f"{HEAD}1,0,x,a\n", "invalid value 'x'"),
        (f"{HEAD}1,0,1\n", "Expected 4 columns, got 3"),
        (f"{HEAD}1,0,1,\"['a', 'b']\"\n", "one label in each row"),
        (f"{HEAD}1,0,1,1.0\n2,0,1,2.0\n", "double"),
        ("id,id,embedding_0,label\n1,1,0,a\n", "2 columns 'id'"),
        ("id,ID,embedding_0,label\n1,1,0,a\n", "in whichever case"),
        ("", "without a byte"),
        ("\n", "Empty CSV file"),
        ("name,embedding_0,label\n1,0,a\n", "a column 'id' (id)"),
    ],
)
def test_files__that_could_mean_something_else_are_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in problems(tmp_path, text)


def test_types__that_texts_do_not_tell_are_refused(tmp_path: Path) -> None:
    assert "float32 or float64" in problems(tmp_path, f"{HEAD}1,0,1,a\n", embedding_dtype="float16")
    assert "double: invalid value 'heavy'" in problems(tmp_path, "id,embedding_0,label,w\n1,0,a,heavy\n", weight="w")


def test_files__with_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEAD}1,0,1,a\n")
    (tmp_path / "b.csv").write_text("id,embedding_1,embedding_0,label\n1,0,1,a\n")
    (problem,) = read(tmp_path)
    assert problem.expected.startswith("files with the columns of")
    folder = tmp_path / "c" / "id=1"
    folder.mkdir(parents=True)
    (folder / "t.csv").write_text(f"{HEAD}1,0,1,a\n")
    (problem,) = read(tmp_path / "c")
    assert problem.got == "in the files and in folder names"


def test_rows__of_no_rows_are_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEAD)
    assert rows(read(tmp_path)) == []
