"""CHG-Shapley values: the worked cases, all coalitions in fractions, and two formulas on larger tables."""

from __future__ import annotations

import numpy as np
import pytest
from ordered_cases import chg_coalition_values, read_vectors

from dvspark.kernels.formulas import chg_shapley as kernel

FORMULAS = (kernel.chg_values, kernel.reference_values)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("content", read_vectors("chg_"), ids=lambda content: content["id"])
def test_chg_values__are_those_of_the_worked_cases(content, formula) -> None:
    inputs, expected = content["inputs"], content["expected"]
    x = np.array([row["x"] for row in inputs["train"]])
    alpha = None if content["params"]["alpha"] == "mean" else np.array(inputs["alpha"])
    np.testing.assert_allclose(formula(x, alpha), expected["value"], rtol=0, atol=1e-13)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("n", range(1, 8))
def test_chg_values__are_those_of_all_coalitions(n: int, given: bool, formula) -> None:
    x = np.random.default_rng(n).integers(-4, 5, (n, 3)) / 2
    alpha = np.array([0.5, -1.0, 0.0]) if given else None
    np.testing.assert_allclose(formula(x, alpha), chg_coalition_values(x, alpha), rtol=0, atol=1e-12)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3, 1_000, 200_000])
def test_chg_values__two_formulas_agree_and_sum_to_the_utility(n: int, given: bool) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    alpha = rng.normal(size=4) if given else None
    values = kernel.chg_values(x, alpha)
    np.testing.assert_allclose(values, kernel.reference_values(x, alpha), rtol=0, atol=1e-12)
    full, empty = kernel.utility(x, alpha)
    assert values.sum() == pytest.approx(full - empty, abs=1e-9)


def test_chg_values__fall_with_the_distance_from_the_mean() -> None:
    x = np.random.default_rng(2).normal(size=(500, 3))
    nearest_first = np.argsort(((x - x.mean(axis=0)) ** 2).sum(axis=1))
    assert (np.diff(kernel.chg_values(x)[nearest_first]) <= 0).all()


def test_chg_values__keep_their_digits_far_from_zero() -> None:
    # A shift by a power of two is exact, and adds |alpha|² / n to all. By the squares of x: off by 2e-4.
    x = np.random.default_rng(9).integers(-64, 65, (50, 3)) / 16
    near, far = kernel.chg_values(x, np.zeros(3)), kernel.chg_values(x + 2.0**20, np.full(3, 2.0**20))
    np.testing.assert_allclose(far - 3 * 2.0**40 / 50, near, rtol=0, atol=2e-5)


@pytest.mark.parametrize("p", [1, 3, 40, 301])
def test_game__the_bits_of_a_value_do_not_depend_on_the_rows_beside_it(p: int) -> None:
    x = np.random.default_rng(p).normal(size=(37, p))
    game = kernel.game_of(x, np.ones(p))
    values = game.values(x)
    np.testing.assert_array_equal([game.values(row[None])[0] for row in x], values)
    np.testing.assert_array_equal(game.values(x[::-1])[::-1], values)


def test_chg_values__of_no_rows_are_none() -> None:
    assert kernel.chg_values(np.empty((0, 3))).shape == (0,)
    assert kernel.utility(np.empty((0, 3))) == (0.0, 0.0)
