"""KNN-Banzhaf: rank weights of the Banzhaf value, which weighs all coalitions alike."""

from __future__ import annotations

from dvspark.kernels.formulas import semivalues
from dvspark.kernels.ranking.rank_values import RankWeights
from dvspark.schemas import Float64s


def rank_weights(n_players: int, *, k: int, utility: str, n_classes: int) -> RankWeights:
    """Return the weights of ranks 1..n_players; beyond about rank 2 k they fall by half from rank to rank.

    Cost: O(n) time, 16 n bytes. Raises: ConfigError for an unknown utility.
    Source: Wang & Jia, AISTATS 2023, arXiv:2205.15466; the closed form is this project's own, tested by enumeration.
    """
    return semivalues.rank_weights(n_players, semivalues.BANZHAF, k=k, utility=utility, n_classes=n_classes)


def recursive_values(matches: Float64s, *, k: int, utility: str, n_classes: int) -> Float64s:
    """Return the values of the rows at ranks 1..n from their match flags, by another formula, for checks. O(n)."""
    return semivalues.recursive_values(matches, semivalues.BANZHAF, k=k, utility=utility, n_classes=n_classes)


def utility(n_nearest_matches: float, n_players: int, *, k: int, utility: str, n_classes: int) -> tuple[float, float]:
    """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
    return semivalues.utility_values(n_nearest_matches, n_players, k=k, utility=utility, n_classes=n_classes)
