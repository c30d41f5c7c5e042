"""Criteria of subsets: against all coalitions, finite differences, and least squares solved anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ordered_cases import chg_coalition_values

from dvspark.audit.gradients import loss_and_gradient
from dvspark.errors import ConfigError, InputError
from dvspark.kernels.gradients.softmax_head import SoftmaxHead, fit_head, untrained_head
from dvspark.subsets import ADAPTIVE, CRITERIA, SubsetTraining
from dvspark.subsets.criteria import RIDGE, Asked, by_game, glister, grad_match
from dvspark.subsets.pursuit import matching_pursuit

RNG = np.random.default_rng(3)


def rows_of(n: int, n_classes: int = 3, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.append(np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)).astype(np.int32)
    return rng.normal(size=(n, 4)) + 2 * np.eye(n_classes, 4)[codes], codes


def asked_of(n: int, share: float, head: SoftmaxHead | None = None) -> Asked:
    rows, points = rows_of(n), rows_of(12, seed=2)
    some = head or replace(untrained_head(rows[0], 3), weights=np.random.default_rng(0).normal(size=(3, 5)))
    return Asked(some, rows, points, share, 0.3, np.random.default_rng(0))


def written(asked: Asked, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and gradients, row by row."""
    each = [loss_and_gradient(row, code, asked.head) for row, code in zip(rows[0], rows[1].tolist(), strict=True)]
    return np.array([loss for loss, _ in each]), np.stack([gradient for _, gradient in each])


@pytest.mark.parametrize("variant", ["chg", "gradient"])
def test_by_game__keeps_the_best_of_each_class_and_weighs_them_by_the_game_of_those_kept(variant: str) -> None:
    asked = asked_of(16, 0.5)
    codes = asked.rows[1]
    losses, gradients = written(asked, asked.rows)
    x = losses[:, None] * gradients if variant == "chg" else gradients
    kept, values = [], np.zeros(16)
    for code in range(3):
        own = np.flatnonzero(codes == code)
        values[own] = chg_coalition_values(x[own])
        kept += own[np.argsort(-values[own])[: -(-len(own) // 2)]].tolist()
    chosen = by_game(asked, variant)
    assert chosen.places.tolist() == sorted(kept)
    np.testing.assert_allclose(chosen.values, values[sorted(kept)], rtol=0, atol=1e-12)
    again = np.array(chg_coalition_values(x[sorted(kept)]))
    np.testing.assert_allclose(chosen.weights, (again - again.min()) / np.ptp(again), rtol=0, atol=1e-9)


def test_by_game__of_losses_keeps_the_hardest_of_each_class() -> None:
    asked = asked_of(40, 0.25)
    losses, _ = written(asked, asked.rows)
    chosen = by_game(asked, "hardness")
    for code in range(3):
        own = np.flatnonzero(asked.rows[1] == code)
        kept = [row for row in chosen.places.tolist() if row in own]
        assert set(kept) == set(own[np.argsort(-losses[own])[: -(-len(own) // 4)]].tolist())


def test_by_game__of_rows_alike_weighs_them_alike() -> None:
    rows = (np.ones((6, 4)), np.zeros(6, np.int32))
    asked = replace(asked_of(16, 0.5, untrained_head(rows[0], 1)), rows=rows)
    assert by_game(asked, "chg").weights.tolist() == [1.0] * 3


def test_glister__takes_row_by_row_what_lowers_the_validation_rows_loss_most() -> None:
    asked = asked_of(40, 0.2)
    _, gradients = written(asked, asked.rows)

    def loss(weights: np.ndarray) -> float:
        moved = replace(asked.head, weights=weights.reshape(3, 5))
        return float(written(replace(asked, head=moved), asked.points)[0].mean())

    at, taken = asked.head.weights.ravel(), list[int]()
    for _ in range(8):
        gains = [(loss(at - 1e-5 * one) - loss(at + 1e-5 * one)) / -2e-5 for one in gradients]
        taken.append(max((row for row in range(40) if row not in taken), key=lambda row: gains[row]))
        at = at - asked.learning_rate * gradients[taken[-1]] / 8
    assert glister(asked).places.tolist() == sorted(taken)


@pytest.mark.parametrize("ridge", [1e-9, 0.5])
def test_matching_pursuit__is_that_of_least_squares_solved_anew(ridge: float) -> None:
    rows, n = RNG.normal(size=(30, 8)), 6
    target = rows[[3, 7, 20]].sum(axis=0) + 0.1 * RNG.normal(size=8)
    taken, left, weights = list[int](), target, np.empty(0)
    for _ in range(n):
        gains = rows @ left
        gains[taken] = -np.inf
        if gains.max() <= 0:
            break
        taken.append(int(np.argmax(gains)))
        padded = np.vstack([rows[taken].T, np.sqrt(ridge) * np.eye(len(taken))])
        weights = np.linalg.lstsq(padded, np.append(target, np.zeros(len(taken))), rcond=None)[0]
        left = target - weights @ rows[taken]
    found, of_found = matching_pursuit(rows, target, n, ridge)
    assert found.tolist() == taken
    np.testing.assert_allclose(of_found, np.maximum(weights, 0), rtol=0, atol=1e-8)


def test_matching_pursuit__finds_a_sum_of_few_rows_and_ends_there() -> None:
    rows = np.eye(6)[:, :5]
    found, weights = matching_pursuit(rows, np.array([2.0, 0, 0, 1.0, 0]), 4, 1e-12)
    assert found.tolist() == [0, 3]
    np.testing.assert_allclose(weights, [2.0, 1.0], atol=1e-9)


def test_grad_match__comes_nearer_to_the_sum_of_each_class_than_drawn_rows() -> None:
    asked = asked_of(200, 0.1)
    features = asked.head.features(asked.rows[0])
    shares = np.exp(asked.head.log_probabilities(features))
    chosen = grad_match(asked)
    for code in range(3):
        own = asked.rows[1] == code
        gradients = (shares[:, code] - 1)[:, None] * features
        kept = np.isin(np.arange(200), chosen.places) & own
        gap = np.linalg.norm(gradients[own].sum(axis=0) - chosen.weights[own[chosen.places]] @ gradients[kept])
        drawn = np.flatnonzero(own)[: kept.sum()]
        by_chance = gradients[own].sum(axis=0) - own.sum() / kept.sum() * gradients[drawn].sum(axis=0)
        assert gap < np.linalg.norm(by_chance)
    assert RIDGE == 0.5  # the article's


@pytest.mark.parametrize("name", [*CRITERIA])
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_criteria__give_the_share_of_rows_each_once_with_weights_from_zero(name: str, share: float) -> None:
    asked = asked_of(90, share)
    chosen = CRITERIA[name](asked)
    sizes = np.bincount(asked.rows[1])
    n = {"full": 90, "glister": int(np.ceil(share * 90))}.get(name, int(np.ceil(share * sizes - 1e-9).sum()))
    assert len(set(chosen.places.tolist())) == len(chosen.places) == n
    assert (np.diff(chosen.places) > 0).all()
    assert (chosen.weights >= 0).all()
    assert len(chosen.weights) == len(chosen.values) == n


# --- training -------------------------------------------------------------------------------------------------


def test_trained__on_all_rows_does_as_well_as_the_head_at_its_minimum() -> None:
    rows, tested = rows_of(600), rows_of(300, seed=9)
    done = SubsetTraining("full", epochs=60, learning_rate=0.3).trained(rows)
    least = fit_head(*rows, 3)
    best = np.argmax(least.log_probabilities(least.features(tested[0])), axis=1) == tested[1]
    assert done.accuracy(tested) == pytest.approx(best.mean(), abs=0.02)
    assert done.seconds >= done.choosing == 0.0


@pytest.mark.parametrize("name", [*CRITERIA])
def test_trained__has_the_bits_of_its_seed(name: str) -> None:
    rows, points = rows_of(200), rows_of(50, seed=4)
    given: dict[str, Any] = {"share": 0.3, "epochs": 7, "every": 3, "batch_rows": 16}
    heads = [SubsetTraining(name, seed=seed, **given).trained(rows, points).head for seed in (1, 1, 2)]
    np.testing.assert_array_equal(heads[0].weights, heads[1].weights)
    assert (heads[0].weights != heads[2].weights).any()


def test_trained__by_chg_keeps_few_wrong_labels() -> None:
    x, codes = rows_of(600)
    x = x + 6 * np.eye(3, 4)[codes]
    wrong = np.arange(600) % 4 == 3
    rows = (x, np.where(wrong, (codes + 1) % 3, codes).astype(np.int32))
    spoiled = {
        name: wrong[SubsetTraining(name, 0.3, epochs=8, every=4, batch_rows=32).trained(rows).chosen.places].mean()
        for name in ("chg", "random")
    }
    assert spoiled["chg"] < 0.1 < spoiled["random"]


def test_trained__chooses_again_every_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = list[int]()

    def criterion(asked: Asked) -> Any:
        counted.append(len(asked.rows[1]))
        return CRITERIA["random"](asked)

    for every, times in ((20, 3), (1, 59), (58, 2), (100, 1)):
        counted.clear()
        monkeypatch.setitem(ADAPTIVE, "chg", criterion)
        monkeypatch.setitem(CRITERIA, "chg", criterion)
        SubsetTraining("chg", 0.5, epochs=60, every=every).trained(rows_of(30))
        assert len(counted) == times


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"criterion": "chgg"}, "did you mean 'chg'"),
        ({"share": 0.0}, "a number above 0, up to 1"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1}, "2 or more, for chg"),  # the rows of the first epoch are drawn: none would be chosen
        ({"every": 0}, "every"),
        ({"seed": -1}, "a whole number from 0"),
        ({"seed": 0.5}, "a whole number from 0"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"learning_rate": float("inf")}, "a finite number above 0"),
    ],
)
def test_trained__what_is_unusable_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SubsetTraining(**given).trained(rows_of(30))


def test_trained__steps_that_are_too_long_are_refused() -> None:
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(InputError, match="smaller learning rate"):
        SubsetTraining(learning_rate=1e308, epochs=5).trained(rows_of(60))
