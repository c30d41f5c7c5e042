"""The family of neighbor games by definition, and every semivalue of them by enumeration, in rational numbers.

A game is a function from a coalition, a sequence of rows, to its worth: `oracles.Game`. A semivalue weighs the 2^N
marginal contributions by the size of the coalition. Nothing here imports the package; for at most some ten players.
"Section" means the project's mathematics.

    point = points_of(x_train, y_train, x_validation, y_validation)[0]
    game = nearest_game(point, k=3, utility="wang2023", n_classes=4)
    values = semivalues(range(len(x_train)), game, banzhaf)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oracles import Game, exact_distance_key, id_positions, match_flags, point_game

METHOD_OF_UTILITY = {"jia2019": "knn_shapley", "wang2023": "soft_knn_shapley"}

# The weight of one coalition of each size 0..n - 1 that a player may join, for n players.
SizeWeights = Callable[[int], list[Fraction]]


# --- semivalues -------------------------------------------------------------------------------------------


def shapley(n_players: int) -> list[Fraction]:
    """Return s! (n - s - 1)! / n! (Shapley 1953)."""
    n = n_players
    return [Fraction(math.factorial(s) * math.factorial(n - s - 1), math.factorial(n)) for s in range(n)]


def banzhaf(n_players: int) -> list[Fraction]:
    """Return 2^-(n - 1) for every size (Banzhaf 1965)."""
    return [Fraction(1, 2 ** (n_players - 1))] * n_players


def beta(alpha: Fraction | int | str, beta: Fraction | int | str) -> SizeWeights:
    """Return the weights B(s + beta, n - 1 - s + alpha) / B(alpha, beta) of section 7 (Kwon & Zou 2022)."""
    a, b = Fraction(alpha), Fraction(beta)

    def rising(x: Fraction, n: int) -> Fraction:
        return math.prod((x + j for j in range(n)), start=Fraction(1))

    def weights(n_players: int) -> list[Fraction]:
        last = n_players - 1
        return [rising(b, s) * rising(a, last - s) / rising(a + b, last) for s in range(n_players)]

    return weights


def leave_one_out(n_players: int) -> list[Fraction]:
    """Return one for the coalition of all others, zero for smaller ones."""
    return [Fraction(0)] * (n_players - 1) + [Fraction(1)]


def semivalues(players: Sequence[Any], game: Game, weights: SizeWeights) -> dict[Any, Fraction]:
    """Return Σ weight(|S|) (U(S + i) - U(S)) of every player i, over all coalitions S without it."""
    n = len(players)
    worth = [game([players[j] for j in range(n) if mask >> j & 1]) for mask in range(1 << n)]
    of_size = weights(n) if n else []
    values = {}
    for j, player in enumerate(players):
        marginals = [Fraction(0)] * n
        for mask in range(1 << n):
            if not mask >> j & 1:
                marginals[mask.bit_count()] += worth[mask | 1 << j] - worth[mask]
        values[player] = sum((w * m for w, m in zip(of_size, marginals, strict=True)), Fraction(0))
    return values


def mean_semivalues(
    players: Sequence[Any], games: Sequence[Game], weights: SizeWeights, *, self_validation: bool = False
) -> list[Fraction]:
    """Return each player's mean over the games, one a validation point (section 12.1).

    Under ``self_validation`` the v-th player is no player in the v-th game, and gets 0 there (section 13).
    """
    totals = dict.fromkeys(players, Fraction(0))
    for v, game in enumerate(games):
        playing = [player for j, player in enumerate(players) if not (self_validation and j == v)]
        for player, value in semivalues(playing, game, weights).items():
            totals[player] += value
    return [total / len(games) for total in totals.values()]


# --- games of one validation point ------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """The training rows as one validation point sees them: exact distance keys, places in id order, match flags."""

    keys: list[Fraction]
    positions: list[int]
    flags: list[bool]

    def ranked(self, coalition: Sequence[int]) -> list[int]:
        """Return the rows nearest first, ties by id (section 0)."""
        return sorted(coalition, key=lambda row: (self.keys[row], self.positions[row]))


def points_of(
    x_train: Sequence[Sequence[Any]],
    y_train: Sequence[Any],
    x_validation: Sequence[Sequence[Any]],
    y_validation: Sequence[Any],
    *,
    metric: str = "euclidean",
    train_ids: Sequence[Any] | None = None,
) -> list[Point]:
    """Return the validation points, in order; of targets (regression) the flags mean nothing."""
    positions = id_positions(train_ids, len(x_train))
    return [
        Point([exact_distance_key(x, z, metric) for x in x_train], positions, match_flags(y_train, y))
        for z, y in zip(x_validation, y_validation, strict=True)
    ]


def nearest_game(
    point: Point, *, k: int, utility: str = "jia2019", n_classes: int | None = None, ties: str = "id"
) -> Game:
    """Return U(S) = matches among the k nearest of S, over k (jia2019) or over min(k, |S|) (wang2023)."""
    method = METHOD_OF_UTILITY[utility]
    return point_game(point.keys, point.positions, point.flags, k=k, method=method, n_classes=n_classes, ties=ties)


def radius_key(radius: Fraction | int | str, metric: str) -> Fraction:
    """Return the key of a row at distance ``radius`` (1 - cos under cosine), on the scale of `exact_distance_key`."""
    distance = Fraction(radius)
    if metric == "euclidean":
        return distance * distance
    if metric == "cosine":
        return -(1 - distance) * abs(1 - distance)
    return distance


def threshold_game(point: Point, *, key: Fraction, n_classes: int) -> Game:
    """Return U(S) = share of matches among the rows of S with keys up to ``key``, 1 / C without any (section 6)."""

    def game(coalition: Sequence[int]) -> Fraction:
        inside = [point.flags[row] for row in coalition if point.keys[row] <= key]
        return Fraction(sum(inside), len(inside)) if inside else Fraction(1, n_classes)

    return game


def regression_game(
    point: Point, targets: Sequence[Any], target: Any, *, k: int, empty: str | Fraction | float = "formula"
) -> Game:
    """Return U(S) = -(Σ targets of the k nearest of S / k - target)², section 4; ``empty`` "formula" or U(∅)."""

    def game(coalition: Sequence[int]) -> Fraction:
        if not coalition and empty != "formula":
            return Fraction(empty)
        nearest = sum((Fraction(targets[row]) for row in point.ranked(coalition)[:k]), Fraction(0))
        return -((nearest / k - Fraction(target)) ** 2)

    return game


def raw_weighted_game(point: Point, weights: Sequence[Any], *, k: int) -> Game:
    """Return U(S) = Σ weights of the matches among the k nearest of S (section 5a)."""

    def game(coalition: Sequence[int]) -> Fraction:
        nearest = point.ranked(coalition)[:k]
        return sum((Fraction(weights[row]) for row in nearest if point.flags[row]), Fraction(0))

    return game


def normalized_weighted_game(point: Point, weights: Sequence[Any], *, k: int, empty: Fraction | float) -> Game:
    """Return U(S) = the matches' share of the weight of the k nearest of S (section 5b); ``empty`` without weight.

    So it is without rows, and where no row among the nearest has any.
    """

    def game(coalition: Sequence[int]) -> Fraction:
        nearest = point.ranked(coalition)[:k]
        votes = {row: Fraction(weights[row]) for row in nearest}
        if not any(votes.values()):
            return Fraction(empty)
        return sum((votes[row] for row in nearest if point.flags[row]), Fraction(0)) / sum(votes.values())

    return game


def hard_weighted_game(point: Point, weights: Sequence[Any], *, k: int, empty: Fraction | float) -> Game:
    """Return U(S) = 1 where the matches among the k nearest of S weigh no less than the others (section 5c)."""

    def game(coalition: Sequence[int]) -> Fraction:
        if not coalition:
            return Fraction(empty)
        signed = (weights[row] if point.flags[row] else -weights[row] for row in point.ranked(coalition)[:k])
        return Fraction(int(sum(signed) >= 0))

    return game


def owner_game(game: Game, owners: Sequence[Hashable]) -> Game:
    """Return the game whose players are owners: the worth of all rows of the owners in T (section 11)."""

    def of_owners(coalition: Sequence[Any]) -> Fraction:
        return game([row for row, owner in enumerate(owners) if owner in set(coalition)])

    return of_owners


# --- values that are no semivalues ------------------------------------------------------------------------


def truncated_values(point: Point, *, k: int, k_star: int) -> list[Fraction]:
    """Return Shapley values less that of rank min(k_star, n), zero beyond (section 3), row by row."""
    rows = range(len(point.keys))
    values = semivalues(rows, nearest_game(point, k=k), shapley)
    near = point.ranked(rows)[:k_star]
    return [values[row] - values[near[-1]] if row in near else Fraction(0) for row in rows]


def cleanlab_scores(x: Sequence[Sequence[Any]], y: Sequence[Any], *, k: int, metric: str) -> list[Fraction]:
    """Return the scores of cleanlab 2.9.0 of all rows, each of which validates the others (section 13)."""
    totals = [Fraction(0)] * len(x)
    for v, point in enumerate(points_of(x, y, x, y, metric=metric)):
        others = [row for row in range(len(x)) if row != v]
        nearest = point.ranked(others)[:k]
        for row in nearest:
            totals[row] += Fraction(point.flags[row] - point.flags[nearest[-1]], k)
    return [(1 + total / len(x)) / 2 for total in totals]
