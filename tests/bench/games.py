"""Estimators of games beside pyDVL's, as a black box: `python -m tests.bench.games` (group `bench`)."""

from __future__ import annotations

from typing import Any

import numpy as np

import dvspark
from tests.bench.frame import Result, apart, at_most, cpu_seconds, result, run, say

QUESTION = "What does an evaluation cost beside the utility, and is it more than pyDVL takes?"
METHOD = """\
The same utility asked for as many coalitions by `dvspark.value_game` and by pyDVL's samplers: the accuracy of a naive
Bayes classifier of scikit-learn, and the sum of the players' numbers, which takes no time. CPU seconds of one thread,
each in a process of its own; the median of three runs after one that does not count. Both in one environment,
since pyDVL needs a NumPy below 2."""
PLAYERS, ROWS = 100, 200
EVALUATIONS = {"sum": 4_000, "naive Bayes": 2_000}
TINY_EVALUATIONS = {"sum": 400, "naive Bayes": 300}
METHODS = {"monte_carlo_shapley": "permutations", "monte_carlo_banzhaf": ""}
RUNS = 3


def main(tiny: bool = False) -> Result:
    """Measure each estimator on each utility; some minutes."""
    rows = []
    for utility, evaluations in (TINY_EVALUATIONS if tiny else EVALUATIONS).items():
        for method in METHODS:
            say(f"games: {method}, {utility}, {evaluations:,} evaluations")
            given = {"method": method, "utility": utility, "evaluations": evaluations}
            theirs, ours = apart(measure_pydvl, **given), apart(measure_dvspark, **given)
            rows.append(
                {
                    "method": method,
                    "utility": utility,
                    "evaluations, pyDVL": theirs["evaluations"],
                    "evaluations, dvspark": ours["evaluations"],
                    "pyDVL, µs an evaluation": 1e6 * theirs["seconds"] / theirs["evaluations"],
                    "dvspark, µs an evaluation": 1e6 * ours["seconds"] / ours["evaluations"],
                    "dvspark / pyDVL": ours["seconds"]
                    * theirs["evaluations"]
                    / theirs["seconds"]
                    / ours["evaluations"],
                }
            )
    slowest = max(row["dvspark / pyDVL"] for row in rows)
    targets = [
        at_most("CPU of an evaluation over pyDVL's; mostly the utility's own, so 5 % are left to noise", 1.05, slowest)
    ]
    return result("games", QUESTION, METHOD, targets, {"CPU time of one evaluation": rows})


class Counted:
    """A utility for both sides, which counts what it is asked."""

    def __init__(self, utility: str) -> None:
        rng = np.random.default_rng(0)
        self.x, self.z = rng.standard_normal((PLAYERS, 5)), rng.standard_normal((ROWS, 5))
        self.y, self.answers = (self.x[:, 0] > 0).astype(int), (self.z[:, 0] > 0).astype(int)
        self.is_sum, self.n_calls = utility == "sum", 0

    def __call__(self, players: np.ndarray) -> float:
        """Return what players are worth, an array of numbers."""
        self.n_calls += 1
        if self.is_sum:
            return float(players.sum())
        if not len(players):
            return 0.5
        from sklearn.naive_bayes import GaussianNB

        fitted = GaussianNB().fit(self.x[players], self.y[players])
        return float((fitted.predict(self.z) == self.answers).mean())


def measure_dvspark(method: str, utility: str, evaluations: int) -> dict[str, Any]:
    """Return CPU seconds and evaluations of dvspark."""
    counted = Counted(utility)
    options: dict[str, Any] = {"sampling": METHODS[method]} if METHODS[method] else {}

    def value() -> dvspark.arrays.games.GameResult:
        return dvspark.value_game(counted, PLAYERS, method, evaluations, **options)

    seconds = cpu_seconds(value, RUNS)
    return {"seconds": seconds, "evaluations": value().n_evaluations}


def measure_pydvl(method: str, utility: str, evaluations: int) -> dict[str, Any]:
    """Return CPU seconds and evaluations of pyDVL."""
    from pydvl.valuation import Dataset, MaxUpdates, MSRBanzhafValuation, PermutationSampler, ShapleyValuation
    from pydvl.valuation.utility.base import UtilityBase

    counted = Counted(utility)

    class Utility(UtilityBase):  # type: ignore[type-arg]
        def __call__(self, sample: Any) -> float:
            return 0.0 if sample is None else counted(np.asarray(sample.subset))

    data = Dataset(counted.x, counted.y)
    n_orders = evaluations // PLAYERS

    def value() -> Any:
        if method == "monte_carlo_shapley":
            sampler = PermutationSampler(seed=0)
            valuation: Any = ShapleyValuation(Utility(), sampler, MaxUpdates(n_orders), progress=False)
        else:
            valuation = MSRBanzhafValuation(Utility(), MaxUpdates(evaluations // 2), seed=0)
        return valuation.fit(data).result

    seconds = cpu_seconds(value, RUNS)
    before = counted.n_calls
    value()
    return {"seconds": seconds, "evaluations": counted.n_calls - before}


if __name__ == "__main__":
    run(main)
