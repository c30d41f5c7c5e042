"""Estimators against enumeration of all coalitions, in games that theory knows and in games without structure.

Seeds are fixed, so a test gives the same answer each time. What is stated is the chance that a right estimator would
have failed under another seed (false alarm), and what a wrong one could hide (power).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle_games import banzhaf, beta, leave_one_out, shapley
from worked_games import AIRPORT_COSTS, GAMES, airport_shapley, exact_values, marginal_effect, random_game

from dvspark import value_game

CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("monte_carlo_shapley", {"sampling": "permutations"}, shapley),
    ("monte_carlo_shapley", {"sampling": "antithetic"}, shapley),
    ("monte_carlo_shapley", {"sampling": "stratified", "strata": 3}, shapley),
    ("group_testing_shapley", {}, shapley),
    ("monte_carlo_banzhaf", {}, banzhaf),
    ("monte_carlo_beta", {"alpha": 4, "beta": 1}, beta(4, 1)),
    ("monte_carlo_beta", {"alpha": 1, "beta": 4, "sampling": "stratified"}, beta(1, 4)),
    ("ame", {}, marginal_effect),
    ("ame", {"fit": "corrected"}, marginal_effect),
    ("leave_one_out", {}, leave_one_out),
]
IDS = [f"{name}{''.join(f'-{word}' for word in parameters.values())}" for name, parameters, _ in CASES]

# A value is off by more than 5.5 standard errors with a chance of 4e-8; of some 280 values here, with 1e-5.
FALSE_ALARM = 5.5


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize(("method", "parameters", "weights"), CASES, ids=IDS)
def test_values__are_those_of_all_coalitions(method: str, parameters: dict, weights: Any, game: str) -> None:
    utility, n_players = GAMES[game]
    result = value_game(utility, n_players, method, 20_000, 1, **parameters)
    exact = exact_values(utility, n_players, weights)
    # Power: a bias of 5.5 + 3 standard errors, at most 0.2 in games worth 8, is missed with a chance of 1e-3.
    assert np.abs(result.values - exact).max() <= FALSE_ALARM * result.standard_errors.max() + 1e-12
    assert result.standard_errors.max() <= 0.03 * max(1.0, np.ptp(result.utility))


def test_airport__is_shared_by_those_who_need_a_stretch() -> None:
    utility, n_players = GAMES["airport"]
    assert np.allclose(exact_values(utility, n_players, shapley), airport_shapley())
    result = value_game(utility, n_players, evaluations=50_000, epsilon=0.2, utility_range=max(AIRPORT_COSTS))
    # False alarm: the bound is off with a chance of at most delta = 0.05, and in fact of far less.
    assert np.abs(result.values - airport_shapley()).max() <= result.error_bound


def test_additive_game__has_no_error_along_orders() -> None:
    utility, n_players = GAMES["additive"]
    for sampling in ("permutations", "antithetic", "stratified"):
        result = value_game(utility, n_players, evaluations=500, sampling=sampling)
        assert np.abs(result.values - 2.0 ** np.arange(4)).max() < 1e-12
        assert result.standard_errors.max() < 1e-15


@pytest.mark.long
@pytest.mark.parametrize(("method", "parameters", "weights"), CASES[:-1], ids=IDS[:-1])
def test_intervals__cover_in_93_to_97_of_100_games(method: str, parameters: dict, weights: Any) -> None:
    """Of 200 games of 6 values each, right intervals of 95 % fail this with a chance of about 1 in 200."""
    covered = []
    for seed in range(200):
        game = random_game(6, seed)
        exact = exact_values(game, 6, weights)
        low, high = value_game(game, 6, method, 1_000, seed, **parameters).intervals(0.95).T
        covered.append((low <= exact) & (exact <= high))
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(("method", "parameters", "weights"), CASES[:4], ids=IDS[:4])
def test_shapley__sums_to_what_all_players_add(method: str, parameters: dict, weights: Any) -> None:
    utility, n_players = GAMES["random"]
    result = value_game(utility, n_players, method, 300, 4, **parameters)
    assert result.values.sum() == pytest.approx(result.utility[0] - result.utility[1], abs=1e-13)


def test_stratified_draw__has_every_player_once_in_each_stretch_of_places() -> None:
    from dvspark.games.estimators.permutations import Permutations

    estimator = Permutations(12, sampling="stratified", strata=4)
    orders = estimator.orders(np.random.default_rng(0).permutation(12))
    places = np.array([np.argsort(order) for order in orders])  # where each player joins
    assert (np.sort(places // 3, axis=0) == np.arange(4)[:, None]).all()


def test_antithetic_draw__is_an_order_and_its_reverse() -> None:
    from dvspark.games.estimators.permutations import Permutations

    first, second = Permutations(5).orders(np.array([3, 1, 4, 0, 2]))
    assert second.tolist() == first.tolist()[::-1]


def test_truncation__is_told_of_and_leaves_evaluations_out() -> None:
    utility, n_players = GAMES["airport"]
    whole = value_game(utility, n_players, evaluations=1_000)
    result = value_game(utility, n_players, evaluations=1_000, truncation=0.5, utility_range=8.0)
    assert "truncation" in result.biased
    assert whole.biased == ""
    assert result.error_bound is None  # no bound covers a bias
    assert result.n_draws > whole.n_draws  # the budget goes farther
    assert result.n_evaluations <= 1_000


def test_one_player__has_all_that_is_added() -> None:
    for method, parameters, _ in CASES:
        result = value_game(lambda players: 3.0 + 2.0 * len(players), 1, method, **parameters)
        assert result.values.tolist() == [2.0], method
        assert result.standard_errors.tolist() == [0.0], method


def test_one_worth_for_all__has_values_and_errors_of_exactly_zero() -> None:
    for method, parameters, _ in CASES:
        result = value_game(lambda players: 0.1, 6, method, 3_000, **parameters)
        assert not result.values.any(), method
        assert not result.standard_errors.any(), method


@pytest.mark.parametrize(("method", "parameters", "weights"), CASES[:-1], ids=IDS[:-1])
@pytest.mark.parametrize("unit", [1e-110, 1e-200, 1e-300])
def test_tiny_worths__have_errors_though_their_squares_are_0(
    method: str, parameters: dict, weights: Any, unit: float
) -> None:
    game = random_game(4, 3)
    tiny = value_game(lambda players: unit * game(players), 4, method, 1_000, 1, **parameters)
    low, high = tiny.intervals(0.999).T
    exact = unit * exact_values(game, 4, weights)
    assert ((low <= exact) & (exact <= high)).all()
    assert (tiny.standard_errors > 0).all()
    stopped = value_game(
        lambda players: unit * game(players), 4, method, 1_000, 1, standard_error=unit / 1e3, **parameters
    )
    assert stopped.stopped_by == "evaluations"


def test_degrees_of_freedom__are_the_same_in_every_unit() -> None:
    game = random_game(4, 3)
    plain, tiny = (
        value_game(lambda players, unit=unit: unit * game(players), 4, "monte_carlo_banzhaf", 200)  # type: ignore[misc]
        for unit in (1.0, 2.0**-300)
    )
    assert (tiny.intervals(0.95) == plain.intervals(0.95) * 2.0**-300).all()
