"""Rank weights of Banzhaf and Beta values: enumeration for few rows, mpmath for ten million."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_games import Point, SizeWeights, banzhaf, beta, nearest_game, semivalues

from dvspark.errors import ConfigError
from dvspark.kernels.formulas.knn_banzhaf import KnnBanzhaf
from dvspark.kernels.formulas.knn_beta import KnnBeta
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.semivalues import UTILITIES, running_sums
from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.kernels.ranking.rank_values import rank_values
from dvspark.kernels.ranking.rank_weights import RankWeights

MANY = 10_000_000
SHAPES = ((1.0, 1.0), (16.0, 1.0), (4.0, 1.0), (1.0, 4.0), (0.5, 0.5), (1.0, 16.0))
SMALLEST = 1e-300
POSITIVES = st.fractions(Fraction(1, 8), 20, max_denominator=8)


def kernel_of(shape: tuple[Any, Any] | None) -> tuple[Any, dict[str, float], SizeWeights]:
    """Return the kernel, its own parameters and the oracle's weights; None is Banzhaf."""
    if shape is None:
        return KnnBanzhaf, {}, banzhaf
    return KnnBeta, {"alpha": float(shape[0]), "beta": float(shape[1])}, beta(*shape)


@given(
    flags=st.lists(st.booleans(), min_size=1, max_size=7),
    k=st.integers(1, 9),
    utility=st.sampled_from(UTILITIES),
    n_classes=st.integers(1, 4),
    shape=st.one_of(st.none(), st.tuples(POSITIVES, POSITIVES)),
)
def test_rank_weights__give_the_enumerated_semivalues(
    flags: list[bool], k: int, utility: str, n_classes: int, shape: Any
) -> None:
    kernel, own, size_weights = kernel_of(shape)
    rows, matches = range(len(flags)), np.array(flags)
    point = Point([Fraction(row) for row in rows], list(rows), flags)
    game = nearest_game(point, k=k, utility=utility, n_classes=n_classes)
    values = semivalues(rows, game, size_weights)
    expected = np.array([float(values[row]) for row in rows])
    parameters = {"k": k, "utility": utility, "n_classes": n_classes, **own}
    found = rank_values(matches, kernel(**parameters).rank_weights(len(flags)), np.empty(len(flags)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    recursive = kernel(**parameters).recursive_values(matches.astype(np.float64))
    np.testing.assert_allclose(recursive, expected, rtol=0, atol=1e-13)
    full, empty = kernel(**parameters).utilities(float(matches[:k].sum()), len(flags))
    assert full == pytest.approx(float(game(rows)), abs=1e-15)
    assert empty == pytest.approx(float(game([])), abs=1e-15)


# The smallest and largest that the parameters accept, and some between.
EXTREMES = ["0.000000001", "0.0000001", "0.001", "1", "1000", "1000000"]


@pytest.mark.parametrize("utility", UTILITIES)
@pytest.mark.parametrize("k", [1, 2, 9])
def test_rank_weights__of_very_small_and_very_large_shapes_are_those_of_all_coalitions(utility: str, k: int) -> None:
    rows, flags = range(6), [True, False, True, False, True, True]
    point = Point([Fraction(row) for row in rows], list(rows), flags)
    game = nearest_game(point, k=k, utility=utility, n_classes=3)
    for shape in itertools.product(EXTREMES, EXTREMES):
        values = semivalues(rows, game, beta(*shape))
        kernel = KnnBeta(k=k, utility=utility, n_classes=3, alpha=float(shape[0]), beta=float(shape[1]))
        found = rank_values(np.array(flags), kernel.rank_weights(6), np.empty(6))
        np.testing.assert_allclose(found, [float(values[row]) for row in rows], rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [None, *SHAPES])
@pytest.mark.parametrize("utility", UTILITIES)
def test_recursive_values__agree_with_the_weights_on_many_rows(shape: Any, utility: str) -> None:
    kernel, own, _ = kernel_of(shape)
    for n, k in ((200_000, 10), (5_000, 700), (3_000, 2_999), (900, 2_000)):
        matches = np.random.default_rng(n).random(n) < 0.4
        parameters = {"k": k, "utility": utility, "n_classes": 5, **own}
        found = rank_values(matches, kernel(**parameters).rank_weights(n), np.empty(n))
        recursive = kernel(**parameters).recursive_values(matches.astype(np.float64))
        np.testing.assert_allclose(found, recursive, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 10, 11, 2_000])
def test_rank_weights__of_beta_1_1_are_those_of_shapley(n: int) -> None:
    one = {"alpha": 1.0, "beta": 1.0, "n_classes": 3}
    for k in (1, 10, 300):
        pairs = [
            (KnnBeta(k, utility="jia2019", **one).rank_weights(n), KnnShapley(k).rank_weights(n)),
            (
                KnnBeta(k, utility="wang2023", **one).rank_weights(n),
                SoftKnnShapley(k, n_classes=3).rank_weights(n),
            ),
        ]
        for found, shapley in pairs:
            for name in ("own", "suffix", "match", "shared", "constant"):
                np.testing.assert_allclose(getattr(found, name), getattr(shapley, name), rtol=0, atol=1e-15)


class Exact:
    """The weights of section 7 in 50 digits, from log-gamma functions and direct sums."""

    def __init__(self, n: int, k: int, shape: tuple[float, float] | None) -> None:
        self.mp = pytest.importorskip("mpmath").mp.clone()
        self.mp.dps = 50
        self.n, self.k, self.shape = n, k, shape

    def joins(self, n: int, s: int, coefficient: int, extra: int = 0) -> Any:
        """Return C(coefficient, s) m(s + extra, n - s - extra)."""
        mp, joined = self.mp, s + extra
        choose = mp.exp(mp.loggamma(coefficient + 1) - mp.loggamma(s + 1) - mp.loggamma(coefficient - s + 1))
        if self.shape is None:
            return choose * mp.mpf(2) ** -n
        a, b = map(mp.mpf, self.shape)
        moment = mp.loggamma(joined + b) + mp.loggamma(n - joined + a) - mp.loggamma(n + a + b)
        return choose * mp.exp(moment + mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b))

    def suffix(self, rank: int) -> Any:
        return self.joins(rank - 1, self.k - 1, rank - 2, extra=1) / self.k if rank > self.k else self.mp.mpf(0)

    def own(self, rank: int) -> Any:
        return sum(self.joins(rank - 1, s, rank - 1) for s in range(min(self.k, rank))) / self.k

    def match(self) -> Any:
        inverse = self.mp.mpf(1)
        return sum(
            self.joins(self.n - 2, s, self.n - 2) * (inverse / (s + 1) - inverse / self.k) for s in range(self.k)
        )

    def shared(self) -> Any:
        return -sum(self.joins(self.n - 1, s, self.n - 1) / (s + 1) for s in range(1, self.k)) / (self.n - 1)

    def constant(self, n_classes: int) -> Any:
        return -self.joins(self.n - 1, 0, self.n - 1) / n_classes


def assert_exact(found: float, expected: Any) -> None:
    if abs(expected) > SMALLEST:
        assert abs(float(found / expected - 1)) < 1e-12


@pytest.mark.parametrize("shape", [None, *SHAPES])
def test_rank_weights__of_ten_million_rows_are_those_of_mpmath(shape: Any) -> None:
    k, n_classes = 10, 7
    exact = Exact(MANY, k, shape)
    kernel, own, _ = kernel_of(shape)
    weights: RankWeights = kernel(k, utility="wang2023", n_classes=n_classes, **own).rank_weights(MANY)
    ranks = np.unique([1, 2, *range(k, k + 6), 20, 40, 900, *np.geomspace(k + 6, MANY, 30).astype(int), MANY - 1])
    for rank in map(int, ranks):
        assert_exact(weights.suffix[rank - 1], exact.suffix(rank))
        assert_exact(weights.own[rank - 1], exact.own(rank))
    assert_exact(weights.match, exact.match())
    assert_exact(weights.shared, exact.shared())
    assert_exact(weights.constant, exact.constant(n_classes))
    assert np.all(weights.suffix >= 0)
    assert np.all(weights.own[1:] <= weights.own[:-1])


def test_rank_weights__of_many_neighbors_neither_overflow_nor_vanish() -> None:
    # Of 2 k or fewer rows, it is mostly not the k-th that decides but that fewer than k join.
    for n, k in ((30_000, 20_000), (39_990, 20_000), (60_000, 20_000)):
        exact = Exact(n, k, None)
        weights = KnnBanzhaf(k, utility="jia2019", n_classes=2).rank_weights(n)
        for rank in (k + 2, int(1.4 * k), n):
            assert_exact(weights.suffix[rank - 1], exact.suffix(rank))
        assert np.all(np.isfinite(weights.own))
        np.testing.assert_allclose(-np.diff(weights.own), weights.suffix[1:], rtol=0, atol=1e-17)


def test_running_sums__are_rounded_a_few_hundred_times_only() -> None:
    for n in (0, 1, 63, 64, 65, 4_096, 4_097, 66_000):
        numbers = np.random.default_rng(n).random(n)
        np.testing.assert_allclose(running_sums(numbers), np.cumsum(numbers), rtol=1e-12)
    tenths = running_sums(np.full(3_000_000, 0.1))
    assert abs(tenths[-1] - 300_000.0) < 1e-7 < abs(np.cumsum(np.full(3_000_000, 0.1))[-1] - 300_000.0)


def test_rank_weights__refuse_an_unknown_utility() -> None:
    formulas = KnnBanzhaf(1, "soft", 2)
    for call, arguments in ((formulas.rank_weights, (5,)), (formulas.utilities, (1.0, 5))):
        with pytest.raises(ConfigError, match="'jia2019', 'wang2023'"):
            call(*arguments)
