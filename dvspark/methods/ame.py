"""Average marginal effects, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.marginal_effect import MarginalEffect
from dvspark.methods.kinds.games import GamesMethod

AME = GamesMethod(
    name="ame",
    gives="what it adds to a set that the others join with one chance, 0.2 to 0.8, for any utility",
    purpose="to see what a player does in smaller and larger sets alike, with few evaluations",
    cost="1 evaluation a draw, which counts for all players",
    reference="Lin et al., ICML 2022, arXiv:2206.10013",
    estimator=MarginalEffect,
)
