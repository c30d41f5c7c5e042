"""Monte Carlo Beta semivalues, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.permutations import WeightedPermutations
from dvspark.methods.game_parameters import game_parameters
from dvspark.methods.kinds.games import GamesMethod
from dvspark.methods.monte_carlo_shapley import BOUND, MONTE_CARLO_SHAPLEY, SAMPLING, STRATA, TRUNCATION
from dvspark.methods.parameters import ALPHA, BETA

MONTE_CARLO_BETA = GamesMethod(
    name="monte_carlo_beta",
    gives="what it adds to a set, in a mean over sets whose sizes you weigh, for any utility",
    purpose="small sets should count more",
    cost="n - 1 evaluations an order",
    reference="Kwon & Zou, Beta Shapley, AISTATS 2022, arXiv:2110.14049",
    estimator=WeightedPermutations,
    parameters=game_parameters(ALPHA, BETA, SAMPLING, STRATA, TRUNCATION, BOUND),
    biased=MONTE_CARLO_SHAPLEY.biased,
)
