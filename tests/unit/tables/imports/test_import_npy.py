"""`dvspark import npy`: every row against the arrays that the shards were made of."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from npy_folders import write_shards

import dvspark
from dvspark.cli import main
from dvspark.tables.imports import importing
from dvspark.tables.imports.sides import SIDES

N_ROWS = 90
X = np.random.default_rng(1).standard_normal((N_ROWS, 6))
COLUMNS = {
    "key": [f"{row * 7:05}" for row in range(N_ROWS)],
    "caption": [f"class {row % 3}" for row in range(N_ROWS)],
    "source": [f"site {row % 5}" for row in range(N_ROWS)],
    "url": [f"https://example.org/{row}" for row in range(N_ROWS)],
}


def words_of(folder: Path, output: Path, *others: str) -> list[str]:
    words = ["import", "npy", "--folder", str(folder), "--label", "caption", "--output", str(output)]
    return [*words, "--validation-share", "0.3", *others]


def rows_of(output: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(output / side) for side in SIDES)


@pytest.mark.parametrize(("dtype", "stored"), [("f2", "float"), ("f4", "float"), ("f8", "double")])
def test_rows__are_those_of_the_shards(dtype: str, stored: str, tmp_path: Path) -> None:
    x = X.astype(dtype)
    folder = write_shards(tmp_path / "in", x, COLUMNS, [40, 50])
    words = words_of(folder, tmp_path / "out", "--id", "key", "--owner", "source", "--keep", "url")
    assert main(words) == 0
    rows = rows_of(tmp_path / "out").sort_by("id")
    assert rows["embedding"].type == pa.list_({"float": pa.float32(), "double": pa.float64()}[stored])
    np.testing.assert_array_equal(np.stack(rows["embedding"].to_numpy()), x)
    told = {"id": "key", "label": "caption", "owner": "source", "url": "url"}
    assert {name: rows[name].to_pylist() for name in told} == {name: COLUMNS[column] for name, column in told.items()}


def test_ids__are_places_among_all_rows_if_no_column_has_them(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "in", X, COLUMNS, [40, 25, 25])
    assert main(words_of(folder, tmp_path / "out", "--workers", "2")) == 0
    rows = rows_of(tmp_path / "out").sort_by("id")
    assert rows["id"].to_pylist() == list(range(N_ROWS))
    np.testing.assert_array_equal(np.stack(rows["embedding"].to_numpy()), X)


def test_bad_rows__are_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, columns = X.copy(), {name: list(values) for name, values in COLUMNS.items()}
    x[44, 2], columns["caption"][50], columns["key"][3] = np.nan, None, None
    folder = write_shards(tmp_path / "in", x, columns, [40, 50])
    assert main(words_of(folder, tmp_path / "out", "--id", "key", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    expected = {"an embedding with a number that is not finite": 1, "no label": 1, "no id": 1}
    assert told["bad_lines"] == expected
    aside = pq.read_table(tmp_path / "out" / "rejected" / "part-00001.parquet").to_pylist()
    assert [(row["file"], row["line"]) for row in aside] == [("img_emb_1.npy", 5), ("img_emb_1.npy", 11)]
    assert len(rows_of(tmp_path / "out")) == N_ROWS - 3


def test_rows__beside_decimals_are_not_lost(tmp_path: Path) -> None:
    prices = [Decimal(row) / 4 for row in range(N_ROWS)]
    columns = {"price": pa.array(prices, pa.decimal128(9, 2)), **COLUMNS}
    folder = write_shards(tmp_path / "in", X, columns, [40, 50])
    assert main(words_of(folder, tmp_path / "places")) == 0  # the first column is one of decimals
    assert rows_of(tmp_path / "places").sort_by("id")["label"].to_pylist() == COLUMNS["caption"]
    assert main(words_of(folder, tmp_path / "out", "--id", "key", "--keep", "price")) == 0
    assert rows_of(tmp_path / "out").sort_by("id")["price"].to_pylist() == prices


def test_ids__of_fewer_bits_split_the_rows_as_bigint_does(tmp_path: Path) -> None:
    columns: dict[str, Any] = {**COLUMNS, "number": pa.array(range(N_ROWS), pa.int32())}
    folder = write_shards(tmp_path / "in", X, columns, [40, 50])
    assert main(words_of(folder, tmp_path / "out", "--id", "number")) == 0
    assert main(words_of(folder, tmp_path / "places")) == 0
    for side in SIDES:
        assert pq.read_table(tmp_path / "out" / side).equals(pq.read_table(tmp_path / "places" / side))


def test_metadata__that_do_not_fit_together_are_told_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_shards(tmp_path / "in", X, COLUMNS, [40, 25, 25])
    second, third = (folder / "metadata" / f"metadata_{number}.parquet" for number in (1, 2))
    pq.write_table(pq.read_table(second).set_column(1, "caption", pa.array(range(25))), second)
    pq.write_table(pq.read_table(third).drop_columns("caption"), third)
    assert main(words_of(folder, tmp_path / "out")) == 3
    said = capsys.readouterr().err
    assert said.index("metadata_1.parquet, column 'caption'") < said.index("metadata_2.parquet, column 'caption'")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--id", "kei"], 2, "'key'"),
        (["--label", "weight"], 3, "an array of either"),
        (["--keep", "label"], 2, "columns beside id, embedding, label, owner"),
    ],
)
def test_columns__that_cannot_be_used(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {**COLUMNS, "weight": [row / 2 for row in range(N_ROWS)]}
    folder = write_shards(tmp_path / "in", X, columns, [90])
    given = words_of(folder, tmp_path / "out")
    if words[0] in given:
        given[given.index(words[0]) + 1] = words[1]
        words = []
    assert main([*given, *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.long
def test_values__of_what_was_imported(tmp_path: Path) -> None:
    x = X.astype(np.float32)
    folder = write_shards(tmp_path / "in", x, COLUMNS, [40, 50])
    assert main(words_of(folder, tmp_path / "in2")) == 0
    tables = [f"--{side}={tmp_path / 'in2' / side}" for side in SIDES]
    assert main(["value", *tables, "--engine=local", "--k=3", f"--output={tmp_path / 'out'}", "--report=false"]) == 0
    values = dvspark.read_values(str(tmp_path / "out")).sort_by("id")
    train, validation = (np.sort(pq.read_table(tmp_path / "in2" / side)["id"].to_numpy()) for side in SIDES)
    y = np.array(COLUMNS["caption"])
    expected = dvspark.value_arrays(x[train], y[train], x[validation], y[validation], k=3)
    np.testing.assert_array_equal(values["value"].to_numpy(), expected)


@pytest.mark.parametrize("after", ["looked", "opened"])
def test_import__that_another_process_finishes_meanwhile_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Two are started at once; one of them has looked at the folder, or opened the lock, and the other does it all."""
    words = words_of(write_shards(tmp_path / "in", X, COLUMNS, [40, 50]), tmp_path / "out")
    done, others, begun, take, once = list[int](), list[int](), importing._begun, importing.take, importing._import_file

    def other() -> None:
        if not others:
            others.append(-1)
            others[0] = main(words)

    def late_begun(*args: Any) -> Any:
        found = begun(*args)
        if after == "looked":
            other()
        return found

    def late_take(file: Any) -> bool:
        if after == "opened":
            other()
        return take(file)

    def counted(*args: Any) -> Any:
        done.append(args[-1])
        return once(*args)

    monkeypatch.setattr(importing, "_begun", late_begun)
    monkeypatch.setattr(importing, "take", late_take)
    monkeypatch.setattr(importing, "_import_file", counted)
    assert main(words) == 0
    assert (others, done) == ([0], [0, 1])
    assert len(rows_of(tmp_path / "out")) == N_ROWS
    assert not (tmp_path / "out" / "_import").exists()
