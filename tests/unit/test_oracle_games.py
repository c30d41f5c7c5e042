"""The oracles of the neighbor games against the worked cases and against each other."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from oracle_games import (
    Point,
    SizeWeights,
    banzhaf,
    beta,
    cleanlab_scores,
    hard_weighted_game,
    leave_one_out,
    mean_semivalues,
    nearest_game,
    normalized_weighted_game,
    owner_game,
    points_of,
    radius_key,
    raw_weighted_game,
    regression_game,
    semivalues,
    shapley,
    threshold_game,
    truncated_values,
)
from oracles import Game, exact_values
from worked_cases import VECTORS

CASES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json"))}


def train_column(case: dict[str, Any], name: str) -> list[Any]:
    return [row[name] for row in case["inputs"]["train"]]


def case_points(case: dict[str, Any]) -> list[Point]:
    validation = case["inputs"].get("val", case["inputs"]["train"])
    x, y = [row["x"] for row in validation], [row["y"] for row in validation]
    rows = [*case["inputs"]["train"], *case["inputs"].get("owned", [])]
    of_train = ([row[name] for row in rows] for name in ("x", "y"))
    return points_of(*of_train, x, y, train_ids=[row["id"] for row in rows])


def case_games(case: dict[str, Any]) -> list[Game]:
    """Return the games of a worked case, one a validation point."""
    params, inputs, name, points = case["params"], case["inputs"], case["method"], case_points(case)
    k, utility = params.get("K"), "wang2023" if "2023" in name else "jia2019"
    if name.startswith("wknn"):
        weights = inputs["weights_per_val_in_train_order"]
        pairs = list(zip(points, weights, strict=True))
        if "raw" in name:
            return [raw_weighted_game(point, of_rows, k=k) for point, of_rows in pairs]
        weighted_game = normalized_weighted_game if "soft" in name else hard_weighted_game
        return [weighted_game(point, of_rows, k=k, empty=params["U_empty"]) for point, of_rows in pairs]
    if name.startswith("tknn"):
        return [
            threshold_game(point, key=radius_key(params["tau"], "euclidean"), n_classes=params["C"]) for point in points
        ]
    if "regression" in name:
        pairs, targets = list(zip(points, inputs["val"], strict=True)), train_column(case, "y")
        return [regression_game(point, targets, row["y"], k=k, empty=params["U_empty"]) for point, row in pairs]
    games = [nearest_game(point, k=k, utility=utility, n_classes=params.get("C")) for point in points]
    if "acquisition" in name:
        n = len(inputs["train"])
        return [bought_game(game, list(range(n, n + len(inputs["owned"])))) for game in games]
    return [owner_game(game, train_column(case, "owner")) for game in games] if "owner" in name else games


def bought_game(game: Game, owned: list[int]) -> Game:
    """Return what rows are worth beside owned ones, which are always there (section 16)."""
    return lambda coalition: game([*coalition, *owned]) - game(owned)


def case_weights(case: dict[str, Any]) -> SizeWeights:
    params = case["params"]
    if "beta" in params:
        return beta(params["alpha"], params["beta"])
    return next((w for word, w in (("banzhaf", banzhaf), ("loo", leave_one_out)) if word in case["method"]), shapley)


GAMES = [
    name
    for name, case in CASES.items()
    if case["method"].startswith(("knn", "tknn", "wknn", "owner")) and "truncated" not in case["method"]
]


def test_games__the_worked_cases_are_found() -> None:
    assert {"banzhaf_knn2019", "banzhaf_knn2023", "beta_knn2019", "beta_knn2023", "loo_2019", "loo_2023"} <= set(GAMES)


@pytest.mark.parametrize("name", GAMES)
def test_semivalues__equal_the_worked_case_as_fractions(name: str) -> None:
    case = CASES[name]
    games, expected, is_self = case_games(case), case["expected"], "self_validation" in case["method"]
    if "owner" in case["method"]:
        players = expected["players"]
    else:
        ids = train_column(case, "id")
        players = [ids.index(player) for player in expected["players"]]
    playing = sorted(players)  # under self-validation the v-th row is the v-th validation point
    found = dict(
        zip(playing, mean_semivalues(playing, games, case_weights(case), self_validation=is_self), strict=True)
    )
    assert [found[player] for player in players] == [Fraction(v) for v in expected["value_exact"]]


def test_truncated_values__equal_the_worked_case_as_fractions() -> None:
    case = CASES["knn2019_truncated"]
    points = case_points(case)
    tables = [truncated_values(point, k=case["params"]["K"], k_star=case["params"]["K_star"]) for point in points]
    means = [sum(column, Fraction(0)) / len(points) for column in zip(*tables, strict=True)]
    assert means == [Fraction(v) for v in case["expected"]["value_exact"]]


def test_cleanlab_scores__equal_the_worked_case_as_fractions() -> None:
    case = CASES["cleanlab_scores"]
    scores = cleanlab_scores(train_column(case, "x"), train_column(case, "y"), k=4, metric="euclidean")
    assert scores == [Fraction(v) for v in case["expected"]["value_exact"]]


@pytest.mark.parametrize("weights", [shapley, banzhaf, beta(4, "1/2"), leave_one_out])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_weights__of_all_coalitions_add_up_to_one(weights: SizeWeights, n: int) -> None:
    values = semivalues(range(n), lambda rows: Fraction(len(rows)), weights)
    assert values == dict.fromkeys(range(n), Fraction(1))


def test_beta__of_one_and_one_is_the_shapley_value() -> None:
    assert all(beta(1, 1)(n) == shapley(n) for n in range(1, 9))


def test_beta__of_a_large_alpha_weighs_small_coalitions() -> None:
    weights = beta(16, 1)(6)
    assert weights == sorted(weights, reverse=True)


def test_mean_semivalues__of_the_shapley_weights_are_the_exact_values() -> None:
    x, y = [[0], [2], [2], [5]], [0, 1, 0, 1]
    for self_validation in (False, True):
        z, y_z = (x, y) if self_validation else ([[1], [4]], [1, 0])
        games = [nearest_game(point, k=2, ties="average") for point in points_of(x, y, z, y_z)]
        data = (x, y) if self_validation else (x, y, z, y_z)
        expected = exact_values(*data, method="knn_shapley", k=2, ties="average", self_validation=self_validation)
        assert mean_semivalues(range(4), games, shapley, self_validation=self_validation) == expected


def test_radius_key__counts_a_row_at_the_radius() -> None:
    right_angle, same = points_of([[0, 1], [2, 0]], [1, 1], [[1, 0]], [1], metric="cosine")[0].keys
    assert right_angle == radius_key(1, "cosine") > radius_key("1/2", "cosine") > same == radius_key(0, "cosine")
