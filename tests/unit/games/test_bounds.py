"""Bounds: the formulas against their sources' numbers, and how often they hold in games whose values are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from oracle_games import banzhaf, shapley
from worked_games import exact_values, marginal_effect, random_game

from dvspark import value_game
from dvspark.games.bounds import Promise, bernstein_error, draws_within, empirical_bernstein_error, hoeffding_error
from dvspark.games.estimators.group_testing import GroupTesting
from dvspark.games.estimators.permutations import Permutations
from dvspark.games.utility import Ends


def test_hoeffding_count__is_that_of_the_spec() -> None:
    """T >= (2 r² / epsilon²) ln(2 n / delta)."""
    found = Permutations(1_000, bound="hoeffding").enough_draws(Ends(1.0, 0.0), Promise(0.1, 0.05, 0.01))
    assert found == math.ceil(2 * 0.1**2 / 0.01**2 * math.log(2 * 1_000 / 0.05))


def test_draws_within__is_the_least_number() -> None:
    for epsilon in (0.9, 0.5, 0.1, 0.003):
        found = draws_within(lambda n: 1 / n, epsilon)
        assert 1 / found <= epsilon < 1 / (found - 1 or 0.5)


# Methods whose bound follows from the number of draws.
of_counted_draws = pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("monte_carlo_shapley", {"bound": "hoeffding"}),
        ("monte_carlo_beta", {"bound": "hoeffding"}),
        ("group_testing_shapley", {}),
        ("monte_carlo_banzhaf", {}),
        ("ame", {}),
        ("data_oob", {}),
    ],
)


@of_counted_draws
@pytest.mark.parametrize("epsilon", [None, 0.5])
def test_bound__holds_at_every_range_with_which_a_standard_error_may_end_the_game(
    method: str, parameters: dict, epsilon: float | None
) -> None:
    size = 16 if method in ("monte_carlo_shapley", "monte_carlo_beta", "data_oob") else 64
    given = {"utility_range": 1.0, "seed": 1, **parameters}
    found = value_game(Uneven(), 4, method, 30_000, epsilon=epsilon, standard_error=1e-9, **given)
    number = -(-found.n_draws // size)
    alone = value_game(Uneven(), 4, method, found.n_evaluations, delta=0.05 / (number * (number + 1)), **given)
    assert (found.n_draws, found.error_bound) == (alone.n_draws, alone.error_bound)
    if epsilon is not None:
        assert found.stopped_by == "epsilon"
        assert found.error_bound <= epsilon


@of_counted_draws
@pytest.mark.parametrize(("epsilon", "utility_range"), [(1e-200, 1.0), (5e-324, 1.0), (1.0, 1e300)])
def test_promise_that_no_draws_keep__leaves_the_budget_to_end_the_game(
    method: str, parameters: dict, epsilon: float, utility_range: float
) -> None:
    result = value_game(Bags(), 4, method, 400, epsilon=epsilon, utility_range=utility_range, **parameters)
    assert result.stopped_by == "evaluations"
    assert result.error_bound > epsilon


class Bags:
    """A utility with scores of rows."""

    def __call__(self, players: np.ndarray) -> float:
        return 0.2 * len(players)

    def scores(self, bag: np.ndarray) -> np.ndarray:
        return np.full(4, bag.sum() / 12)


class Uneven(Bags):
    """One without structure, so that no two draws cancel out."""

    def __call__(self, players: np.ndarray) -> float:
        return random_game(4, 5)(players)


def test_bernstein__is_the_inverse_of_its_tail() -> None:
    error = bernstein_error(500, 10, variance=0.3, size=2.0, delta=0.05)
    tail = math.exp(-500 * error**2 / (2 * (0.3 + 2.0 * error / 3)))
    assert 2 * 10 * tail == pytest.approx(0.05)


def test_group_testing__has_at_most_the_variance_that_its_bound_assumes() -> None:
    """The largest variance of games with worths in [0, 1], by enumeration of all coalitions and sizes."""
    from itertools import combinations

    n, largest = 6, 0.0
    estimator = GroupTesting(n)
    for seed in range(20):
        game = random_game(n, seed)
        worths = np.random.default_rng(seed).integers(0, 2, 2**n).astype(float) if seed % 2 else None
        mean, square = np.zeros(n), np.zeros(n)
        center = 0.5
        for k in range(1, n):
            chance = (1 / k + 1 / (n - k)) / estimator.z / math.comb(n, k)
            for players in combinations(range(n), k):
                worth = game(np.array(players)) if worths is None else worths[sum(1 << p for p in players)]
                x = estimator.z * (worth - center) * (np.isin(np.arange(n), players) - k / n)
                mean += chance * x
                square += chance * x * x
        largest = max(largest, (square - mean**2).max())
    bound = estimator.z * 0.5**2 * (1 - 1 / n)  # worths within 1 whose ends are 1 apart: h = 1/2
    assert 0.9 * bound < largest <= bound * (1 + 1e-12)


def test_group_testing_count__keeps_its_promise() -> None:
    promise = Promise(1.0, 0.05, 0.1)
    n_draws = GroupTesting(10).enough_draws(Ends(1.0, 0.0), promise)
    assert n_draws is not None
    assert GroupTesting(10).error_after(n_draws, Ends(1.0, 0.0), promise) <= 0.1
    assert GroupTesting(10).error_after(n_draws - 1, Ends(1.0, 0.0), promise) > 0.1
    wider = GroupTesting(10).enough_draws(Ends(0.0, 0.0), promise)  # nothing is known of where worths lie
    assert wider is not None
    assert wider > 2 * n_draws


def test_empirical_bernstein__is_smaller_where_draws_vary_little() -> None:
    small = empirical_bernstein_error(10_000, np.full(20, 1e-4), 1.0, 0.05, 100)
    assert small < 0.3 * hoeffding_error(10_000, 20, 1.0, 0.05)
    assert empirical_bernstein_error(1, np.full(20, np.inf), 1.0, 0.05, 1) == math.inf


@pytest.mark.parametrize(
    ("method", "parameters", "weights"),
    [
        ("monte_carlo_shapley", {"bound": "hoeffding"}, shapley),
        ("monte_carlo_shapley", {"bound": "empirical_bernstein"}, shapley),
        ("group_testing_shapley", {}, shapley),
        ("monte_carlo_banzhaf", {}, banzhaf),
        ("ame", {}, marginal_effect),
    ],
)
def test_bound__is_kept_where_draws_stop_by_it(method: str, parameters: dict, weights) -> None:
    """False alarm: at most delta = 0.01 a game, of 10 games: 0.1; bounds are wide, so in fact far less."""
    for seed in range(10):
        game = random_game(4, seed)
        result = value_game(game, 4, method, 500_000, seed, epsilon=0.15, delta=0.01, utility_range=1.0, **parameters)
        assert result.stopped_by == "epsilon"
        assert result.error_bound <= 0.15
        assert np.abs(result.values - exact_values(game, 4, weights)).max() <= 0.15
