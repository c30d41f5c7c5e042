"""Influence against heads that are trained again, by Newton's method with a dense Hessian written out."""

from __future__ import annotations

import numpy as np
import pytest

import dvspark
from dvspark.kernels.formulas.influence import AlongPass, HessianPass, gradient_total, hessian_total
from dvspark.kernels.gradients import row_pass
from dvspark.kernels.gradients.conjugate_gradients import solved
from dvspark.kernels.gradients.softmax_head import SoftmaxHead, fit_head

N, C = 70, 3
RNG = np.random.default_rng(3)
Y, T = RNG.integers(0, C, N).astype(np.int32), RNG.integers(0, C, 25).astype(np.int32)
X, Z = (RNG.normal(size=(len(y), 4)) + 0.7 * np.eye(C, 4)[y] for y in (Y, T))


def shares(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    found = np.exp(features @ weights.T)
    return found / found.sum(axis=1, keepdims=True)


def dense_hessian(features: np.ndarray, weights: np.ndarray, row_weights: np.ndarray, penalty: float) -> np.ndarray:
    """Return the Hessian of the mean loss and penalty, row by row."""
    found = penalty * np.eye(weights.size)
    for f, p, w in zip(features, shares(features, weights), row_weights, strict=True):
        found += w / len(features) * np.kron(np.diag(p) - np.outer(p, p), np.outer(f, f))
    return found


def retrained(head: SoftmaxHead, row_weights: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights that minimize the weighted mean loss with its penalty."""
    features, weights = head.features(X), head.weights.copy()
    for _ in range(50):
        left = row_weights[:, None] * (shares(features, weights) - np.eye(C)[Y])
        slope = (left.T @ features / N + penalty * weights).ravel()
        step = np.linalg.solve(dense_hessian(features, weights, row_weights, penalty), slope)
        weights -= step.reshape(weights.shape)
        if np.abs(step).max() < 1e-14:
            break
    return weights


def validation_loss(head: SoftmaxHead, weights: np.ndarray) -> float:
    return -float(np.log(shares(head.features(Z), weights)[np.arange(len(T)), T]).mean())


def losses_with(penalty: float, row: int, weights_of_row: list[float]) -> list[float]:
    """Return the validation loss of heads in whose training one row has these weights."""
    head = fit_head(X, Y, C, penalty)
    each = np.where(np.arange(N) == row, np.array(weights_of_row)[:, None], 1.0)
    return [validation_loss(head, retrained(head, one, penalty)) for one in each]


@pytest.mark.parametrize("penalty", [1e-4, 0.01, 1.0])
def test_values__are_the_slope_of_the_loss_in_a_row_s_weight(penalty: float) -> None:
    values = dvspark.value_arrays(X, Y, Z, T, method="influence", penalty=penalty)
    for row in range(0, N, 9):
        less, more = losses_with(penalty, row, [1 - 1e-4, 1 + 1e-4])
        assert values[row] == pytest.approx((less - more) / 2e-4, abs=1e-6 * np.abs(values).max() + 1e-9)


def test_values__are_near_what_leaving_rows_out_does() -> None:
    penalty = 0.1
    values = dvspark.value_arrays(X, Y, Z, T, method="influence", penalty=penalty)
    exact = np.array([np.subtract(*losses_with(penalty, row, [0.0, 1.0])) for row in range(N)])
    # The second order of 1 / 70, which leverage makes a few times larger.
    assert np.abs(values - exact).max() < 0.15 * np.abs(exact).max()
    assert np.corrcoef(values, exact)[0, 1] > 0.99


@pytest.mark.parametrize("penalty", [1e-4, 0.01])
def test_values__are_those_of_a_dense_solve(penalty: float) -> None:
    head = fit_head(X, Y, C, penalty)
    features, of_points = head.features(X), head.features(Z)
    aim = ((shares(of_points, head.weights) - np.eye(C)[T]).T @ of_points / len(T)).ravel()
    solution = np.linalg.solve(dense_hessian(features, head.weights, np.ones(N), penalty), aim)
    left = shares(features, head.weights) - np.eye(C)[Y]
    written = [np.outer(one, f).ravel() for one, f in zip(left, features, strict=True)]
    values = dvspark.value_arrays(X, Y, Z, T, method="influence", penalty=penalty)
    np.testing.assert_allclose(values, np.array(written) @ solution / N, rtol=0, atol=1e-7 * np.abs(values).max())


def test_hessian_total__is_that_of_the_dense_hessian() -> None:
    head = fit_head(X, Y, C, 0.01)
    dense = N * dense_hessian(head.features(X), head.weights, np.ones(N), 0.0)
    for v in np.random.default_rng(0).normal(size=(3, *head.weights.shape)):
        found = hessian_total(head, [(X[:30], Y[:30]), (X[30:], Y[30:])], v)
        np.testing.assert_allclose(found.ravel(), dense @ v.ravel(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("made", [HessianPass, AlongPass])
def test_pass__told_as_arrays_has_the_same_bits(made: type[HessianPass | AlongPass]) -> None:
    head = fit_head(X, Y, C, 0.01)
    asked = made(head, np.random.default_rng(0).normal(size=head.weights.shape))
    told = asked.answer([(X, Y)])
    assert tuple(told) == asked.told
    for name, array in made.of_arrays(asked.arrays()).answer([(X, Y)]).items():
        assert array.tobytes() == told[name].tobytes()


def test_values__of_stretches_are_those_of_all_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dvspark.value_arrays(X, Y, Z, T, method="influence")
    monkeypatch.setattr(row_pass, "STRETCH_ROWS", 16)
    assert len(row_pass.stretches(N)) == 5
    values = dvspark.value_arrays(X, Y, Z, T, method="influence")
    np.testing.assert_allclose(values, whole, rtol=0, atol=1e-8 * np.abs(whole).max())


def test_gradient_total__at_the_minimum_is_what_the_penalty_pulls() -> None:
    head = fit_head(X, Y, C, 0.1)
    np.testing.assert_allclose(gradient_total(head, [(X, Y)]) / N, -0.1 * head.weights, rtol=0, atol=1e-6)


def test_solved__is_the_solution_or_says_what_is_left() -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(6, 6))
    matrix = matrix @ matrix.T + np.eye(6)
    right = rng.normal(size=(2, 3))

    def product(v: np.ndarray) -> np.ndarray:
        return (matrix @ v.ravel()).reshape(v.shape)

    x, gap, n_steps = solved(product, right, 1e-12, 100)
    np.testing.assert_allclose(x.ravel(), np.linalg.solve(matrix, right.ravel()), rtol=0, atol=1e-10)
    assert gap <= 1e-12
    assert n_steps <= 12
    x, gap, n_steps = solved(product, right, 1e-12, 1)
    assert n_steps == 1
    assert gap == pytest.approx(np.linalg.norm(product(x) - right) / np.linalg.norm(right), rel=1e-9)
    assert solved(product, np.zeros((2, 3)), 1e-12, 9)[1:] == (0.0, 0)
