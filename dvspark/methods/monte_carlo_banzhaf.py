"""Monte Carlo Banzhaf, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.sample_reuse import SampleReuse
from dvspark.methods.kinds.games import GamesMethod

MONTE_CARLO_BANZHAF = GamesMethod(
    name="monte_carlo_banzhaf",
    gives="what it adds to a set that holds each other player with chance 1/2, for any utility",
    purpose="the order of players should survive a noisy utility",
    cost="1 evaluation a draw, which counts for all players",
    reference="Wang & Jia, Data Banzhaf, AISTATS 2023, arXiv:2205.15466",
    estimator=SampleReuse,
)
