"""CHG-Shapley of embeddings: the head, the gradients that are never written out, and their values by enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ordered_cases import chg_coalition_values

import dvspark
from dvspark.audit.gradients import scaled_gradient
from dvspark.errors import ConfigError, DvsparkError, InputError
from dvspark.kernels.formulas.chg_shapley import chg_values
from dvspark.kernels.gradients import softmax_head
from dvspark.kernels.gradients.softmax_head import PENALTY, SoftmaxHead, drawn_rows, fit_head

RNG = np.random.default_rng(12)
X, Y = RNG.normal(size=(7, 2)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2, 0])
Z, Y_Z = RNG.normal(size=(4, 2)).astype(np.float32), np.array([2, 0, 1, 1])


def chg(*arrays: Any, **options: Any) -> np.ndarray:
    return dvspark.value_arrays(*arrays, method="chg_shapley", **options)


def gradients(head: SoftmaxHead, x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the gradients of all rows, written out one by one."""
    return np.stack([scaled_gradient(row, code, head) for row, code in zip(x, codes.tolist(), strict=True)])


def rows_of(n: int, n_classes: int = 4, n_features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    codes = rng.integers(0, n_classes, n).astype(np.int32)
    return (rng.normal(size=(n, n_features)) + codes[:, None]).astype(np.float32), codes


# --- values -----------------------------------------------------------------------------------------------


def test_values__are_those_of_all_coalitions_whose_target_is_the_validation_rows_mean() -> None:
    head = fit_head(X, Y.astype(np.int32), 3)
    alpha = gradients(head, Z, Y_Z).mean(axis=0)
    expected = chg_coalition_values(gradients(head, X, Y), alpha.tolist())
    np.testing.assert_allclose(chg(X, Y, Z, Y_Z), expected, rtol=0, atol=1e-12)


def test_values__are_means_of_those_of_each_validation_row() -> None:
    each = [chg(X, Y, Z[v : v + 1], Y_Z[v : v + 1]) for v in range(len(Z))]
    np.testing.assert_allclose(chg(X, Y, Z, Y_Z), np.mean(each, axis=0), rtol=0, atol=1e-12)


def test_values__under_self_validation_aim_at_the_training_rows_mean_and_no_row_sits_out() -> None:
    head = fit_head(X, Y.astype(np.int32), 3)
    expected = chg_coalition_values(gradients(head, X, Y))
    np.testing.assert_allclose(chg(X, Y, self_validation=True), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3, 9_000])
def test_values__are_those_of_gradients_written_out(n: int, given: bool) -> None:
    x, codes = rows_of(n)
    codes[: min(n, 4)] = np.arange(min(n, 4))  # every class is there, so classes keep their numbers
    n_classes = min(n, 4)
    head = fit_head(x, codes, n_classes)
    z, y_z = rows_of(40)
    known = y_z < n_classes
    alpha = gradients(head, z[known], y_z[known]).mean(axis=0) if given else None
    expected = chg_values(gradients(head, x, codes), alpha)
    values = chg(x, codes, z[known], y_z[known]) if given else chg(x, codes, self_validation=True)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


def test_values__do_not_depend_on_the_order_of_rows_where_ids_tell_it() -> None:
    order = RNG.permutation(len(X))
    ids = np.arange(len(X))
    np.testing.assert_array_equal(chg(X[order], Y[order], Z, Y_Z, train_ids=ids[order]), chg(X, Y, Z, Y_Z)[order])


def test_values__labels_may_be_words() -> None:
    words = np.array(["a", "b", "c"])
    np.testing.assert_array_equal(chg(X, words[Y], Z, words[Y_Z]), chg(X, Y, Z, Y_Z))


MOVED = {"by 1e4": (1.0, 1e4), "by -3, tripled": (3.0, -3.0), "of 1e-9": (1e-9, 0.0), "of 1e-9, by 1": (1e-9, 1.0)}


@pytest.mark.parametrize(("scale", "shift"), MOVED.values(), ids=MOVED)
@pytest.mark.parametrize("self_validation", [False, True])
def test_values__depend_on_neither_origin_nor_unit_of_the_embeddings(
    self_validation: bool, scale: float, shift: float
) -> None:
    (x, y), (z, y_z) = (rows_of(n, n_features=6) for n in (150, 40))
    # Numbers of few digits, which the shift leaves as they are.
    x, z = (np.round(rows.astype(np.float64) * 64) / 64 for rows in (x, z))

    def valued(scale: float, shift: float) -> np.ndarray:
        points = () if self_validation else (z * scale + shift, y_z)
        return chg(x * scale + shift, y, *points, self_validation=self_validation, precision="float64")

    expected = valued(1.0, 0.0)
    np.testing.assert_allclose(valued(scale, shift), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_values__of_single_precision_rows_far_from_zero_are_those_near_it() -> None:
    (x, y), (z, y_z) = (rows_of(n, n_features=6) for n in (150, 40))
    x, z = (np.round(rows * 64).astype(np.float32) / 64 for rows in (x, z))
    far = chg(x + np.float32(1e4), y, z + np.float32(1e4), y_z)
    near = chg(x, y, z, y_z)
    np.testing.assert_allclose(far, near, rtol=0, atol=1e-5 * np.abs(near).max())


def test_values__of_the_largest_embeddings_are_those_of_their_directions() -> None:
    x, y = np.eye(4)[np.arange(60) % 4], RNG.integers(0, 2, 60)
    large = chg(1.9e153 * x, y, self_validation=True, precision="float64")
    np.testing.assert_allclose(large, chg(x, y, self_validation=True), rtol=0, atol=1e-9)


def test_values__of_rows_all_alike_are_those_of_rows_at_the_origin() -> None:
    y = np.arange(10) % 2
    alike = chg(np.full((10, 3), 0.1), y, np.full((4, 3), 0.35), y[:4])
    np.testing.assert_allclose(alike, chg(np.zeros((10, 3)), y, np.full((4, 3), 0.25), y[:4]), rtol=1e-12)


def test_values__points_whose_label_no_training_row_has_are_left_out_of_the_target() -> None:
    with_stranger = chg(X, Y, np.vstack([Z, Z[:1]]), np.append(Y_Z, 9))
    np.testing.assert_allclose(with_stranger, chg(X, Y, Z, Y_Z), rtol=0, atol=1e-12)


def test_values__of_one_class_are_zero() -> None:
    np.testing.assert_array_equal(chg(X, [1] * 7, Z, [1] * 4), np.zeros(7))


def test_values__mislabelled_rows_are_the_lowest() -> None:
    x, codes = rows_of(400, 3)
    wrong = np.arange(400) % 20 == 0
    given = np.where(wrong, (codes + 1) % 3, codes)
    values = chg(x + 8 * np.eye(3, 5)[codes], given, self_validation=True)
    assert set(np.argsort(values)[: wrong.sum()]) == set(np.flatnonzero(wrong))


def test_values__error_bounds_are_zero() -> None:
    values, bounds = chg(X, Y, Z, Y_Z, error_bound=True)
    np.testing.assert_array_equal(values, chg(X, Y, Z, Y_Z))
    np.testing.assert_array_equal(bounds, np.zeros(7))


# --- the head ---------------------------------------------------------------------------------------------


def objective(head: SoftmaxHead, x: np.ndarray, codes: np.ndarray, move: np.ndarray) -> float:
    """What the head minimizes, row by row, with its weights moved on the scale of the centered embeddings."""
    center = x.mean(axis=0, dtype=np.float64)
    scale = np.sqrt(((x - center) ** 2).sum(axis=1).mean())
    weights, biases = head.weights[:, :-1] + move[:, :-1], head.weights[:, -1] + move[:, -1]
    loss = 0.0
    for row, code in zip((x - center) / scale, codes, strict=True):
        logits = weights @ row + biases
        loss += np.log(np.exp(logits).sum()) - logits[code]
    return float(loss / len(x) + PENALTY / 2 * ((weights**2).sum() + (biases**2).sum()))


def test_fit_head__nothing_near_it_is_better() -> None:
    x, codes = rows_of(60, 3, 2)
    head = fit_head(x, codes, 3)
    least = objective(head, x, codes, np.zeros((3, 3)))
    assert least == pytest.approx(head.loss, abs=1e-12)
    for _ in range(30):
        assert objective(head, x, codes, RNG.normal(size=(3, 3)) * 1e-2) > least
    # The minimum is flat: half of what a step costs comes from the square of it.
    move = RNG.normal(size=(3, 3))
    slopes = [(objective(head, x, codes, sign * 1e-4 * move) - least) / 1e-4 for sign in (1, -1)]
    assert abs(slopes[0] - slopes[1]) < 1e-6


@pytest.mark.parametrize(("scale", "shift"), [(1e-9, 0.0), (1e12, 0.0), (1.0, 1e4)])
def test_fit_head__neither_scale_nor_shift_of_the_embeddings_matters(scale: float, shift: float) -> None:
    x, codes = rows_of(200)
    x = x.astype(np.float64)
    moved = x * scale + shift
    before, after = fit_head(x, codes, 4), fit_head(moved, codes, 4)
    of_before, of_after = before.features(x), after.features(moved)
    np.testing.assert_allclose(of_after, of_before, rtol=0, atol=1e-9)
    logs = before.log_probabilities(of_before)
    np.testing.assert_allclose(after.log_probabilities(of_after), logs, rtol=0, atol=1e-5)


def test_fit_head__rows_alike_and_classes_without_rows_have_a_head_too() -> None:
    head = fit_head(np.ones((6, 2)), np.array([0, 0, 0, 1, 1, 3], np.int32), 4)
    shares = np.exp(head.log_probabilities(head.features(np.ones((1, 2)))))[0]
    assert np.isfinite(head.weights).all()
    assert shares[0] > shares[1] > shares[3] > shares[2] > 0


def test_drawn_rows__are_all_or_so_many_as_memory_allows_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    np.testing.assert_array_equal(drawn_rows(9, 3, 2), np.arange(9))
    monkeypatch.setattr(softmax_head, "MOST_NUMBERS", 500)
    drawn = drawn_rows(1_000, 3, 2)
    assert len(drawn) == 100
    assert (np.diff(drawn) > 0).all()
    assert drawn[-1] > 900
    np.testing.assert_array_equal(drawn_rows(1_000, 3, 2), drawn)


def test_values__of_a_head_trained_on_some_rows_sum_to_the_utility(monkeypatch: pytest.MonkeyPatch) -> None:
    x, codes = rows_of(600)
    all_rows = chg(x, codes, self_validation=True)
    monkeypatch.setattr(softmax_head, "MOST_NUMBERS", 900)
    values = chg(x, codes, self_validation=True)
    head = fit_head(x[drawn_rows(600, 5, 4)], codes[drawn_rows(600, 5, 4)], 4)
    assert head.n_rows == 100
    np.testing.assert_allclose(values, chg_values(gradients(head, x, codes)), rtol=0, atol=1e-12)
    assert np.abs(values - all_rows).max() > 1e-6


# --- refusals ---------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[DvsparkError], str]] = {
    "a metric": ((X, Y, Z, Y_Z), {"metric": "cosine"}, ConfigError, "rows are not compared"),
    "a sum": ((X, Y, Z, Y_Z), {"aggregate": "sum"}, ConfigError, "all validation rows are one game"),
    "a ranking": ((X, Y, Z, Y_Z), {"ranking": "binned"}, ConfigError, "leave ranking out"),
    "a parameter": ((X, Y, Z, Y_Z), {"radius": 1.0}, ConfigError, "a parameter of chg_shapley"),
    "several labels": ((X, [[0], [1, 2]] + [[1]] * 5, Z, Y_Z), {}, ConfigError, "choose one label of each row"),
    "points of several labels": ((X, Y, Z, [[0], [1, 2], [1], [2]]), {}, ConfigError, "choose one label of each row"),
    "strangers only": ((X, Y, Z, [7] * 4), {}, InputError, "labels that training rows have"),
    "squares that overflow": (
        (X * 1e-9, Y, Z.astype(np.float64) * 1e150, Y_Z),
        {"precision": "float64"},
        InputError,
        "so far from the training rows that squares overflow",
    ),
}


@pytest.mark.parametrize(("arrays", "options", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_values__what_cannot_be_valued_is_refused(
    arrays: tuple[Any, ...], options: dict[str, Any], kind: type[DvsparkError], said: str
) -> None:
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(kind) as refused:
        chg(*arrays, **options)
    assert said in str(refused.value)
