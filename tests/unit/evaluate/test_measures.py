"""Measures against scikit-learn, SciPy and cases by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy

from dvspark.evaluate.measures import (
    auroc,
    band,
    found_by_rank,
    found_share,
    ideal_share,
    macro_recall,
    precision_at,
    rank_correlation,
)


@pytest.mark.parametrize("seed", range(5))
def test_auroc__is_that_of_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(seed)
    values, spoiled = draw.integers(0, 9, 80).astype(float), draw.random(80) < 0.3
    assert auroc(spoiled, values) == pytest.approx(metrics.roc_auc_score(spoiled, -values), abs=1e-14)


def test_auroc__counts_pairs() -> None:
    # Of 2 × 2 pairs: (1, 2) and (1, 3) right, (2, 2) half, (2, 3) right.
    assert auroc([True, True, False, False], [1, 2, 2, 3]) == 3.5 / 4
    assert math.isnan(auroc([False, False], [1, 2]))
    assert math.isnan(auroc([True, True], [1, 2]))


def test_found_by_rank__is_the_mean_over_all_orders_of_equal_values() -> None:
    spoiled, values = np.array([1, 0, 0, 1, 1]), np.array([2.0, 2.0, 2.0, 1.0, 3.0])
    orders = [order for order in itertools.permutations(range(5)) if np.all(np.diff(values[list(order)]) >= 0)]
    expected = np.mean([np.concatenate([[0], np.cumsum(spoiled[list(order)])]) for order in orders], axis=0)
    np.testing.assert_allclose(found_by_rank(spoiled, values), expected, atol=1e-14)


def test_precision_at__by_hand() -> None:
    spoiled, values = [True, False, True, False], [1.0, 2.0, 3.0, 4.0]
    assert [precision_at(spoiled, values, n) for n in (1, 2, 3, 4)] == [1.0, 0.5, 2 / 3, 0.5]
    assert precision_at(spoiled, [0.0] * 4, 1) == 0.5


def test_found_share__meets_ideal_and_random() -> None:
    spoiled = np.arange(20) < 4
    shares = [0.0, 0.1, 0.2, 0.5, 1.0]
    assert found_share(spoiled, np.arange(20.0), shares) == pytest.approx([ideal_share(0.2, one) for one in shares])
    assert found_share(spoiled, np.zeros(20), shares) == pytest.approx(shares)


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlation__is_that_of_scipy_and_of_the_formula(seed: int) -> None:
    draw = np.random.default_rng(seed)
    first, second = draw.permutation(30), draw.permutation(30)
    by_formula = 1 - 6 * ((first - second) ** 2).sum() / (30 * (30**2 - 1))
    assert rank_correlation(first, second) == pytest.approx(by_formula)
    tied = draw.integers(0, 4, 30)
    assert rank_correlation(tied, first) == pytest.approx(scipy.stats.spearmanr(tied, first).statistic)
    assert math.isnan(rank_correlation(np.zeros(30), first))


def test_rank_correlation__of_values_that_differ_by_rounding_alone_is_none() -> None:
    ranks, equal = np.arange(9.0), 1 / 9 + np.arange(9) * 2.0**-56
    assert np.ptp(equal) > 0
    assert math.isnan(rank_correlation(ranks, equal))
    assert math.isnan(rank_correlation(np.zeros(9), ranks))
    assert rank_correlation(ranks, 1 / 9 + 1e-12 * ranks) == 1.0


def test_macro_recall__is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(1)
    truth, predicted = draw.integers(0, 4, 50), draw.integers(0, 4, 50)
    assert macro_recall(truth, predicted) == pytest.approx(metrics.recall_score(truth, predicted, average="macro"))
    assert macro_recall(["a", "a", "b"], ["a", "b", "b"]) == 0.75


def test_band__by_hand() -> None:
    assert band([1.0, 2.0, 3.0]) == {"mean": 2.0, "sd": 1.0, "lowest": 1.0, "highest": 3.0}
    assert band([1.0])["sd"] == 0.0
