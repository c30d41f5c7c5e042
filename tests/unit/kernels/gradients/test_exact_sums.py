"""Exact sums against fractions: of any numbers, in any order and grouping."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dvspark.kernels.gradients import exact_sums
from dvspark.kernels.gradients.exact_sums import ExactSum

CORNERS = [0.0, -0.0, 5e-324, -5e-324, 1e290, 2.0**-1022, 2.0**24, 1 - 2.0**-53]
NUMBERS = st.floats(-1e290, 1e290) | st.sampled_from(CORNERS)


def sum_of(*pieces: np.ndarray) -> ExactSum:
    """Return the sum of pieces, each added up apart."""
    total = ExactSum(pieces[0].shape[1])
    for piece in pieces:
        own = ExactSum(piece.shape[1])
        own.add(piece)
        total.merge(own.levels)
    return total


@given(
    x=arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=NUMBERS), seed=st.integers(0, 99)
)
def test_exact_sum__is_the_sum_in_fractions_however_it_is_cut(x: np.ndarray, seed: int) -> None:
    expected = [sum(map(Fraction, column)) for column in x.T.tolist()]
    assert sum_of(x).fractions() == expected
    rng = np.random.default_rng(seed)
    moved = x[rng.permutation(len(x))]
    cuts = np.array_split(moved, rng.integers(1, len(x) + 1))
    assert sum_of(*cuts).fractions() == expected


def test_exact_sum__holds_where_float64_loses_everything() -> None:
    x = np.array([[1e150], [1.0], [-1e150], [2.0**-80]])
    assert x.sum() != 1 + 2.0**-80
    assert sum_of(x).fractions() == [1 + Fraction(2) ** -80]


def test_exact_sum__of_many_pieces_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(1_000, 3))
    whole = sum_of(x).fractions()
    monkeypatch.setattr(exact_sums, "PIECE_NUMBERS", 6)
    assert sum_of(x).fractions() == whole


def test_exact_sum__leaves_the_rows_as_they_were_and_of_none_is_zero() -> None:
    x = np.array([[1.5, -0.1]])
    sum_of(x)
    assert x.tolist() == [[1.5, -0.1]]
    assert ExactSum(2).fractions() == [0, 0]
