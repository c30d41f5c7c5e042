"""DVRL: its gradients against differences, what it learns of a planted reward, and that its seed alone decides."""

from __future__ import annotations

import numpy as np
import pytest
import threadpoolctl

import dvspark
from dvspark.kernels.formulas.dvrl import HIDDEN, Network

RNG = np.random.default_rng(8)
Y, T = RNG.integers(0, 2, 80), RNG.integers(0, 2, 60)
X, Z = (RNG.normal(size=(len(y), 3)) + 2.0 * y[:, None] for y in (Y, T))
OPTIONS = {"method": "dvrl", "steps": 30, "batch_rows": 50}


def drawn_network() -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(1)
    network = Network.drawn(rng, 5)
    network.weights[1] = rng.normal(size=HIDDEN + 1)
    return network, rng.normal(size=(12, 5))


def test_network__is_drawn_with_even_chances() -> None:
    network = Network.drawn(np.random.default_rng(0), 5)
    np.testing.assert_array_equal(network.chances(RNG.normal(size=(7, 5))), 0.5)


def test_follow__goes_along_the_slope_of_the_pulled_log_odds() -> None:
    network, inputs = drawn_network()
    pulls = np.random.default_rng(2).normal(size=12)

    def pulled(weights: list[np.ndarray]) -> float:
        chances = Network(weights).chances(inputs)
        return float(pulls @ np.log(chances / (1 - chances)))

    before = [one.copy() for one in network.weights]
    network.follow(inputs, pulls)
    for place in range(2):
        slope = network.means[place] / 0.1  # Adam's mean after its first step
        for index in list(np.ndindex(slope.shape))[::37]:
            ends = []
            for step in (-1e-6, 1e-6):
                moved = [one.copy() for one in before]
                moved[place][index] += step
                ends.append(pulled(moved))
            assert slope[index] == pytest.approx((ends[1] - ends[0]) / 2e-6, abs=1e-6)
        # The first step of Adam has one size for all weights that are pulled at all.
        moved_by, pulled_at = network.weights[place] - before[place], np.abs(slope) > 1e-3
        np.testing.assert_allclose(moved_by[pulled_at], 1e-3 * np.sign(slope)[pulled_at], rtol=1e-4)


def test_values__follow_from_the_seed_alone_for_any_number_of_threads() -> None:
    values = [dvspark.value_arrays(X, Y, Z, T, **OPTIONS)]
    for n_threads in (1, 2):
        with threadpoolctl.threadpool_limits(n_threads, "blas"):
            values.append(dvspark.value_arrays(X, Y, Z, T, **OPTIONS))
    assert len({one.tobytes() for one in values}) == 1
    assert values[0].tobytes() != dvspark.value_arrays(X, Y, Z, T, **OPTIONS, seed=1).tobytes()
    assert np.all((values[0] > 0) & (values[0] < 1))


def test_values__of_wrong_labels_are_lower_once_it_has_learned() -> None:
    y = np.where(np.arange(80) < 20, 1 - Y, Y)
    values = dvspark.value_arrays(X, y, Z, T, method="dvrl", steps=800)
    assert (values[:20, None] < values[None, 20:]).mean() > 0.75
