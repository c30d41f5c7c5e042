"""The vote of the k nearest rows as a utility that walks: a row that is not among the k nearest costs nothing."""

from __future__ import annotations

import numpy as np

from dvspark.arguments import choice_problems, count_problems
from dvspark.errors import ConfigError
from dvspark.games.utilities.game_tables import GameTables, class_problems
from dvspark.kernels.distances.distances import METRICS
from dvspark.kernels.formulas.semivalues import UTILITIES
from dvspark.schemas import Bools, Float64s, Int32s, Int64s


def knn(
    tables: GameTables, *, k: int = 10, metric: str = "euclidean", utility: str = "jia2019", n_classes: int = 0
) -> Knn:
    """Return the utility of `knn_shapley` (``utility`` jia2019) or `soft_knn_shapley` (wang2023): the same game.

    ``n_classes`` 0: as many as both tables have. Rows at equal distance rank by position.
    Cost: O(n_train n_validation (d + log n_train)) once, 5 n_train n_validation bytes, 8 while they are made.
    Raises: ConfigError for unusable parameters.
    """
    problems = count_problems("k", k, "10 is the default")
    problems += [*choice_problems("metric", metric, METRICS), *choice_problems("utility", utility, UTILITIES)]
    problems += class_problems(n_classes)
    if problems:
        raise ConfigError(problems)
    order = np.argsort(tables.keys(metric), axis=0, kind="stable")
    ranks = np.empty(order.shape, np.int32)
    np.put_along_axis(ranks, order, np.arange(len(order), dtype=np.int32)[:, None], axis=0)
    n_classes = n_classes or tables.n_classes()
    return Knn(tables, int(k), utility, n_classes, ranks, tables.matches())


class Knn:
    """The mean share of matches among the k nearest rows of a coalition, over all points."""

    def __init__(self, tables: GameTables, k: int, utility: str, n_classes: int, ranks: Int32s, matches: Bools) -> None:
        self.n_players = tables.n_players
        self._tables, self._k, self._ranks, self._matches = tables, k, ranks, matches
        self._is_soft, self._empty = utility == "wang2023", 1.0 / n_classes if utility == "wang2023" else 0.0

    def __call__(self, players: Int64s) -> float:
        """Return what a coalition is worth. Cost: O(rows n_validation)."""
        rows = self._tables.rows(players)
        ranks, matches = self._ranks[rows], self._matches[rows]
        if len(rows) > self._k:
            farthest = np.partition(ranks, self._k - 1, axis=0)[self._k - 1]
            matches = matches & (ranks <= farthest)
        return float(self._worths(np.array([np.count_nonzero(matches)]), np.array([len(rows)]))[0])

    def walk(self, order: Int64s) -> Float64s:
        """Return what the first 1..n players of an order are worth.

        Cost: O(n_train n_validation) to see which rows enter; O(k) for each that does, some k ln(n_train / k) a point.
        """
        rows, ends = self._tables.rows_in_order(order)
        counts = self._match_counts(rows)
        return self._worths(counts[ends - 1], ends)

    def _worths(self, n_matches: Int64s, n_rows: Int64s) -> Float64s:
        """Return worths from how many of the k nearest rows match, over all points, and how many rows there are."""
        voting = np.minimum(n_rows, self._k) if self._is_soft else np.full(len(n_rows), self._k)
        return np.where(n_rows > 0, n_matches / (np.maximum(voting, 1) * self._ranks.shape[1]), self._empty)

    def _match_counts(self, rows: Int64s) -> Int64s:
        """Return how many matches are among the k nearest of the first 1..n rows, over all points, int64 (n,)."""
        first = rows[: self._k]
        counts = np.empty(len(rows), np.int64)
        counts[: len(first)] = np.cumsum(np.count_nonzero(self._matches[first], axis=1))
        near, match = self._ranks[first].T.copy(), self._matches[first].T.copy()  # of each point, a row each
        farthest = near.max(axis=1)
        total = int(counts[len(first) - 1])
        for place, row in enumerate(rows[self._k :].tolist(), self._k):
            ranks = self._ranks[row]
            points = (ranks < farthest).nonzero()[0]
            if len(points):
                slots, matches = near[points].argmax(axis=1), self._matches[row, points]
                total += int(np.count_nonzero(matches)) - int(np.count_nonzero(match[points, slots]))
                near[points, slots], match[points, slots] = ranks[points], matches
                farthest[points] = near[points].max(axis=1)
            counts[place] = total
        return counts
