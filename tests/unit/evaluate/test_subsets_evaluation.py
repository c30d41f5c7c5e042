"""Evaluations of subsets: what they tell, of rows as they are and of spoiled ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dvspark.errors import ConfigError, InputError
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.subsets import coded, subsets
from dvspark.subsets import SubsetTraining

TRAINING = SubsetTraining(epochs=8, every=4, batch_rows=32, learning_rate=0.3)


def rows_of(n: int, seed: int) -> LabeledRows:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return LabeledRows(rng.normal(size=(n, 4)) + 8 * np.eye(3, 4)[y], np.array(["a", "b", "c"])[y])


def test_subsets__tell_accuracy_and_what_share_of_chosen_rows_is_spoiled() -> None:
    protocol = Protocol(share=0.3)
    found = subsets(
        rows_of(400, 0), rows_of(200, 1), ["full", "random", "chg"], protocol=protocol, seeds=[0, 1], shares=[0.1, 0.5],
        training=TRAINING,
    )  # fmt: skip
    rows = found.tables["subsets"]
    assert [(row["criterion"], row["share"]) for row in rows] == [
        ("full", 1.0), *((name, share) for name in ("random", "chg") for share in (0.1, 0.5))
    ]  # fmt: skip
    told = {(row["criterion"], row["share"]): row for row in rows}
    assert told["full", 1.0]["spoiled"] == 0.3
    assert told["chg", 0.1]["spoiled"] < 0.05 < told["random", 0.1]["spoiled"]
    assert all(0.5 < row["accuracy"] <= 1 and row["seeds"] == 2 for row in rows)
    assert found.settings["training"] == {"epochs": 8, "every": 4, "batch_rows": 32, "learning_rate": 0.3}
    assert "criterion" in found.text()


def test_subsets__the_same_test_rows_are_those_given() -> None:
    train, validation, test = rows_of(200, 0), rows_of(100, 1), rows_of(5, 2)
    found = subsets(train, validation, ["full"], test=test, seeds=[0], training=TRAINING)
    (row,) = found.tables["subsets"]
    assert row["accuracy"] * 5 == pytest.approx(round(row["accuracy"] * 5))


def test_subsets__of_test_rows_whose_label_no_training_row_has_none_is_right() -> None:
    train, validation, test = rows_of(200, 0), rows_of(100, 1), rows_of(30, 2)
    strangers = LabeledRows(test.x, np.where(np.arange(30) % 3 == 0, "stranger", test.y))
    alone, among = (
        subsets(train, validation, ["full"], test=one, seeds=[0], training=TRAINING).tables["subsets"][0]["accuracy"]
        for one in (test.take(np.flatnonzero(np.arange(30) % 3)), strangers)
    )
    assert among == pytest.approx(alone * 20 / 30)


def test_coded__numbers_labels_in_order_and_leaves_strangers_out() -> None:
    x, codes = coded(LabeledRows(np.arange(4.0)[:, None], np.array(["b", "x", "a", "b"])), np.array(["a", "b"]))
    assert codes.tolist() == [1, 0, 1]
    assert x[:, 0].tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"criteria": ["glistr"]}, ConfigError, "did you mean 'glister'"),
        ({"shares": [0.0]}, ConfigError, "numbers above 0"),
        ({"training": SubsetTraining(epochs=0)}, ConfigError, "epochs"),
        ({"test": LabeledRows(np.ones((2, 4)), np.array(["x", "x"]))}, InputError, "labels that training rows have"),
    ],
)
def test_subsets__what_is_unusable_is_refused(given: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        subsets(rows_of(60, 0), rows_of(30, 1), **{"seeds": [0], "training": TRAINING, **given})
