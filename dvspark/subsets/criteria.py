"""Criteria: which share of the rows a head is to be trained on next, and how much each of them counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from dvspark.kernels.gradients.course import games_of
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.head_pass import CHG, GRADIENT, HARDNESS, HeadPass
from dvspark.kernels.gradients.softmax_head import SoftmaxHead
from dvspark.schemas import Float64s, Int32s, Int64s
from dvspark.subsets.pursuit import matching_pursuit

# Rounds in which glister takes its rows; the validation rows' gradient is taken anew after each.
GLISTER_ROUNDS = 10
# What grad_match adds to squares of weights, as its article has it.
RIDGE = 0.5


@dataclass(frozen=True)
class ChosenRows:
    """Rows at ``places``, ascending, with a ``weights`` each from 0, and the ``values`` by which they were chosen."""

    places: Int64s
    weights: Float64s
    values: Float64s

    @classmethod
    def alike(cls, places: Int64s) -> ChosenRows:
        """Return rows that count alike."""
        return cls(np.sort(places), np.ones(len(places)), np.zeros(len(places)))


@dataclass(frozen=True)
class Asked:
    """What a criterion knows: the head, the training rows, validation rows, the ``share`` to choose, and a draw."""

    head: SoftmaxHead
    rows: Piece
    points: Piece
    share: float
    learning_rate: float
    draw: np.random.Generator

    def n_of(self, n: int) -> int:
        """Return how many of n rows are the share, rounded up."""
        return min(n, math.ceil(self.share * n - 1e-9))


Criterion = Callable[[Asked], ChosenRows]


def all_rows(asked: Asked) -> ChosenRows:
    """Return all rows."""
    return ChosenRows.alike(np.arange(len(asked.rows[1])))


def drawn(asked: Asked) -> ChosenRows:
    """Return rows that are drawn, the share of each class."""
    codes = asked.rows[1]
    classes = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    parts = [asked.draw.choice(own, asked.n_of(len(own)), replace=False) for own in classes]
    return ChosenRows.alike(np.concatenate(parts))


def by_game(asked: Asked, variant: str) -> ChosenRows:
    """Return the rows of highest value in the game of their class, weighted by a game of the rows that are chosen.

    Weights are the values in the second game, brought to the range 0 to 1.
    Cost: O(n × classes × features). Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, algorithm 2.
    """
    x, codes = asked.rows
    values = game_values(asked.head, asked.rows, variant, by_label=True)
    kept = np.sort(highest_of_each(values, codes, asked))
    again = game_values(asked.head, (x[kept], codes[kept]), variant, by_label=False)
    spread = float(np.ptp(again))
    weights = (again - again.min()) / spread if spread > 0 else np.ones(len(kept))
    return ChosenRows(kept, weights, values[kept])


def glister(asked: Asked) -> ChosenRows:
    """Return the rows whose gradients, one step on, lower the validation rows' loss most, taken in rounds.

    After each round the head of the validation rows goes a step by the rows taken so far.
    Cost: rounds × O((n + validation rows) × classes × features).
    Source: Killamsetty et al., GLISTER, AAAI 2021, doi:10.1609/aaai.v35i9.16988: greedy by the first-order gain, on
    gradients of the last layer.
    """
    features, residuals = _features_and_residuals(asked.head, asked.rows)
    n, weights = asked.n_of(len(features)), asked.head.weights
    taken, gains = np.empty(0, np.int64), np.zeros(len(features))
    left = np.ones(len(features), bool)
    while len(taken) < n:
        slope = _slope(_with_weights(asked.head, weights), asked.points)
        gain = np.einsum("nc,nc->n", residuals, features @ slope.T)
        open_rows = np.flatnonzero(left)
        best = open_rows[np.argsort(-gain[open_rows], kind="stable")[: min(-(-n // GLISTER_ROUNDS), n - len(taken))]]
        taken, left[best], gains[best] = np.concatenate([taken, best]), False, gain[best]
        weights = weights - asked.learning_rate * (residuals[best].T @ features[best]) / n
    taken = np.sort(taken)
    return ChosenRows(taken, np.ones(n), gains[taken])


def grad_match(asked: Asked) -> ChosenRows:
    """Return rows whose weighted gradients come near the sum of all, class by class, by orthogonal matching pursuit.

    Of a row counts the gradient in its own class's weights. Rows for which pursuit has no use are drawn, with weight 1.
    Cost: for n rows of a class and k chosen, O(k n × features + k³).
    Source: Killamsetty et al., GRAD-MATCH, ICML 2021, arXiv:2103.00123: per class, last layer, ridge 0.5, weights from
    0.
    """
    features, residuals = _features_and_residuals(asked.head, asked.rows)
    codes, places, weights = asked.rows[1], list[Int64s](), list[Float64s]()
    for code in np.unique(codes):
        own = np.flatnonzero(codes == code)
        gradients, n = residuals[own, code][:, None] * features[own], asked.n_of(len(own))
        found, weight = matching_pursuit(gradients, gradients.sum(axis=0), n, RIDGE)
        others = np.setdiff1d(np.arange(len(own)), found)
        found = np.concatenate([found, asked.draw.choice(others, n - len(found), replace=False)])
        places.append(own[found])
        weights.append(np.concatenate([weight, np.ones(n - len(weight))]))
    order = np.argsort(np.concatenate(places))
    counted = np.concatenate(weights)[order]
    return ChosenRows(np.concatenate(places)[order], counted, counted)


def game_values(head: SoftmaxHead, rows: Piece, variant: str, *, by_label: bool) -> Float64s:
    """Return the values of rows in the game of a head, whose target is their own mean."""
    asked = HeadPass.of(head, variant, by_label=by_label)
    games = games_of(asked.over([rows]), None, variant)
    valuing = HeadPass(head.center, head.scale, None, variant, by_label)
    return valuing.valuing(head.weights, tuple(game.row_formula() for game in games)).over([rows]).values


def highest_of_each(values: Float64s, codes: Int32s, asked: Asked) -> Int64s:
    """Return the share of each class with the highest values; of equal ones the earlier rows."""
    order = np.argsort(-values, kind="stable")
    parts = [order[codes[order] == code] for code in np.unique(codes)]
    return np.concatenate([part[: asked.n_of(len(part))] for part in parts])


def _features_and_residuals(head: SoftmaxHead, rows: Piece) -> tuple[Float64s, Float64s]:
    features = head.features(rows[0])
    residuals = np.exp(head.log_probabilities(features))
    residuals[np.arange(len(residuals)), rows[1]] -= 1.0
    return features, residuals


def _slope(head: SoftmaxHead, rows: Piece) -> Float64s:
    features, residuals = _features_and_residuals(head, rows)
    found: Float64s = residuals.T @ features / len(features)
    return found


def _with_weights(head: SoftmaxHead, weights: Float64s) -> SoftmaxHead:
    return SoftmaxHead(weights, head.center, head.scale, head.n_rows, head.n_steps, head.slope, head.loss)


FULL, RANDOM = "full", "random"
# Criteria that choose again while the head trains.
ADAPTIVE: dict[str, Criterion] = {
    "adaptive_random": drawn,
    "chg": partial(by_game, variant=CHG),
    "hardness": partial(by_game, variant=HARDNESS),
    "gradient": partial(by_game, variant=GRADIENT),
    "glister": glister,
    "grad_match": grad_match,
}
CRITERIA: dict[str, Criterion] = {FULL: all_rows, RANDOM: drawn, **ADAPTIVE}
