"""LAVA against linear programs by SciPy: the least cost, the potentials, and what a row that counts more does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

import dvspark
from dvspark.kernels.formulas.lava import MOST_COSTS, calibrated

ot = pytest.importorskip("ot")

# Numbers of rows without a common divisor have one potential but for a constant, see `potentials_of`.
N, M = 17, 8


def rows_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    return rng.normal(size=(n, 3)) + y[:, None], y


def least_cost(costs: np.ndarray, masses: np.ndarray) -> float:
    """Return what the cheapest transport costs from rows of these masses to points of equal ones, by HiGHS."""
    n, m = costs.shape
    rows, points = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    found = linprog(costs.ravel(), A_eq=np.vstack([rows, points]), b_eq=np.concatenate([masses, np.full(m, 1 / m)]))
    return float(found.fun)


def potentials_of(costs: np.ndarray) -> np.ndarray:
    """Return the potentials of the rows from the dual program, by HiGHS."""
    n, m = costs.shape
    below = np.hstack([np.kron(np.eye(n), np.ones((m, 1))), np.kron(np.ones((n, 1)), np.eye(m))])
    worth = -np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    return np.asarray(linprog(worth, A_ub=below, b_ub=costs.ravel(), bounds=(None, None)).x[:n])


def costs_of(x: Any, y: Any, z: Any, t: Any, label_weight: float) -> np.ndarray:
    """Return the costs of all pairs, class distances by linear programs."""
    costs = np.linalg.norm(x[:, None] - z[None], axis=2)
    found = costs.copy()
    for own in np.unique(y):
        for other in np.unique(t):
            part = costs[np.ix_(y == own, t == other)]
            found[np.ix_(y == own, t == other)] += label_weight * least_cost(part, np.full(len(part), 1 / len(part)))
    return found


@pytest.mark.parametrize("label_weight", [0.5, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_values__are_those_of_the_dual_program(seed: int, label_weight: float) -> None:
    (x, y), (z, t) = rows_of(N, seed), rows_of(M, seed + 100)
    f = potentials_of(costs_of(x, y, z, t, label_weight))
    expected = [np.delete(f, row).mean() - f[row] for row in range(N)]
    values = dvspark.value_arrays(x, y, z, t, method="lava", label_weight=label_weight)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_values__are_how_fast_the_least_cost_falls_if_a_row_counts_more(seed: int) -> None:
    (x, y), (z, t) = rows_of(N, seed), rows_of(M, seed + 100)
    values = dvspark.value_arrays(x, y, z, t, method="lava")
    costs, more = costs_of(x, y, z, t, 1.0), 1e-4
    for row in range(N):
        masses = np.where(np.arange(N) == row, 1 / N + more, 1 / N - more / (N - 1))
        fall = least_cost(costs, np.full(N, 1 / N)) - least_cost(costs, masses)
        assert values[row] == pytest.approx(fall / more, abs=1e-6)


def test_values__sum_to_zero_and_duplicates_are_alike() -> None:
    (x, y), (z, t) = rows_of(N, 5), rows_of(M, 6)
    x, y = np.concatenate([x, x[:4]]), np.concatenate([y, y[:4]])
    values = dvspark.value_arrays(x, y, z, t, method="lava")
    assert values.sum() == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(values[N:], values[:4], rtol=0, atol=1e-12)


@pytest.mark.parametrize("power", [-600, -100, -45, -30, 20, 60])
def test_values__do_not_depend_on_the_unit_of_the_embeddings(power: int) -> None:
    (x, y), (z, t) = rows_of(60, 5), rows_of(31, 6)
    expected = np.ldexp(dvspark.value_arrays(x, y, z, t, method="lava"), power)
    values = dvspark.value_arrays(np.ldexp(x, power), y, np.ldexp(z, power), t, method="lava")
    np.testing.assert_allclose(values, expected, rtol=0, atol=np.ldexp(1e-9, power))


@pytest.mark.filterwarnings("ignore::dvspark.DataWarning")
def test_values__of_a_single_row_and_of_the_points_themselves() -> None:
    (x, y), (z, t) = rows_of(N, 5), rows_of(M, 6)
    np.testing.assert_array_equal(dvspark.value_arrays(x[:1], y[:1], z, t, method="lava"), [0.0])
    assert np.abs(dvspark.value_arrays(x, y, x, y, method="lava")).max() < np.abs(x).max()


def test_calibrated__is_the_mean_of_the_others_less_the_own() -> None:
    f = np.random.default_rng(0).normal(size=9)
    np.testing.assert_allclose(calibrated(f), [np.delete(f, i).mean() - f[i] for i in range(9)], rtol=0, atol=1e-15)


def test_values__of_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_COSTS * 8 == 2**30
    monkeypatch.setattr("dvspark.kernels.formulas.lava.MOST_COSTS", 100)
    (x, y), (z, t) = rows_of(N, 5), rows_of(M, 6)
    with pytest.raises(dvspark.InputError, match="at most 100 pairs"):
        dvspark.value_arrays(x, y, z, t, method="lava")


def test_values__that_fall_short_of_the_cheapest_transport_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvspark.kernels.formulas.lava.GAP", -1.0)
    (x, y), (z, t) = rows_of(N, 5), rows_of(M, 6)
    with pytest.raises(dvspark.ComputeError, match="transport"):
        dvspark.value_arrays(x, y, z, t, method="lava")
