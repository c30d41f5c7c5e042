"""Leave-one-out of any utility, as a declaration."""

from __future__ import annotations

from dvspark.games.estimators.leave_one_out import LeaveOneOut
from dvspark.methods.game_parameters import game_parameters
from dvspark.methods.kinds.games import GamesMethod

LEAVE_ONE_OUT = GamesMethod(
    name="leave_one_out",
    gives="what all players lose without it, for any utility",
    purpose="as a baseline",
    cost="n + 2 evaluations",
    reference="the definition, U(N) - U(N without i)",
    estimator=LeaveOneOut,
    parameters=game_parameters(draws=False),
)
