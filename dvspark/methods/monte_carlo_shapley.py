"""Monte Carlo Shapley, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.permutations import BOUNDS, SAMPLINGS, Permutations
from dvspark.methods.game_parameters import game_parameters
from dvspark.methods.kinds.games import GamesMethod
from dvspark.methods.parameters import Choice, Number, Whole

SAMPLING = Choice("sampling", "the orders of a draw", "antithetic", SAMPLINGS)
STRATA = Whole("strata", "rotations of an order, under sampling stratified", 8)
BOUND = Choice("bound", "which inequality gives the error bound", "empirical_bernstein", BOUNDS)
TRUNCATION = Number("truncation", "worths this close to that of all players count as equal to it: biased", above=0.0)

MONTE_CARLO_SHAPLEY = GamesMethod(
    name="monte_carlo_shapley",
    gives="its Shapley share of any utility, from random orders",
    purpose="any model and any utility; few players, or a utility that walks",
    cost="n - 1 evaluations an order",
    reference="Castro, Gómez & Tejada, Computers & Operations Research 36(5), 2009, doi:10.1016/j.cor.2008.04.004",
    estimator=Permutations,
    parameters=game_parameters(SAMPLING, STRATA, TRUNCATION, BOUND),
    efficient=True,
    biased=lambda given: "truncation leaves marginals out" if given.get("truncation") is not None else "",
)
