"""Group-testing Shapley, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.group_testing import GroupTesting
from dvspark.methods.kinds.games import GamesMethod

GROUP_TESTING_SHAPLEY = GamesMethod(
    name="group_testing_shapley",
    gives="its Shapley share of any utility, from coalitions of random size",
    purpose="many players and few evaluations",
    cost="1 evaluation a draw, which counts for all players",
    reference="Jia et al., AISTATS 2019, arXiv:1902.10275",
    estimator=GroupTesting,
    efficient=True,
)
