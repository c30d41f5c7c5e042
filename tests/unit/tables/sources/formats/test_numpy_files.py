"""Embeddings in a NumPy file beside a table: row i belongs to row i, whatever the layout of both files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.config.sources import load_config
from dvspark.errors import ConfigError, InputError
from dvspark.local.session import LocalSession
from dvspark.local.workers import Workers
from dvspark.tables.sources.formats import numpy_files, reader_of
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference

SESSION = LocalSession(Workers("nothing", 1))


def write(folder: Path, numbers: Any, group: int = 5, **columns: Any) -> Path:
    n_rows = len(numbers)
    np.save(folder / "x.npy", numbers)
    columns = {"id": [f"row {row}" for row in range(n_rows)], "label": [row % 3 for row in range(n_rows)]} | columns
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=group)
    return folder


def read(folder: Path, **names: Any) -> Any:
    given = {"path": str(folder / "t.parquet"), "embedding_file": str(folder / "x.npy"), **names}
    return read_rows(SESSION, "train", TableReference(**given))


def test_whole_table__has_every_row_with_its_embedding(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    folder = write(tmp_path, numbers)
    reference = TableReference(path=str(folder / "t.parquet"), embedding_file=str(folder / "x.npy"))
    whole = reader_of("train", reference).whole()
    held = pa.Table.from_batches(whole.read(None)).to_pydict()
    assert held["id"] == [f"row {row}" for row in range(12)]
    assert held["embedding"] == numbers.tolist()
    assert [row for batch in whole.read(["label"]) for row in batch["label"].to_pylist()] == held["label"]


@given(
    n_rows=st.integers(1, 40),
    group=st.integers(1, 50),
    part_rows=st.integers(1, 50),
    batch_rows=st.integers(1, 50),
    columns=st.sampled_from([["id", "embedding", "label"], ["embedding"], ["label"], ["label", "embedding"]]),
    layout=st.sampled_from(["C", "F"]),
    dtype=st.sampled_from(["<f2", "<f4", ">f4", "<f8", ">f8"]),
)
def test_rows__have_their_embeddings(
    tmp_path_factory: Any,
    n_rows: int,
    group: int,
    part_rows: int,
    batch_rows: int,
    columns: Any,
    layout: Any,
    dtype: str,
) -> None:
    rng = np.random.default_rng(n_rows)
    numbers = np.asarray(rng.normal(size=(n_rows, 3)).astype(dtype), order=layout)
    folder = write(tmp_path_factory.mktemp("numpy"), numbers, group)
    with pytest.MonkeyPatch.context() as patched:
        row_bytes = 3 * numbers.dtype.itemsize
        patched.setattr(numpy_files, "PART_BYTES", part_rows * row_bytes)
        patched.setattr(numpy_files, "BATCH_BYTES", batch_rows * row_bytes)
        found = read(folder)
        batches = list(found.frame.read(columns))
    assert all(len(batch) <= batch_rows for batch in batches)
    expected = {"id": [f"row {row}" for row in range(n_rows)], "label": [row % 3 for row in range(n_rows)]}
    expected["embedding"] = numbers.tolist()
    held = pa.Table.from_batches(batches).to_pydict()
    assert held == {name: expected[name] for name in columns}
    assert found.types["embedding"] == ("array<double>" if "8" in dtype else "array<float>")
    assert found.files.n_rows == n_rows


def test_columns__may_be_in_the_names_of_folders(tmp_path: Path) -> None:
    place = tmp_path / "t.parquet" / "label=b" / "owner=7" / "part.parquet"
    place.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["x", "y"]}), place)
    np.save(tmp_path / "x.npy", np.arange(4.0).reshape(2, 2))
    found = read(tmp_path, owner="owner")
    rows = pa.Table.from_batches(found.frame.read(["id", "embedding", "label", "owner"])).to_pylist()
    told = {"label": "b", "owner": 7}
    assert rows == [{"id": "x", "embedding": [0.0, 1.0], **told}, {"id": "y", "embedding": [2.0, 3.0], **told}]


def test_listing__tells_when_either_file_changes(tmp_path: Path) -> None:
    found = read(write(tmp_path, np.zeros((4, 2))))
    found.require_unchanged()
    assert found.source["n_files"] == 2
    np.save(tmp_path / "x.npy", np.zeros((4, 3)))
    with pytest.raises(InputError, match="the 2 files that were there"):
        found.require_unchanged()


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (np.zeros((3, 2)), "3 in "),
        (np.zeros(4), r"float64 of shape \(4,\)"),
        (np.zeros((4, 2), int), "int64 of shape"),
        (np.array([[object(), 1]] * 4), "Python objects"),
    ],
)
def test_numbers__that_do_not_fit_are_refused(tmp_path: Path, numbers: Any, said: str) -> None:
    write(tmp_path, np.zeros((4, 2)))
    np.save(tmp_path / "x.npy", numbers, allow_pickle=True)
    with pytest.raises(InputError, match=said):
        raise InputError(read(tmp_path))


def test_numbers__of_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((4, 2)))
    np.savez(tmp_path / "x.npz", np.zeros((4, 2)))
    for name, said in (("x.npz", "several arrays"), ("t.parquet", "t.parquet: "), ("none.npy", "none.npy")):
        (problem,) = read(tmp_path, embedding_file=str(tmp_path / name))
        assert said in problem.got
    (problem,) = read(write(tmp_path, np.zeros((4, 2)), embedding=[[0.0]] * 4))
    assert problem.expected == "embeddings in one place"
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"id": [name], "label": ["x"]}), tmp_path / "two" / f"{name}.parquet")
    (problem,) = read(tmp_path, path=str(tmp_path / "two"))
    assert (problem.expected, problem.got) == ("one Parquet file", "2 files")


@pytest.mark.parametrize("other", [{"format": "csv"}, {"format": "delta"}, {"path": None, "table": "a.b"}])
def test_settings__that_contradict_each_other_are_refused(other: dict[str, Any]) -> None:
    train = {"path": "t.parquet", "embedding_file": "x.npy", **other}
    with pytest.raises(ConfigError, match="a path of format parquet beside it"):
        load_config(None, {"train": train, "validation": {"path": "v"}, "output": {"path": "o"}})
