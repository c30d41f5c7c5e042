"""Games of a few players whose values are known by theory, as utilities of `dvspark.value_game`.

Each takes the players of a coalition, a sorted array. `exact_values` enumerates all coalitions in rational numbers;
nothing here imports the package.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from oracle_games import SizeWeights, semivalues

Utility = Callable[[np.ndarray], float]

AIRPORT_COSTS = (1.0, 2.0, 4.0, 4.0, 8.0)


def airport(players: np.ndarray) -> float:
    """Return the cost of the longest runway that one of the players needs (Littlechild & Owen 1973)."""
    return max((AIRPORT_COSTS[player] for player in players), default=0.0)


def airport_shapley() -> np.ndarray:
    """Return the Shapley values: each stretch of runway is shared by those who need it."""
    costs = np.array(AIRPORT_COSTS)
    steps = np.diff(np.concatenate([[0.0], costs]))
    users = np.arange(len(costs), 0, -1)
    return np.cumsum(steps / users)


def glove(players: np.ndarray) -> float:
    """Return the pairs of a left glove, players 0 and 1, and a right one, players 2, 3 and 4."""
    return float(min(np.count_nonzero(players < 2), np.count_nonzero(players >= 2)))


def majority(players: np.ndarray) -> float:
    """Return 1 for more than half of seven players."""
    return float(len(players) > 3)


def additive(players: np.ndarray) -> float:
    """Return the sum of what the players are worth alone, plus what no player is worth."""
    return 5.0 + float(np.sum(2.0**players))


def weighted_majority(players: np.ndarray) -> float:
    """Return 1 for more than half of the votes, the players having 5, 3, 3, 2, 1 and 1."""
    votes = np.array([5, 3, 3, 2, 1, 1])
    return float(2 * votes[players].sum() > votes.sum())


def random_game(n_players: int, seed: int) -> Utility:
    """Return a game without any structure: each coalition is worth a random number between 0 and 1."""
    worths = np.random.default_rng(seed).random(2**n_players)
    return lambda players: float(worths[np.sum(1 << players)])


GAMES: dict[str, tuple[Utility, int]] = {
    "airport": (airport, 5),
    "glove": (glove, 5),
    "majority": (majority, 7),
    "additive": (additive, 4),
    "weighted_majority": (weighted_majority, 6),
    "random": (random_game(8, 1), 8),
}


def marginal_effect(n_players: int) -> list[Fraction]:
    """Return the chance of one coalition of each size, where others join with chance 1/5, 2/5, 3/5 or 4/5."""
    last, chances = n_players - 1, [Fraction(fifths, 5) for fifths in range(1, 5)]
    return [sum((p**s * (1 - p) ** (last - s) for p in chances), Fraction(0)) / 4 for s in range(n_players)]


def exact_values(game: Utility, n_players: int, weights: SizeWeights) -> np.ndarray:
    """Return the values of all players, enumerated."""
    of = lambda coalition: Fraction(game(np.array(sorted(coalition), np.int64)))  # noqa: E731
    return np.array([float(value) for value in semivalues(range(n_players), of, weights).values()])
