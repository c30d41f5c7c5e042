"""KNN-Beta: rank weights of the Beta(alpha, beta) semivalue; a large alpha favors small coalitions, 1 and 1 none."""

from __future__ import annotations

from dvspark.kernels.formulas import semivalues
from dvspark.kernels.formulas.semivalues import Joining
from dvspark.kernels.ranking.rank_values import RankWeights
from dvspark.schemas import Float64s


def rank_weights(n_players: int, *, k: int, utility: str, n_classes: int, alpha: float, beta: float) -> RankWeights:
    """Return the weights of ranks 1..n_players; Beta(1, 1) is the Shapley value.

    O(n) time, 16 n bytes. Raises: ConfigError for an unknown utility.
    Source: Kwon & Zou, AISTATS 2022, arXiv:2110.14049; the closed form is this project's own, tested by enumeration.
    """
    joining = Joining(alpha, beta)
    return semivalues.rank_weights(n_players, joining, k=k, utility=utility, n_classes=n_classes)


def recursive_values(matches: Float64s, *, k: int, utility: str, n_classes: int, alpha: float, beta: float) -> Float64s:
    """Return the values of the rows at ranks 1..n from their match flags, by another formula, for checks. O(n)."""
    joining = Joining(alpha, beta)
    return semivalues.recursive_values(matches, joining, k=k, utility=utility, n_classes=n_classes)


def utility(
    n_nearest_matches: float,
    n_players: int,
    *,
    k: int,
    utility: str,
    n_classes: int,
    alpha: float,  # noqa: ARG001 - the parameters of a method go to all of its functions
    beta: float,  # noqa: ARG001
) -> tuple[float, float]:
    """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
    return semivalues.utility_values(n_nearest_matches, n_players, k=k, utility=utility, n_classes=n_classes)
