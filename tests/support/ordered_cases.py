"""Validation points already in rank order: read from worked cases, and their games for the enumeration."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from oracles import Game, exact_distance_key, shapley_values

from dvspark.kernels.ranking.ordered import OrderedPoint

VECTORS = Path(__file__).parents[1] / "vectors"


@dataclass(frozen=True)
class OrderedCase:
    """One validation point of a worked case: its rows in rank order and the values they must get."""

    name: str
    params: dict[str, Any]
    point: OrderedPoint
    expected: list[float]


def read_vectors(prefix: str) -> list[dict[str, Any]]:
    """Return the worked cases whose file name begins so, in file order."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob(f"{prefix}*.json"))]


def ordered_cases(prefix: str, *, by_owner: bool = False) -> list[OrderedCase]:
    """Return every validation point of these cases; expected values by rank, or by owner."""
    cases = []
    for content in read_vectors(prefix):
        train = content["inputs"]["train"]
        all_weights = content["inputs"].get("weights_per_val_in_train_order")
        for v, row in enumerate(content["inputs"]["val"]):
            keys = [(exact_distance_key(other["x"], row["x"], "euclidean"), other["id"]) for other in train]
            order = sorted(range(len(train)), key=keys.__getitem__)
            expected = content["expected"]
            value_of = dict(zip(expected["players"], expected["per_validation_point"][v], strict=True))
            point = OrderedPoint(
                matches=np.array([train[i]["y"] == row["y"] for i in order]),
                targets=np.array([train[i]["y"] for i in order], dtype=np.float64),
                target=float(row["y"]),
                weights=None if all_weights is None else np.array([all_weights[v][i] for i in order], np.float64),
                owners=np.array([train[i].get("owner", 0) for i in order], np.int32),
                n_owners=len({other.get("owner", 0) for other in train}),
            )
            names = range(point.n_owners) if by_owner else [train[i]["id"] for i in order]
            cases.append(
                OrderedCase(f"{content['id']}-{v}", content["params"], point, [value_of[name] for name in names])
            )
    return cases


def enumerated_values(n_players: int, game: Game) -> list[float]:
    """Return the Shapley values of players 0..n-1, summed over all coalitions in fractions."""
    values = shapley_values(range(n_players), game)
    return [float(values[player]) for player in range(n_players)]


def game_of_nearest(k: int, worth: Callable[[list[int]], Fraction], empty: Fraction) -> Game:
    """Return U(S) = worth of the ranks of the k nearest rows of S, and U(∅)."""

    def game(coalition: Sequence[int]) -> Fraction:
        return worth(sorted(coalition)[:k]) if coalition else empty

    return game


def chg_coalition_values(x: np.ndarray, alpha: Sequence[Any] | None = None) -> list[float]:
    """Return the Shapley values of U(S) = |alpha|² - |mean of S - alpha|², U(∅) = 0; alpha None: the mean of x."""
    rows = [[Fraction(one) for one in row] for row in np.asarray(x).tolist()]
    target = [sum(column, Fraction(0)) / len(rows) for column in zip(*rows, strict=True)]
    target = target if alpha is None else [Fraction(one) for one in alpha]

    def game(coalition: Sequence[int]) -> Fraction:
        if not coalition:
            return Fraction(0)
        means = [sum(rows[row][j] for row in coalition) / len(coalition) for j in range(len(target))]
        return sum((a * a - (mean - a) ** 2 for mean, a in zip(means, target, strict=True)), Fraction(0))

    return enumerated_values(len(rows), game)
