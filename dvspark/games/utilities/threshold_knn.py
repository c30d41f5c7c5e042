"""The vote of all rows within a radius as a utility that walks."""

from __future__ import annotations

import numpy as np

from dvspark.arguments import choice_problems, is_finite
from dvspark.errors import ConfigError, Problem, written
from dvspark.games.utilities.game_tables import GameTables, class_problems
from dvspark.kernels.distances.distances import METRICS, distance_from_key
from dvspark.kernels.distances.reach import is_within
from dvspark.schemas import Bools, Float64s, Int64s

# Coalitions of a walk whose shares are computed at once.
BLOCK = 256


def threshold_knn(tables: GameTables, *, radius: float, metric: str = "euclidean", n_classes: int = 0) -> ThresholdKnn:
    """Return the utility of `threshold_knn_shapley`: the same game. ``n_classes`` 0: as many as both tables have.

    Cost: O(n_train n_validation d) once, 2 n_train n_validation bytes, 8 while they are made.
    Raises: ConfigError for unusable parameters.
    """
    problems = choice_problems("metric", metric, METRICS) + class_problems(n_classes)
    if not is_finite(radius):
        problems.append(Problem("radius", "a finite number", written(radius), "rows up to this distance vote"))
    if problems:
        raise ConfigError(problems)
    inside = is_within(distance_from_key(tables.keys(metric), metric), radius, metric)
    return ThresholdKnn(tables, n_classes or tables.n_classes(), inside, tables.matches() & inside)


class ThresholdKnn:
    """The mean share of matches among the rows of a coalition within the radius, over all points."""

    def __init__(self, tables: GameTables, n_classes: int, inside: Bools, matches: Bools) -> None:
        self.n_players = tables.n_players
        self._tables, self._empty, self._inside, self._matches = tables, 1.0 / n_classes, inside, matches

    def __call__(self, players: Int64s) -> float:
        """Return what a coalition is worth. Cost: O(rows n_validation)."""
        rows = self._tables.rows(players)
        inside, matches = self._inside[rows], self._matches[rows]
        counts = np.count_nonzero(inside, axis=0), np.count_nonzero(matches, axis=0)
        return float(self._shares(counts[0][None], counts[1][None])[0])

    def walk(self, order: Int64s) -> Float64s:
        """Return what the first 1..n players of an order are worth. Cost: O(n_train n_validation)."""
        rows, ends = self._tables.rows_in_order(order)
        n, n_matches = (np.zeros((1, self._inside.shape[1]), np.int64) for _ in range(2))
        found = np.empty(len(rows))
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            n = n[-1] + np.cumsum(self._inside[some], axis=0)
            n_matches = n_matches[-1] + np.cumsum(self._matches[some], axis=0)
            found[start : start + BLOCK] = self._shares(n, n_matches)
        return found[ends - 1]

    def _shares(self, n: Int64s, n_matches: Int64s) -> Float64s:
        """Return the mean share of matches over points, of counts (n_coalitions, n_validation)."""
        return np.where(n > 0, n_matches / np.maximum(n, 1), self._empty).mean(axis=1)
