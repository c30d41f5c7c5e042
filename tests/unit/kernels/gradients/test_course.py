"""Epochs: heads against finite differences, values against all coalitions, and what must not matter."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from ordered_cases import chg_coalition_values, enumerated_values

import dvspark
from dvspark.audit.gradients import check_rows, loss_and_gradient, valued_again
from dvspark.errors import ConfigError, DvsparkError, InputError
from dvspark.kernels.formulas.hardness_shapley import hardness_values
from dvspark.kernels.gradients import row_pass
from dvspark.kernels.gradients.course import MOMENTUM, Course, CourseValues, Games, Training, Watched
from dvspark.kernels.gradients.head_pass import VARIANTS, HeadPass, PassSums
from dvspark.kernels.gradients.row_pass import stretches
from dvspark.kernels.gradients.softmax_head import PENALTY, SoftmaxHead, fit_head, untrained_head
from dvspark.methods.kinds.sums import ArrayRows

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(7, 2)), np.array([0, 1, 2, 0, 1, 2, 0], np.int32)
Z, Y_Z = RNG.normal(size=(5, 2)), np.array([2, 0, 1, 1, 0], np.int32)
VECTORS = Path(__file__).parents[3] / "vectors"


def rows_of(n: int, n_classes: int = 4, n_features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    codes = np.append(np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)).astype(np.int32)
    return (rng.normal(size=(n, n_features)) + codes[:, None]).astype(np.float32), codes


def chg(*arrays: Any, **options: Any) -> np.ndarray:
    return dvspark.value_arrays(*arrays, method="chg_shapley", **options)


def course_of(x: Any, codes: Any, training: Training | None, variant: str = "chg", *, by_label: bool = False) -> Course:
    rows, n_classes = ArrayRows((x, codes)), int(codes.max()) + 1
    start = untrained_head(x, n_classes) if training else fit_head(x, codes, n_classes)
    return Course(start, training, variant, by_label, len(x), rows.run, None, rows.some)


def watched_course(*given: Any, **more: Any) -> tuple[CourseValues, list[tuple[SoftmaxHead, Games]]]:
    seen: list[tuple[SoftmaxHead, Games]] = []
    return course_of(*given, **more).valued(Watched(lambda head, games: seen.append((head, games)))), seen


# --- by hand: features, losses and gradients of each row, written out ------------------------------------------


def features_of(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    center = of.mean(axis=0)
    return np.column_stack([(x - center) / np.sqrt(((of - center) ** 2).sum(axis=1).mean()), np.ones(len(x))])


def losses_of(weights: np.ndarray, features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    logits = features @ weights.T
    return scipy.special.logsumexp(logits, axis=1) - logits[np.arange(len(codes)), codes]


def gradients_of(weights: np.ndarray, features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the gradient of each row's loss in the weights, by finite differences."""

    def loss(flat: np.ndarray, row: int) -> float:
        return float(losses_of(flat.reshape(weights.shape), features[row : row + 1], codes[row : row + 1])[0])

    return np.stack(
        [
            scipy.optimize.approx_fprime(weights.ravel(), lambda flat, row=row: loss(flat, row), 1e-7)
            for row in range(len(codes))
        ]
    )


def heads_by_hand(x: np.ndarray, codes: np.ndarray, training: Training) -> list[np.ndarray]:
    """Return the weights at the start of each epoch, by gradients that are written out."""
    features, n = features_of(x, x), len(x)
    weights = np.zeros((int(codes.max()) + 1, features.shape[1]))
    velocity, heads = np.zeros_like(weights), []
    for epoch in range(training.epochs):
        heads.append(weights)
        everyone = [np.arange(n)] if training.steps_by_all(n) else training.batches(epoch, n)
        for places in everyone:
            mean = gradients_of(weights, features[places], codes[places]).mean(axis=0).reshape(weights.shape)
            slope = mean + PENALTY * weights
            velocity = MOMENTUM * velocity + slope
            weights = weights - training.learning_rate * (slope + MOMENTUM * velocity)
    return heads


def enumerated(variant: str, loss: np.ndarray, gradient: np.ndarray, alpha: np.ndarray | None) -> list[float]:
    if variant == "hardness":
        exact = [Fraction(one) for one in loss.tolist()]
        return enumerated_values(
            len(loss), lambda rows: sum((exact[row] for row in rows), Fraction(0)) / len(rows) if rows else Fraction(0)
        )
    x = gradient * loss[:, None] if variant == "chg" else gradient
    return chg_coalition_values(x, None if alpha is None else alpha.tolist())


@pytest.mark.parametrize("batch_rows", [None, 3])
@pytest.mark.parametrize("aim", ["train", "validation"])
@pytest.mark.parametrize("by", ["all", "label"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_values__are_means_over_epochs_of_those_of_all_coalitions(
    variant: str, by: str, aim: str, batch_rows: int | None
) -> None:
    training = Training(3, 0.5, batch_rows, seed=4)
    features, at_points = features_of(X, X), features_of(Z, X)
    expected = np.zeros(len(X))
    for weights in heads_by_hand(X, Y, training):
        loss, gradient = losses_of(weights, features, Y), gradients_of(weights, features, Y)
        of_points = gradients_of(weights, at_points, Y_Z)
        scaled = of_points * losses_of(weights, at_points, Y_Z)[:, None] if variant == "chg" else of_points
        games = [code == Y for code in range(3)] if by == "label" else [np.ones(len(X), bool)]
        aims = [code == Y_Z for code in range(3)] if by == "label" else [np.ones(len(Z), bool)]
        for rows, points in zip(games, aims, strict=True):
            alpha = scaled[points].mean(axis=0) if aim == "validation" else None
            expected[rows] += enumerated(variant, loss[rows], gradient[rows], alpha)
    given: dict[str, Any] = {"variant": variant, "by": by, "epochs": 3, "learning_rate": 0.5, "batch_rows": batch_rows}
    given["seed"] = None if batch_rows is None else 4
    values = chg(X, Y, **given, self_validation=True) if aim == "train" else chg(X, Y, Z, Y_Z, **given)
    np.testing.assert_allclose(values, expected / 3, rtol=0, atol=1e-6)  # finite differences


@pytest.mark.parametrize("by_label", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_valued_again__is_what_epochs_gave_row_by_row(variant: str, by_label: bool) -> None:
    x, codes = rows_of(3_000)
    found, seen = watched_course(x, codes, Training(4, 1.0, 700), variant, by_label=by_label)
    again = []
    for head, games in seen:
        told = [loss_and_gradient(*row, head) for row in zip(x[:9], codes[:9].tolist(), strict=True)]
        again.append(valued_again(told, codes[:9], games, variant, by_label=by_label))
    values, size = np.mean([one for one, _ in again], axis=0), float(np.mean([one for _, one in again]))
    assert check_rows(found.values[:9], values, size).verdict == "pass"
    assert check_rows(found.values[:9] + 1e-6 * size, values, size).verdict == "fail"
    assert found.values.sum() == pytest.approx(found.utility, rel=1e-9)


def test_trained__is_the_head_of_the_valued_course_one_step_on() -> None:
    x, codes = rows_of(2_000)
    _, seen = watched_course(x, codes, Training(4, 1.0))
    last = course_of(x, codes, Training(3, 1.0)).trained()
    np.testing.assert_array_equal(last.weights, seen[3][0].weights)


@pytest.mark.long
@pytest.mark.parametrize(("epochs", "batch_rows"), [(1_500, None), (300, 256)])
def test_trained__comes_to_the_minimum(epochs: int, batch_rows: int | None) -> None:
    x, codes = rows_of(600, 3)
    least, last = fit_head(x, codes, 3), course_of(x, codes, Training(epochs, 1.0, batch_rows)).trained()
    loss = losses_of(last.weights, features_of(x, x), codes).mean() + PENALTY / 2 * float((last.weights**2).sum())
    assert least.loss <= loss + 1e-9 < least.loss + 5e-3


# --- what must not matter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_label", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_pass__whole_tiles_apart_have_the_same_bits(variant: str, by_label: bool) -> None:
    x, codes = rows_of(5_000)
    _, seen = watched_course(x, codes, Training(2, 1.0), variant, by_label=by_label)
    head, games = seen[1]
    formulas = tuple(game.row_formula() for game in games)
    asked = HeadPass.of(head, variant, by_label=by_label).valuing(head.weights, formulas)
    apart = [(x[a:b], codes[a:b]) for a, b in itertools.pairwise([0, 1024, 3072, 5_000])]
    whole = asked.over([(x, codes)])
    for told in (asked.over(apart), HeadPass.of_arrays(asked.arrays()).over([(x, codes)])):
        assert {name: one.tobytes() for name, one in told.arrays().items()} == {
            name: one.tobytes() for name, one in whole.arrays().items()
        }


def test_stretches__are_cut_by_the_number_of_rows_alone() -> None:
    assert stretches(3) == [(0, 3)]
    assert stretches(2**16 + 1) == [(0, 2**16), (2**16, 2**16 + 1)]
    cut = stretches(300_000_000)
    assert len(cut) <= row_pass.MOST_STRETCHES
    assert (cut[0][0], cut[-1][1]) == (0, 300_000_000)
    assert all(a[1] == b[0] and a[1] % row_pass.STRETCH_ROWS == 0 for a, b in itertools.pairwise(cut))


def test_values__of_stretches_are_those_of_all_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, codes = rows_of(5_000)
    whole = chg(x, codes, epochs=4, self_validation=True)
    monkeypatch.setattr(row_pass, "STRETCH_ROWS", 1_024)
    assert len(stretches(5_000)) == 5
    np.testing.assert_allclose(chg(x, codes, epochs=4, self_validation=True), whole, rtol=0, atol=1e-13)


def test_joined__adds_in_the_order_given() -> None:
    one = {name: np.array([1e16]) for name in PassSums.names()}
    other = {name: np.array([1.0]) for name in PassSums.names()}
    told = PassSums.joined([one, other, other])
    assert told.losses.tolist() == [1e16 + 1.0 + 1.0]
    assert told.values.tolist() == [1e16, 1.0, 1.0]
    assert one["losses"].tolist() == [1e16]


def test_batches__are_all_rows_once_dealt_by_seed_and_epoch() -> None:
    training = Training(2, 1.0, 30, seed=1)
    dealt = [np.concatenate([*training.batches(epoch, 100)]) for epoch in (0, 1)]
    for one in dealt:
        np.testing.assert_array_equal(np.sort(one), np.arange(100))
    assert dealt[0].tolist() != dealt[1].tolist()
    assert [len(one) for one in training.batches(0, 100)] == [30, 30, 30, 10]
    assert next(Training(2, 1.0, 30, seed=2).batches(0, 100)).tolist() != dealt[0][:30].tolist()


def test_values__by_batches_are_those_of_the_seed() -> None:
    x, codes = rows_of(400)
    values = [chg(x, codes, epochs=3, batch_rows=64, seed=seed, self_validation=True) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(values[0], values[1])
    assert (values[0] != values[2]).any()
    whole = chg(x, codes, epochs=3, batch_rows=400, self_validation=True)
    np.testing.assert_array_equal(whole, chg(x, codes, epochs=3, self_validation=True))


@pytest.mark.parametrize("batch_rows", [None, 16])
def test_values__do_not_depend_on_the_order_of_rows_where_ids_tell_it(batch_rows: int | None) -> None:
    x, codes = rows_of(90)
    order = RNG.permutation(90)
    given: dict[str, Any] = {"epochs": 3, "batch_rows": batch_rows, "self_validation": True}
    moved = chg(x[order], codes[order], train_ids=np.arange(90)[order], **given)
    np.testing.assert_array_equal(moved, chg(x, codes, **given)[order])


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 1e4), (3.0, -3.0), (1e-9, 1.0)])
def test_values__depend_on_neither_origin_nor_unit_of_the_embeddings(scale: float, shift: float) -> None:
    x, codes = rows_of(150)
    x = np.round(x.astype(np.float64) * 64) / 64
    given: dict[str, Any] = {"epochs": 5, "self_validation": True, "precision": "float64"}
    before, after = chg(x, codes, **given), chg(x * scale + shift, codes, **given)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_values__wrong_labels_come_last_and_are_hardest() -> None:
    x, codes = rows_of(400, 3)
    wrong = np.arange(400) % 20 == 0
    given = np.where(wrong, (codes + 1) % 3, codes)
    far = x + 8 * np.eye(3, 5)[codes]
    values = chg(far, given, epochs=10, self_validation=True)
    assert set(np.argsort(values)[: wrong.sum()]) == set(np.flatnonzero(wrong))
    hardness = chg(far, given, epochs=10, variant="hardness", self_validation=True)
    assert set(np.argsort(-hardness)[: wrong.sum()]) == set(np.flatnonzero(wrong))


# --- hardness -------------------------------------------------------------------------------------------------


def test_hardness_value_arrays__equals_the_worked_case() -> None:
    case = json.loads((VECTORS / "hardness.json").read_text())
    values = dvspark.hardness_value_arrays(case["inputs"]["losses"])
    np.testing.assert_allclose(values, case["expected"]["value"], rtol=1e-14)
    assert values.sum() == pytest.approx(case["expected"]["sum_of_values"], abs=1e-14)


@pytest.mark.parametrize("n", range(7))
def test_hardness_values__are_those_of_all_coalitions(n: int) -> None:
    losses = RNG.random(n)
    expected = enumerated("hardness", losses, np.empty(0), None) if n else []
    np.testing.assert_allclose(hardness_values(losses), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("losses", "said"), [([[1.0]], "shape"), ([np.nan], "finite"), (["a"], "numbers"), ([-1.0], "from 0")]
)
def test_hardness_value_arrays__refuses_what_are_no_losses(losses: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        dvspark.hardness_value_arrays(losses)


# --- refusals -------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[DvsparkError], str]] = {
    "a seed without epochs": ((X, Y, Z, Y_Z), {"seed": 3}, ConfigError, "none without epochs"),
    "no epochs": ((X, Y, Z, Y_Z), {"epochs": 0}, ConfigError, "a whole number of at least 1"),
    "another game": ((X, Y, Z, Y_Z), {"variant": "loss"}, ConfigError, "one of 'chg', 'hardness', 'gradient'"),
    "no rows of a label": ((X, Y, Z[:2], Y_Z[:2]), {"by": "label"}, InputError, "rows of each label"),
    "strides too long": ((X, Y, Z, Y_Z), {"epochs": 3, "learning_rate": 1e300}, InputError, "learning rate"),
}


@pytest.mark.parametrize(("arrays", "options", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_values__what_cannot_be_valued_is_refused(
    arrays: tuple[Any, ...], options: dict[str, Any], kind: type[DvsparkError], said: str
) -> None:
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(kind, match=said):
        chg(*arrays, **options)


def test_values__of_too_many_games_of_gradients_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvspark.methods.kinds.sums.MOST_BYTES", 200)
    with pytest.raises(ConfigError, match="leave by out"):
        chg(X, Y, Z, Y_Z, by="label")
    assert len(chg(X, Y, Z, Y_Z, by="label", variant="hardness")) == len(X)
