"""What a game costs: a utility is timed on a few coalitions of random rows."""

from __future__ import annotations

import time

import numpy as np

from dvspark.games.draws import Draws
from dvspark.games.utility import Utility, Worths

# CPU seconds that the evaluations may take, and the coalitions that are asked for at most where each is a call.
BUDGET_SECONDS = 0.8
MOST_COALITIONS = 64


def evaluation_seconds(utility: Utility, n_players: int, *, scores: bool, evaluations: int) -> tuple[float, bool]:
    """Return the CPU seconds of an evaluation, and whether it was one of a walk; of ``evaluations`` at most.

    Sizes of coalitions are drawn evenly, as those of random orders are. Raises: ComputeError where the utility fails.
    """
    worths, draws = Worths(utility, n_players), Draws(0, 0)
    walks = not scores and hasattr(utility, "walk")
    ends = worths.ends()
    asked, began, seconds = worths.n_asked, time.process_time(), 0.0
    while worths.n_asked == asked or (
        seconds < BUDGET_SECONDS and worths.n_asked - asked < min(MOST_COALITIONS, evaluations)
    ):
        if walks:
            worths.along(draws.order(n_players), ends)
        elif scores:
            worths.scores(np.sort((draws.uniform(n_players) * n_players).astype(np.int64)))
        else:
            worths.of(draws.of_size(n_players, 1 + int(draws.uniform(1)[0] * n_players)))
        worths.require_no_failures()
        seconds = time.process_time() - began
    return seconds / max(worths.n_asked - asked, 1), walks
