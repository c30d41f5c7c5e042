"""Figures 2a, 2b and 4 of the article on group testing (Jia et al., AISTATS 2019, arXiv:1902.10275), on Iris."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import dvspark
from dvspark.games.utilities import GameTables, model
from tests.bench.frame import Row, say

# So few rows that every coalition can be trained once; the reference takes so many permutations of them.
FEW_ROWS, PERMUTATIONS = 14, 1_000_000
# The reference has so many permutations at a time, each time with another seed.
AT_ONCE = 100_000
ESTIMATORS = {"permutations": "monte_carlo_shapley", "group testing": "group_testing_shapley"}
EVALUATIONS = (1_000, 10_000, 100_000)
MANY_ROWS, STANDARD_ERROR, MOST_EVALUATIONS = (10, 20, 40, 80), 0.01, 20_000
N_VALIDATION = 50


class Kept:
    """A utility whose worths are kept in a table, of all coalitions or of those that were asked for."""

    def __init__(self, utility: Any, n: int) -> None:
        self.utility, self.n = utility, n
        self.worths = np.full(2**n, np.nan)

    def fill(self) -> None:
        """Ask for every coalition."""
        for code in range(2**self.n):
            self.worths[code] = self.utility(np.flatnonzero((code >> np.arange(self.n)) & 1))

    def __call__(self, players: np.ndarray) -> float:
        return float(self.worths[int((1 << players).sum())])

    def walk(self, order: np.ndarray) -> np.ndarray:
        return self.worths[np.cumsum(1 << order)]

    def shapley(self) -> np.ndarray:
        """Return the exact values, by enumeration."""
        codes = np.arange(2**self.n)
        sizes = np.array([bin(code).count("1") for code in codes.tolist()])
        weights = np.array([1 / (self.n * math.comb(self.n - 1, size)) for size in range(self.n)])
        found = np.empty(self.n)
        for player in range(self.n):
            without = codes[(codes >> player) & 1 == 0]
            found[player] = weights[sizes[without]] @ (self.worths[without | (1 << player)] - self.worths[without])
        return found


def iris_utility(n: int, seed: int = 0) -> Any:
    """Return the accuracy of logistic regression that is trained on some of ``n`` rows, classes in turn."""
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    of_class = [np.random.default_rng([seed, label]).permutation(np.flatnonzero(y == label)) for label in range(3)]
    order = np.stack(of_class, axis=1).ravel()
    train, validation = order[:n], order[-N_VALIDATION:]
    tables = GameTables.of(x[train], y[train], x[validation], y[validation])
    return model(tables, max_iter=1000, empty_utility=1 / 3)


def seed_rows(seeds: Sequence[int], *, tiny: bool = False) -> dict[str, list[Row]]:
    """Return the rows of all figures by title."""
    n, permutations = (4, 2_000) if tiny else (FEW_ROWS, PERMUTATIONS)
    say(f"seed article: {2**n:,} coalitions")
    kept = Kept(iris_utility(n), n)
    kept.fill()
    exact, reference = kept.shapley(), _reference(kept, permutations)
    errors = [
        {
            "estimator": name,
            "evaluations": evaluations,
            **_errors(kept, method, evaluations, seeds, reference),
        }
        for name, method in ESTIMATORS.items()
        for evaluations in (EVALUATIONS[:1] if tiny else EVALUATIONS)
    ]
    largest = EVALUATIONS[0] if tiny else EVALUATIONS[-1]
    found = {name: dvspark.value_game(kept, n, method, largest, seed=1).values for name, method in ESTIMATORS.items()}
    values = [
        {"row": row, "exact": exact[row], "reference": reference[row]}
        | {name: of_rows[row] for name, of_rows in found.items()}
        for row in range(n)
    ]
    return {"values": values, "errors": errors, "time": _times((6,) if tiny else MANY_ROWS, tiny)}


def _reference(kept: Kept, permutations: int) -> np.ndarray:
    """Return the mean values of so many permutations."""
    at_once = min(permutations, AT_ONCE)
    budget = 2 + at_once * (kept.n - 1)
    rounds = permutations // at_once
    say(f"seed article: {rounds * at_once:,} permutations")
    options: dict[str, Any] = {"sampling": "permutations"}
    return np.mean(
        [dvspark.value_game(kept, kept.n, evaluations=budget, seed=1000 + r, **options).values for r in range(rounds)],
        axis=0,
    )


def _errors(kept: Kept, method: str, evaluations: int, seeds: Sequence[int], reference: np.ndarray) -> Row:
    """Return means over seeds: the largest error, the largest standard error, and how values go with the reference."""
    found = [dvspark.value_game(kept, kept.n, method, evaluations, seed=seed) for seed in seeds]
    apart = [float(np.abs(one.values - reference).max()) for one in found]
    return {
        "largest error": float(np.mean(apart)),
        "largest standard error": float(np.mean([one.standard_errors.max() for one in found])),
        "correlation": float(np.mean([np.corrcoef(one.values, reference)[0, 1] for one in found])),
    }


def _times(sizes: Sequence[int], tiny: bool) -> list[Row]:
    """Return evaluations and CPU seconds until no value has a larger standard error than `STANDARD_ERROR`."""
    rows = list[Row]()
    for n in sizes:
        utility = iris_utility(n)
        for name, method in ESTIMATORS.items():
            say(f"seed article: {n} rows, {name}")
            begun = time.process_time()
            most = 400 if tiny else MOST_EVALUATIONS
            found = dvspark.value_game(utility, n, method, most, standard_error=0.1 if tiny else STANDARD_ERROR)
            rows.append(
                {
                    "rows": n,
                    "estimator": name,
                    "evaluations": found.n_evaluations,
                    "CPU seconds": time.process_time() - begun,
                    "largest standard error": float(found.standard_errors.max()),
                    "stopped by": found.stopped_by,
                }
            )
    return rows
