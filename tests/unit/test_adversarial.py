"""Adversarial rows: slopes against differences, and heads that are led astray."""

from __future__ import annotations

import numpy as np
import pytest

from dvspark.kernels.gradients.softmax_head import SoftmaxHead, fit_head
from tests.bench.reproductions.adversarial import STEP, fast_gradient_sign, iterative_l2, loss_slopes


@pytest.fixture(scope="module")
def fitted() -> tuple[SoftmaxHead, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 3, 200).astype(np.int32)
    x = draw.normal(size=(200, 5)) + 3 * np.eye(3, 5)[codes] + 20
    return fit_head(x, codes, 3), x, codes


Fitted = tuple[SoftmaxHead, np.ndarray, np.ndarray]


def losses(head: SoftmaxHead, x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return -head.log_probabilities(head.features(x))[np.arange(len(x)), codes]


def accuracy(head: SoftmaxHead, x: np.ndarray, codes: np.ndarray) -> float:
    return float(np.mean(head.log_probabilities(head.features(x)).argmax(axis=1) == codes))


def test_loss_slopes__are_differences_of_losses(fitted: Fitted) -> None:
    head, x, codes = fitted
    found, step = loss_slopes(head, x, codes), 1e-6
    for feature in range(x.shape[1]):
        moved = step * np.eye(x.shape[1])[feature]
        differences = (losses(head, x + moved, codes) - losses(head, x - moved, codes)) / (2 * step)
        np.testing.assert_allclose(found[:, feature], differences, atol=1e-7)


def test_fast_gradient_sign__moves_each_feature_by_the_step_and_raises_losses(fitted: Fitted) -> None:
    head, x, codes = fitted
    moved = fast_gradient_sign(head, x, codes, 0.5)
    np.testing.assert_allclose(np.abs(moved - x), 0.5)
    assert np.all(losses(head, moved, codes) > losses(head, x, codes))


def test_iterative_l2__leads_every_row_astray_by_a_shorter_way(fitted: Fitted) -> None:
    head, x, codes = fitted
    moved = iterative_l2(head, x, codes)
    assert accuracy(head, x, codes) > 0.9
    assert accuracy(head, moved, codes) == 0.0
    lengths = np.linalg.norm(moved - x, axis=1)
    wrong = head.log_probabilities(head.features(x)).argmax(axis=1) != codes
    assert np.all(lengths[wrong] == 0)
    signed = fast_gradient_sign(head, x, codes, 3.0)
    assert accuracy(head, signed, codes) < 0.2
    assert lengths.mean() < np.linalg.norm(signed - x, axis=1).mean()
    # Not farther than needed: one step back, most rows are still told rightly.
    back = moved - STEP * head.scale * (moved - x) / np.where(lengths > 0, lengths, 1.0)[:, None]
    assert np.mean(head.log_probabilities(head.features(back)).argmax(axis=1)[~wrong] == codes[~wrong]) > 0.5
