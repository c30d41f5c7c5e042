"""KNN-Shapley (2019): rank weights of U(S) = matches among the k nearest / k, U(∅) = 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas.kinds import RankingFormulas
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.schemas import Float64s


@dataclass(frozen=True)
class KnnShapley(RankingFormulas):
    """KNN-Shapley, any k >= 1."""

    def rank_weights(self, n_players: int) -> RankWeights:
        """Return own_r = 1 / max(k, r) and suffix_j = 1 / (j (j - 1)) for j > k, any n_players >= 1.

        O(n) time, 16 n bytes, in place. Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637,
        theorem 1, in the non-recursive form.
        """
        k, own = self.k, np.arange(1, n_players + 1, dtype=np.float64)
        suffix = np.zeros(n_players)
        np.subtract(own[k:], 1.0, out=suffix[k:])
        suffix[k:] *= own[k:]
        np.divide(1.0, suffix[k:], out=suffix[k:])
        np.maximum(own, k, out=own)
        np.divide(1.0, own, out=own)
        return RankWeights(own=own, suffix=suffix)

    def recursive_values(self, matches: Float64s) -> Float64s:
        """Return the values of the rows at ranks 1..n from their match flags, by theorem 1's recursion.

        For checks only: another formula than the tables above. O(n). Source: Jia et al. 2019, theorem 1.
        """
        values = matches.copy()
        values[:-1] -= matches[1:]
        ranks = np.arange(1, len(matches) + 1, dtype=np.float64)
        values /= np.maximum(ranks, self.k, out=ranks)
        np.cumsum(values[::-1], out=values[::-1])
        return values

    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:  # noqa: ARG002 - shares of k
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n) nearest rows."""
        return n_nearest_matches / self.k, 0.0
