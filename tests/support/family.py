"""Small problems of every method, and their values by enumeration of all coalitions: `oracle_games` for each name.

    @given(case=cases("knn_banzhaf"))
    def test_...(case: Case) -> None:
        np.testing.assert_allclose(value_of(case), expected_values(case), rtol=0, atol=1e-12)

`family_strategies` draws the cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from oracle_games import (
    Point,
    SizeWeights,
    banzhaf,
    beta,
    hard_weighted_game,
    leave_one_out,
    nearest_game,
    normalized_weighted_game,
    owner_game,
    points_of,
    raw_weighted_game,
    regression_game,
    semivalues,
    shapley,
    threshold_game,
)
from oracles import Game, count_classes
from strategies import Problem

import dvspark
from dvspark.methods import GAMES, METHODS

KINDS = ("raw", "normalized", "hard")
# Private counts are noise; cleanlab's scores are (1 + mean) / 2 of rows that all validate each other.
NOISY = ("dp_threshold_knn_shapley", "knn_dp")
SCORES = "cleanlab_knn_shapley"
# One game for all points, of gradients and not of neighbors: tests/unit/kernels/gradients/test_head_values.py.
GRADIENTS = ("chg_shapley",)
# All rows at once, from both tables: tests/unit/methods/test_whole_methods.py.
WHOLE = tuple(name for name, method in METHODS.items() if method.kind == "whole")
FAMILY = sorted(set(METHODS) - set(NOISY) - set(GRADIENTS) - set(WHOLE) - set(GAMES))


@dataclass(frozen=True)
class Case:
    """A problem of one method: the method's own ``parameters``, and what it asks for beside embedding and label.

    ``weights`` one a training row, or a tuple of them a point; ``last_key``: the exact key of the farthest neighbor
    within the radius; ``counted``: the number of classes is left out.
    """

    method: str
    problem: Problem
    parameters: dict[str, Any] = field(default_factory=dict)
    ties: str = "id"
    owners: tuple[Any, ...] | None = None
    weights: tuple[Any, ...] | None = None
    last_key: Fraction = Fraction(0)
    counted: bool = False

    @property
    def n_train(self) -> int:
        return len(self.problem.x_train)

    @property
    def validation(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Embeddings and labels of the validation points, under self-validation those of the training rows."""
        data = self.problem.data
        return (data[0], data[1]) if self.problem.self_validation else (data[2], data[3])

    @property
    def n_classes(self) -> int:
        return count_classes(self.problem.y_train, self.validation[1]) if self.counted else self.problem.n_classes

    @property
    def by_pairs(self) -> bool:
        return self.weights is not None and isinstance(self.weights[0], tuple)

    def with_rows(self, order: Sequence[int]) -> Case:
        """Return the same training rows given in another order; ids, without which the order would decide, go along."""

        def moved(column: Any) -> Any:
            return None if column is None else tuple(column[row] for row in order)

        problem, weights = self.problem, self.weights
        ids = problem.train_ids or tuple(range(self.n_train))
        if self.by_pairs and weights is not None:
            of_points = moved(weights) if problem.self_validation else weights
            weights = tuple(moved(of_point) for of_point in of_points)
        else:
            weights = moved(weights)
        rows = replace(problem, x_train=moved(problem.x_train), y_train=moved(problem.y_train), train_ids=moved(ids))
        return replace(self, problem=rows, owners=moved(self.owners), weights=weights)

    def with_points(self, order: Sequence[int]) -> Case:
        """Return the case with some of the validation points; of those that have their own rows."""
        x, y = self.validation
        chosen = replace(self.problem, x_validation=tuple(x[v] for v in order), y_validation=tuple(y[v] for v in order))
        weights = self.weights
        if self.by_pairs and weights is not None:
            weights = tuple(weights[v] for v in order)
        # The classes are those of all points.
        return replace(self, problem=replace(chosen, n_classes=self.n_classes), weights=weights, counted=False)


# --- what is expected -------------------------------------------------------------------------------------


def expected_values(case: Case, aggregate: str = "mean") -> list[float]:
    """Return the value of each row, or of each owner in ascending order."""
    table = expected_points(case)
    sums = [sum(column, Fraction(0)) for column in zip(*table, strict=True)]
    means = [total / len(table) if aggregate == "mean" or case.method == SCORES else total for total in sums]
    return [float((1 + mean) / 2 if case.method == SCORES else mean) for mean in means]


def expected_points(case: Case) -> list[list[Fraction]]:
    """Return the values of each validation point, (n_validation, n_players)."""
    players = sorted(set(case.owners)) if case.owners else range(case.n_train)
    return [[values.get(player, Fraction(0)) for player in players] for values in map(_values, *_point_games(case))]


def expected_total(case: Case) -> Fraction:
    """Return the mean over the validation points of what efficient values add up to.

    U(N) - U(∅); of truncated ones U(N) - a_(k*) (section 3), which with n < k rows weighs n / k.
    """
    total, games = Fraction(0), list(zip(*_point_games(case), strict=True))
    for _, point, playing, game in games:
        total += game(playing) - game([])
        if case.method == "truncated_knn_shapley":
            last = point.ranked(playing)[: k_star_of(case)][-1]
            total -= Fraction(min(case.problem.k, len(playing)), case.problem.k) * point.flags[last]
    return total / len(games)


def _point_games(case: Case) -> tuple[list[Case], list[Point], list[list[int]], list[Game]]:
    """Return of each validation point what sees it: the case, the point, the rows that play, and the game of rows."""
    x, y = case.validation
    problem = case.problem
    points = points_of(problem.x_train, problem.y_train, x, y, metric=problem.metric, train_ids=problem.train_ids)
    rows = range(case.n_train)
    playing = [[row for row in rows if not (problem.self_validation and row == v)] for v in range(len(x))]
    games = [_game(case, point, v, playing[v]) for v, point in enumerate(points)]
    return [case] * len(points), points, playing, games


def _game(case: Case, point: Point, v: int, playing: list[int]) -> Game:
    method, given, k = case.method, case.parameters, case.problem.k
    if METHODS[method].knows("radius"):
        return threshold_game(point, key=case.last_key, n_classes=case.n_classes)
    if method == "knn_regression_shapley":
        targets, target = case.problem.y_train, case.validation[1][v]
        return regression_game(point, targets, target, k=k, empty=given["empty_utility"])
    if method == "weighted_knn_shapley":
        weights, kind = _weights(case, point, v), given["kind"]
        if kind == "raw":
            return raw_weighted_game(point, weights, k=k)
        if kind == "normalized":
            return normalized_weighted_game(point, weights, k=k, empty=given["empty_utility"])
        whole = quantized([weights[row] for row in playing], given["bits"])
        placed = dict(zip(playing, whole, strict=True))
        return hard_weighted_game(point, placed, k=k, empty=given["empty_utility"])
    default = "wang2023" if method == "soft_knn_shapley" else "jia2019"
    utility = given.get("utility", default)
    return nearest_game(point, k=k, utility=utility, n_classes=case.n_classes, ties=case.ties)


def _values(case: Case, point: Point, playing: list[int], game: Game) -> dict[Any, Fraction]:
    """Return the values of the players of one point."""
    if case.method == "owner_knn_shapley":
        owners = [owner if row in playing else None for row, owner in enumerate(case.owners)]
        return semivalues(sorted(set(owners) - {None}), owner_game(game, owners), shapley)
    values = semivalues(playing, game, semivalue_of(case))
    if case.method in ("truncated_knn_shapley", SCORES):
        k_star = case.problem.k if case.method == SCORES else k_star_of(case)
        near = point.ranked(playing)[:k_star]
        return {row: values[row] - values[near[-1]] if row in near else Fraction(0) for row in playing}
    if case.method == "owner_sum_of_points":
        return {
            owner: sum((values[row] for row in playing if case.owners[row] == owner), Fraction(0))
            for owner in set(case.owners)
        }
    return values


def k_star_of(case: Case) -> int:
    """Return how many rows a truncated value looks at."""
    given = case.parameters
    return given["k_star"] if "k_star" in given else max(case.problem.k, math.ceil(1 / given["epsilon"]))


def semivalue_of(case: Case) -> SizeWeights:
    """Return how the method weighs coalition sizes."""
    if case.method.endswith("beta"):
        return beta(Fraction(case.parameters["alpha"]), Fraction(case.parameters["beta"]))
    if case.method.endswith("banzhaf"):
        return banzhaf
    return leave_one_out if case.method.endswith("loo") else shapley


def _weights(case: Case, point: Point, v: int) -> Sequence[Any]:
    """Return the weights of the training rows for a point."""
    if case.weights is not None:
        return case.weights[v] if case.by_pairs else case.weights
    distances = [distance_of(key, case.problem.metric) for key in point.keys]
    if case.parameters["weight"] == "rbf":
        return [math.exp(-case.parameters["gamma"] * d * d) for d in distances]
    return [1 / (1 + d) for d in distances]


def quantized(weights: Sequence[Any], bits: int) -> list[int]:
    """Return weights as whole numbers up to 2**bits - 1: those that are as they are, else scaled to the largest."""
    exact, largest = [Fraction(weight) for weight in weights], 2**bits - 1
    top = max(exact, default=Fraction(0))
    if top <= largest and all(weight.denominator == 1 for weight in exact):
        return [int(weight) for weight in exact]
    return [round(weight / top * largest) for weight in exact]


def distance_of(key: Fraction, metric: str) -> float:
    """Return the distance, in the metric's unit, of a row with that exact key; see `exact_distance_key`."""
    if metric == "euclidean":
        return math.sqrt(key)
    return 1 + math.copysign(math.sqrt(abs(key)), key) if metric == "cosine" else float(key)


# --- what is computed -------------------------------------------------------------------------------------


def value_of(case: Case, *, dtype: Any = np.float64, **changes: Any) -> np.ndarray:
    """Return what the package computes; ``changes`` override the options of the call."""
    problem = case.problem
    arguments = [np.array(problem.x_train, dtype=dtype), _answers(problem.y_train)]
    if not problem.self_validation:
        x, y = case.validation
        arguments += [np.array(x, dtype=dtype), _answers(y)]
    options = {**problem.options, "method": case.method, "ties": case.ties, **case.parameters}
    options["n_classes"] = None if case.counted else problem.n_classes
    if case.owners is not None:
        options["owners"] = case.owners
    if case.weights is not None:
        options["weights"] = case.weights
    return dvspark.value_arrays(*arguments, **{**options, **changes})


def _answers(labels: tuple[Any, ...]) -> Any:
    """Multi-label rows stay lists of tuples; NumPy would make a table of those of equal length."""
    return list(labels) if any(isinstance(label, tuple) for label in labels) else np.array(labels)
