"""Rules end a game where they say, whoever plays the ranges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from worked_games import random_game

from dvspark import ConfigError, value_game
from dvspark.games.bounds import Promise
from dvspark.games.draws import Drawn, Draws
from dvspark.games.estimators.permutations import Permutations
from dvspark.games.estimators.sample_reuse import SampleReuse
from dvspark.games.moments import Moments
from dvspark.games.playing import Rules, play
from dvspark.games.totals import Totals
from dvspark.games.utility import Worths


def nothing(_totals: Totals) -> None:
    """Keep nothing."""


METHODS = ("monte_carlo_shapley", "group_testing_shapley", "monte_carlo_banzhaf", "monte_carlo_beta")


@pytest.mark.parametrize("method", METHODS)
def test_seed__decides_every_bit(method: str) -> None:
    game = random_game(6, 0)
    first, again, other = (value_game(game, 6, method, 2_000, seed) for seed in (3, 3, 4))
    assert first.values.tobytes() == again.values.tobytes()
    assert first.standard_errors.tobytes() == again.standard_errors.tobytes()
    assert first.values.tobytes() != other.values.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("evaluations", [77, 1_000, 1_234])
def test_budget__is_never_exceeded_and_used_up(method: str, evaluations: int) -> None:
    n_calls = 0
    game = random_game(4, 0)

    def utility(players: np.ndarray) -> float:
        nonlocal n_calls
        n_calls += 1
        return game(players)

    result = value_game(utility, 4, method, evaluations)
    assert result.n_evaluations == n_calls <= evaluations
    assert result.n_evaluations > evaluations - 6  # less than one more draw
    assert result.stopped_by == "evaluations"


def test_budget_too_small__is_refused_with_the_least() -> None:
    with pytest.raises(ConfigError, match="at least 398 for 100 players"):
        value_game(lambda players: 0.0, 100, evaluations=300)
    assert value_game(lambda players: 0.0, 100, evaluations=398).n_draws == 2
    with pytest.raises(ConfigError, match="at least 102 for 100 players"):
        value_game(lambda players: 0.0, 100, "leave_one_out", evaluations=101)


def test_standard_error__stops_when_no_value_has_a_larger_one() -> None:
    result = value_game(random_game(6, 2), 6, evaluations=10**6, standard_error=0.01)
    assert result.stopped_by == "standard_error"
    assert result.standard_errors.max() <= 0.01
    assert result.n_evaluations < 100_000
    before = value_game(random_game(6, 2), 6, evaluations=result.n_evaluations - 16 * 2 * 5)
    assert before.standard_errors.max() > 0.01  # a range before


def test_rules__do_not_trust_a_few_draws() -> None:
    result = value_game(lambda players: float(len(players)), 6, standard_error=10.0)  # of two draws the error is 0
    assert (result.stopped_by, result.n_draws) == ("standard_error", 32)


def test_error_bound__holds_where_draws_that_agree_end_a_game() -> None:
    """One coalition of 256 is worth something: 32 orders pass it by, and say nothing of it in their standard errors."""
    rare = lambda players: float(players.tolist() == [0, 3, 4, 6, 7])  # noqa: E731
    result = value_game(rare, 8, standard_error=0.02, utility_range=1.0)
    assert (result.stopped_by, result.n_draws) == ("standard_error", 32)
    assert not result.standard_errors.any()
    assert not result.values.any()
    assert result.error_bound is not None
    assert result.error_bound > 1 / 168  # what the three players outside of it take away


def test_utility_range_that_is_too_small__is_refused() -> None:
    with pytest.raises(ConfigError, match="utility_range"):
        value_game(lambda players: 3.0 * len(players), 4, utility_range=1.0)


@pytest.mark.parametrize("method", ["monte_carlo_shapley", "monte_carlo_beta"])
def test_truncation_that_nobody_gets_past__is_refused(method: str) -> None:
    """Its draws cost nothing, so no budget would end them."""
    for utility in (lambda players: 1.0, lambda players: 0.1 * min(len(players), 1)):
        with pytest.raises(ConfigError, match="the distance of U"):
            value_game(utility, 4, method, truncation=0.1)
    assert value_game(lambda players: 1.0, 1, method, truncation=0.1).values.tolist() == [0.0]


def test_all_problems__are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        value_game(None, 0, "monte_carlo_shaply", -1, -2)  # type: ignore[arg-type]
    assert [problem.where for problem in caught.value.problems] == [
        "method", "utility", "n_players", "evaluations", "seed"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="utility_range"):
        value_game(len, 3, epsilon=0.1)
    with pytest.raises(ConfigError, match="parameter 'strata'"):
        value_game(len, 3, strata=0)
    with pytest.raises(ConfigError, match="leave it out"):
        value_game(len, 3, "leave_one_out", epsilon=0.1)
    with pytest.raises(ConfigError, match="cache"):
        value_game(len, 3, cache="yes")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="confidence"):
        value_game(len, 3).intervals(95)


@pytest.mark.parametrize("estimator", [Permutations(5), SampleReuse(5)], ids=["permutations", "sample reuse"])
def test_ranges__may_be_played_by_anybody_in_any_order(estimator) -> None:
    game = random_game(5, 7)
    rules = Rules(5_000, promise=Promise(1.0, 0.05))

    def one_process(stretches: Sequence[Drawn]) -> Iterable[Totals]:
        return [estimator.totals(one, 9, worths, ends) for one in stretches]

    def others_backwards(stretches: Sequence[Drawn]) -> Iterable[Totals]:
        found = {one: estimator.totals(one, 9, Worths(game, 5), ends) for one in reversed(stretches)}
        return [found[one] for one in stretches]

    worths = Worths(game, 5)
    ends = worths.ends()
    begun = Totals.of_ends(estimator.n_moments, 5, ends)
    first, other = (play(estimator, rules, ends, begun, by, nothing).totals for by in (one_process, others_backwards))
    for one, another in zip(first.moments, other.moments, strict=True):
        assert one.mean.tobytes() == another.mean.tobytes()
        assert one.squares.tobytes() == another.squares.tobytes()
    assert first.n_asked == other.n_asked


def test_stopped_game__goes_on_to_the_bits_of_one_that_was_not_stopped() -> None:
    estimator, game = Permutations(5), random_game(5, 7)
    worths = Worths(game, 5)
    ends = worths.ends()

    def by(stretches: Sequence[Drawn]) -> Iterable[Totals]:
        return (estimator.totals(one, 9, worths, ends) for one in stretches)

    begun = Totals.of_ends(1, 5, ends)
    whole = play(estimator, Rules(5_000), ends, begun, by, nothing).totals
    range_cost = estimator.range_draws * estimator.draw_cost
    part = play(estimator, Rules(2 + 7 * range_cost), ends, begun, by, nothing).totals
    assert part.n_ranges == 7
    assert play(estimator, Rules(5_000), ends, part, by, nothing).totals.moments[0].mean.tobytes() == (
        whole.moments[0].mean.tobytes()
    )


def test_moments__are_those_of_numpy_however_they_are_cut() -> None:
    draws = np.random.default_rng(0).normal(5.0, 2.0, (1_000, 3))
    cut = Moments.none(3)
    for start in range(0, 1_000, 170):
        cut = cut.plus(Moments.of(draws[start : start + 170]))
    assert cut.n.tolist() == [1_000] * 3
    assert np.allclose(cut.mean, draws.mean(axis=0), rtol=1e-14)
    assert np.allclose(cut.variance, draws.var(axis=0, ddof=1), rtol=1e-13)
    marks = draws[:, ::-1] > 5
    marked = Moments.of(draws[:, :1], marks)
    for j in range(3):
        assert marked.mean[j] == pytest.approx(draws[marks[:, j], 0].mean())
        assert marked.variance[j] == pytest.approx(draws[marks[:, j], 0].var(ddof=1))
    assert Moments.of(np.full((7, 2), 0.1)).squares.tolist() == [0.0, 0.0]


def test_draws__are_uniform_and_the_same_in_every_version_of_numpy() -> None:
    draws = Draws(0, 5)
    assert draws.order(5).tolist() == [1, 0, 3, 2, 4]
    assert draws.words(2).tolist() == [8440429330712082251, 3851232636155447506]
    orders = np.array([Draws(1, number).order(4) for number in range(4_000)])
    counts = np.bincount((orders * [64, 16, 4, 1]).sum(axis=1), minlength=256)
    counts = counts[counts > 0]
    assert len(counts) == 24
    # Chi square with 23 degrees of freedom: above 58 with a chance of 1e-4.
    assert ((counts - 4_000 / 24) ** 2 / (4_000 / 24)).sum() < 58
    halves = np.array([Draws(2, number).halves(70) for number in range(2_000)])
    # 70 × 2,000 fair coins: a player's share is off by 0.057 (5.1 standard errors) with a chance of 4e-7.
    assert np.abs(halves.mean(axis=0) - 0.5).max() < 0.057
    numbers = Draws(3, 0).uniform(10_000)
    assert 0 <= numbers.min() <= numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 5 / np.sqrt(12 * 10_000)
    assert all(Draws(4, number).of_size(9, 4).sum() == 4 for number in range(20))
