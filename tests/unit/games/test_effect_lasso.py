"""The LASSO of marginal effects: what it minimizes, the few players that it finds, and its corrected effects."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from worked_games import marginal_effect, random_game

from dvspark import ConfigError, value_game
from dvspark.games.draws import Draws
from dvspark.games.estimators.effect_lasso import EffectRecord, lasso_effects

N_PLAYERS, V = 120, 125 / 24
EFFECTS = np.zeros(N_PLAYERS)
EFFECTS[[3, 50, 77, 119]] = [0.5, -0.4, 0.3, -0.6]


def sparse(players: np.ndarray) -> float:
    """Return a sum of four players, and a little of all."""
    return float(EFFECTS[players].sum()) + 0.02 * math.sin(float(players.sum()))


def drawn_record(n_draws: int) -> EffectRecord:
    draws = Draws(5, 0)
    chances = np.array([0.2, 0.4, 0.6, 0.8])[(draws.uniform(n_draws) * 4).astype(int)]
    joined = np.array([draws.uniform(N_PLAYERS) < chance for chance in chances])
    return EffectRecord(np.array([sparse(np.flatnonzero(row)) for row in joined]), chances, joined)


def test_record__comes_back_as_it_was_packed() -> None:
    record = drawn_record(9)
    again = EffectRecord.unpacked(record.packed(), N_PLAYERS)
    for name in ("worths", "chances", "joined"):
        np.testing.assert_array_equal(getattr(again, name), getattr(record, name))


@pytest.mark.parametrize("n_draws", [80, 300])
def test_lasso__meets_the_conditions_of_its_minimum(n_draws: int) -> None:
    """Those of Karush, Kuhn and Tucker, which no other solution meets where the columns are in general position."""
    record, penalty = drawn_record(n_draws), 0.05
    x = np.where(record.joined, 1 / record.chances[:, None], -1 / (1 - record.chances[:, None])) / math.sqrt(V)
    slopes = lasso_effects(record, penalty, V) / math.sqrt(V)
    left = record.worths - x @ slopes
    left -= left.mean()  # a is free
    pull = x.T @ left / n_draws
    assert np.abs(pull).max() <= penalty + 1e-6
    np.testing.assert_allclose(pull[slopes != 0], penalty * np.sign(slopes[slopes != 0]), rtol=0, atol=1e-6)
    assert 0 < np.count_nonzero(slopes) < N_PLAYERS


def test_lasso__finds_the_few_players_that_matter_with_fewer_draws_than_players() -> None:
    result = value_game(sparse, N_PLAYERS, "ame", 102, fit="lasso")
    assert {3, 50, 119} <= set(np.flatnonzero(result.values).tolist())
    assert np.count_nonzero(result.values) <= 8
    assert "shrinks" in result.biased
    assert np.abs(result.values).sum() < np.abs(EFFECTS).sum()
    plain = value_game(sparse, N_PLAYERS, "ame", 102)
    assert np.count_nonzero(plain.values) == N_PLAYERS
    assert np.abs(result.values - EFFECTS).max() < np.abs(plain.values - EFFECTS).max()


def test_corrected__is_surer_than_the_mean_and_off_by_no_more_than_it_says() -> None:
    plain = value_game(sparse, N_PLAYERS, "ame", 402)
    result = value_game(sparse, N_PLAYERS, "ame", 402, fit="corrected")
    assert result.biased == ""
    assert result.standard_errors.max() < plain.standard_errors.max() / 2
    # More than 5.5 standard errors: of 120 values by a chance of 5e-6.
    assert np.all(np.abs(result.values - EFFECTS) <= 5.5 * result.standard_errors + 0.02)


@pytest.mark.parametrize("fit", ["lasso", "corrected"])
def test_fit__of_fewer_draws_than_give_standard_errors_is_refused(fit: str) -> None:
    with pytest.raises(ConfigError, match="at least 12 for 3 players"):
        value_game(random_game(3, 1), 3, "ame", 11, fit=fit)
    assert np.isfinite(value_game(random_game(3, 1), 3, "ame", 12, fit=fit).standard_errors).all()


def test_penalty__of_more_than_all_pulls_leaves_nothing_and_of_nearly_none_leaves_least_squares() -> None:
    game = random_game(4, 1)
    assert not value_game(game, 4, "ame", 500, fit="lasso", penalty=9.0).values.any()
    values = value_game(game, 4, "ame", 20_000, fit="lasso", penalty=1e-6).values
    from worked_games import exact_values

    assert np.abs(values - exact_values(game, 4, marginal_effect)).max() < 0.02


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"fit": "lasso", "utility_range": 1.0}, "parameter 'utility_range'"),
        ({"fit": "corrected", "utility_range": 1.0, "epsilon": 0.1}, "parameter 'utility_range'"),
        ({"penalty": 0.1}, "parameter 'penalty'"),
        ({"fit": "ridge"}, "parameter 'fit'"),
        ({"fit": "lasso", "penalty": 0}, "parameter 'penalty'"),
    ],
)
def test_fit__refuses_what_it_cannot_follow(given: dict, where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        value_game(sparse, N_PLAYERS, "ame", 500, **given)
    assert [problem.where for problem in refused.value.problems] == [where]


def test_fit__without_scikit_learn_is_refused_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ConfigError, match="models"):
        value_game(lambda players: pytest.fail("was played"), 5, "ame", fit="lasso")
