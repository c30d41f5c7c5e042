"""Sets of copies as one player: by enumeration, whatever the number of copies; in arrays, and by two commands."""

from __future__ import annotations

import json
import warnings
from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dvspark
from dvspark.cli.front import main
from dvspark.review import duplicate_sets, values_of_copies
from dvspark.review.changes import RowChange, losses

K = 2


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return five rows far apart, the first with two copies and the fourth with a near one, and validation rows."""
    rng = np.random.default_rng(8)
    x, y = 10 * rng.normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    x = np.concatenate([x, x[[0, 0]], x[[3]] + 1e-3])
    return x, np.concatenate([y, y[[0, 0, 3]]]), 10 * rng.normal(size=(6, 3)), rng.integers(0, 2, 6)


def by_enumeration(sets: list[int]) -> dict[int, float]:
    """Return the Shapley value of each set, from all orders of the sets."""
    x, y, z, y_z = data()
    names = sorted(set(sets))
    found = dict.fromkeys(names, 0.0)

    def worth(players: tuple[int, ...]) -> float:
        rows = [row for row in range(len(x)) if sets[row] in players]
        hits = 0
        for point, label in zip(z, y_z, strict=True):
            nearest = sorted(rows, key=lambda row: (((x[row] - point) ** 2).sum(), row))[:K]
            hits += sum(y[row] == label for row in nearest)
        return hits / K / len(z)

    orders = list(permutations(names))
    for order in orders:
        for place, name in enumerate(order):
            found[name] += (worth(order[: place + 1]) - worth(order[:place])) / len(orders)
    return found


def reviewed() -> pa.Table:
    x, y, _, _ = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dvspark.DataWarning)
        return dvspark.review_arrays(x, y, duplicate_radius=0.01, k=4).table


def test_duplicate_sets__are_the_rows_that_stay() -> None:
    assert duplicate_sets(reviewed()).to_pylist() == [0, 1, 2, 3, 4, 0, 0, 3]


def test_duplicate_sets__of_a_copy_of_a_near_copy_is_the_row_that_stays() -> None:
    table = pa.table({"id": ["a", "b", "c"], "duplicate_of": [None, "a", "b"]})
    assert duplicate_sets(table).to_pylist() == ["a", "a", "a"]


def test_losses__tell_of_a_set_only_if_none_of_its_rows_stays() -> None:
    labels, review = ["x"] * 4, {"id": ["a", "b", "c", "d"], "duplicate_of": [None, "a", "b", None]}
    table = pa.table({**review, "label": labels})
    dropped = {row: RowChange("drop", "x", None, "review", "") for row in "abc"}
    assert losses(table, {row: dropped[row] for row in "bc"}) == []
    assert losses(table, dropped) == ["1 row is dropped with all its copies: 'a'"]


def test_sets__are_valued_as_one_player_and_each_copy_is_told() -> None:
    x, y, z, y_z = data()
    sets = duplicate_sets(reviewed())
    values = dvspark.value_arrays(x, y, z, y_z, method="owner_knn_shapley", owners=sets, k=K)
    expected = by_enumeration(sets.to_pylist())
    np.testing.assert_allclose(values, [expected[name] for name in sorted(expected)], atol=1e-12)
    told = values_of_copies(sets, values)
    assert told.tolist() == [values[name] for name in sets.to_pylist()]
    with pytest.raises(ValueError, match="each of 5 sets"):
        values_of_copies(sets, values[:3])
    masked = np.ma.array(values, mask=np.arange(len(values)) == 0)
    hidden = min(sets.to_pylist())
    assert np.isnan(values_of_copies(sets, masked)).tolist() == [name == hidden for name in sets.to_pylist()]


def write(path: Path, x: np.ndarray, y: np.ndarray, ids: list[str]) -> str:
    pq.write_table(pa.table({"id": ids, "embedding": x.tolist(), "label": y, "note": ids}), path)
    return str(path)


def test_sets__by_two_commands_get_the_values_of_arrays(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    x, y, z, y_z = data()
    train = write(tmp_path / "train.parquet", x, y, [f"r{n}" for n in range(len(x))])
    validation = write(tmp_path / "valid.parquet", z, y_z, [f"v{n}" for n in range(len(z))])
    out, made = str(tmp_path / "out"), tmp_path / "made"
    words = ["--output", out, "--engine", "local", "--report", "false"]
    assert main(["review", "--train", train, "--duplicate_radius", "0.01", "--review_k", "4", *words]) == 0
    assert main(["clean", out, "--output", str(made), "--sets"]) == 0
    assert "8 rows in 5 sets" in capfd.readouterr().out
    table = pq.read_table(made / "with_sets")
    assert table["duplicate_set"].to_pylist() == ["r0", "r1", "r2", "r3", "r4", "r0", "r0", "r3"]
    assert table.drop_columns("duplicate_set").equals(pq.read_table(train))
    owned = ["--train", str(made / "with_sets"), "--train.owner", "duplicate_set", "--validation", validation]
    assert main(["value", *owned, "--method", "owner_knn_shapley", "--k", str(K), *words, "--run_id", "sets"]) == 0
    values = pq.read_table(Path(out) / "values" / "run_id=sets", partitioning=None).sort_by("id")
    expected = by_enumeration([0, 1, 2, 3, 4, 0, 0, 3])
    np.testing.assert_allclose(values["value"].to_numpy(), [expected[name] for name in sorted(expected)], atol=1e-9)
    assert json.loads((Path(out) / "runs" / "sets" / "run.json").read_text())["method"]["name"] == "owner_knn_shapley"


def test_sets__refuses_what_does_not_fit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    x, y, _, _ = data()
    train = write(tmp_path / "train.parquet", x, y, [f"r{n}" for n in range(len(x))])
    out = str(tmp_path / "out")
    words = ["review", "--train", train, "--output", out, "--engine", "local", "--report", "false"]
    assert main(words) == 0
    assert main(["clean", out, "--output", str(tmp_path / "a"), "--sets", "--dry-run"]) == 2
    assert "alone with --output" in capfd.readouterr().err
    table = pq.read_table(train)
    pq.write_table(table.append_column("duplicate_set", table["note"]), train)
    assert main([*words, "--run_id", "again"]) == 0
    assert main(["clean", out, "--output", str(tmp_path / "b"), "--sets"]) == 2
    assert "no such column yet" in capfd.readouterr().err
    assert not (tmp_path / "b").exists()
