"""Arrays of embeddings that are none: the hint says what makes some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dvspark

Y = np.arange(6) % 2
X = np.random.default_rng(0).normal(size=(6, 4))


@pytest.mark.parametrize(
    ("x", "hint"),
    [
        ([str(list(row)) for row in X], "json.loads"),
        (["a text"] * 6, "embed words by a model"),
        (X.astype(str), "astype(float)"),
        (X[:, 0], "x.reshape(-1, 1)"),
        (Y, "x_train, y_train, x_validation, y_validation"),
        (X.reshape(6, 2, 2), "x.reshape(len(x), -1)"),
        (X + 1j, "real numbers"),
        ("train.parquet", "one row of numbers for each label"),
    ],
)
def test_embeddings_that_are_no_matrix__are_told_how_to_become_one(x: Any, hint: str) -> None:
    """The hint was to give rows of equal length, or one row an embedding, as if each of these were nearly a matrix."""
    with pytest.raises(dvspark.InputError) as told:
        dvspark.value_arrays(x, Y, X, Y)
    assert hint in told.value.problems[0].hint
