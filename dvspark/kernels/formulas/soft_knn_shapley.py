"""Soft-label KNN-Shapley (2023): rank weights of U(S) = share of matches among the nearest, U(∅) = 1/C."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas.kinds import RankingFormulas
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.schemas import Float64s


@dataclass(frozen=True)
class SoftKnnShapley(RankingFormulas):
    """Soft-label KNN-Shapley; C is ``n_classes``."""

    n_classes: int

    def rank_weights(self, n_players: int) -> RankWeights:
        """Return the weights of `knn_shapley` for k' = min(k, n), plus terms that depend only on the match and on A.

        value = value of knn_shapley for k' + gamma (a - A / n) - 1 / (C n), gamma = (H_k' - 1) / (n - 1).
        Cost: O(n) time, 16 n bytes.
        Source: Wang & Jia 2023, arXiv:2304.04258, theorem 7, corrected for n < k.
        """
        nearest = min(self.k, n_players)
        harmonic = float(np.sum(1.0 / np.arange(1, nearest + 1)))
        gamma = (harmonic - 1.0) / (n_players - 1) if n_players > 1 else 0.0
        return dataclasses.replace(
            KnnShapley(nearest).rank_weights(n_players),
            match=gamma,
            shared=-gamma / n_players,
            constant=-1.0 / (self.n_classes * n_players),
        )

    def recursive_values(self, matches: Float64s) -> Float64s:
        """Return the values of the rows at ranks 1..n from their match flags, by theorem 7's recursion.

        For checks only: another formula than the tables above. O(n). Source: Wang & Jia 2023, theorem 7, with
        the harmonic numbers corrected for n < k.
        """
        k, n_players = self.k, len(matches)
        harmonic = sum(1.0 / j for j in range(1, min(k, n_players) + 1))
        last = (matches[-1] - 1.0 / self.n_classes) / n_players
        if n_players > 1:
            last += (harmonic - 1.0) * (matches[-1] - matches[:-1].sum() / (n_players - 1)) / n_players
        ranks = np.arange(1, n_players)
        steps = np.full(n_players - 1, harmonic - 1.0 / n_players)
        if n_players >= k:
            steps = harmonic + (np.minimum(ranks, k) * (n_players - 1) / ranks - k) / k
        falls = (matches[:-1] - matches[1:]) * steps / max(n_players - 1, 1)
        return np.cumsum(np.append(falls, last)[::-1])[::-1]

    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows.

        Without players both are that of the empty set.
        """
        empty = 1.0 / self.n_classes
        return n_nearest_matches / min(self.k, n_players) if n_players else empty, empty
