"""`dvspark select --method`: rows chosen while a head trains, what it writes and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dvspark.cli import main
from dvspark.subsets import SubsetTraining

N = 90


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    for seed, side in enumerate(("train", "validation")):
        draw = np.random.default_rng(seed)
        y = draw.integers(0, 2, N)
        x = (draw.normal(size=(N, 3)) + 8 * y[:, None]).astype(np.float32)
        ids = draw.permutation(N) + 1_000
        labels = np.array(["b", "a"])[y]
        pq.write_table(pa.table({"key": ids, "embedding": x.tolist(), "label": labels}), tmp_path / f"{side}.parquet")
    return ["select", "--method", "chg", "--train", str(tmp_path / "train.parquet"), "--id", "key"]


WORDS = ("--share", "0.3", "--epochs", "6", "--every", "3", "--batch-rows", "8", "--seed", "4")


def test_select__by_method_writes_the_rows_chosen_last(tables: list[str], tmp_path: Path, capsys: Any) -> None:
    place, validation = tmp_path / "kept", str(tmp_path / "validation.parquet")
    assert main([*tables, *WORDS, "--validation", validation, "--to", str(place)]) == 0
    told = capsys.readouterr().out
    found = pq.read_table(f"{place}.parquet")
    assert pyarrow.csv.read_csv(f"{place}.csv").num_rows == len(found)
    train = pq.read_table(tmp_path / "train.parquet").sort_by("key")
    _, codes = np.unique(train["label"].to_numpy(), return_inverse=True)
    x = np.array(train["embedding"].to_pylist())
    done = SubsetTraining("chg", 0.3, 6, 3, 8, seed=4).trained((x, codes.astype(np.int32)))
    expected = {int(train["key"][place].as_py()): weight for place, weight in zip(
        done.chosen.places.tolist(), done.chosen.weights.tolist(), strict=True)}  # fmt: skip
    assert dict(zip(found["id"].to_pylist(), found["weight"].to_pylist(), strict=True)) == expected
    values = found["value"].to_pylist()
    assert values == sorted(values, reverse=True)
    labels = dict(zip(train["key"].to_pylist(), train["label"].to_pylist(), strict=True))
    assert [labels[one] for one in found["id"].to_pylist()] == found["label"].to_pylist()
    assert f"{len(found)} of {N} rows are selected" in told
    assert f"of {N} validation rows right" in told
    assert main([*tables, *WORDS, "--to", str(place)]) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("select", "--method", "chg", "--share", "0.3"), "--train"),
        (("select", "--method", "chgg", "--train", "x", "--share", "0.3"), "did you mean 'chg'"),
        (("select", "--method", "full", "--train", "x", "--share", "0.3"), "one of"),
        (("select", "run", "--method", "chg", "--train", "x", "--share", "0.3"), "words about training"),
        (("select", "--method", "chg", "--train", "x", "--share", "0.3", "--by", "label"), "not by the values"),
        (("select", "--method", "chg", "--train", "x", "--share", "2"), "--share"),
        (("select", "--method", "chg", "--train", "x", "--share", "0.3", "--epochs", "0"), "--epochs"),
        (("select", "run", "--share", "0.3", "--epochs", "3"), "give --method and --train"),
        (("select", "run", "--share", "0.3", "--train", "x"), "give --method and --train"),
    ],
)
def test_select__by_method_tells_what_is_wrong(words: tuple[str, ...], said: str, capsys: Any) -> None:
    assert main([*words]) == 2
    assert said in capsys.readouterr().err
