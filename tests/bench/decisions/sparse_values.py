"""Sparse values: what the article's variants of Shapley estimators give for sparse values and for stable utilities.

Compressed: M sums of values with random signs are estimated from permutations, and values near an equal share are
recovered from them by a LASSO. Stable: all values are taken for an equal share.
"""

from __future__ import annotations

import math

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip
from sklearn.linear_model import Lasso

import dvspark
from tests.bench.reproductions.seed_article import Kept, iris_utility

N_PLAYERS, MATTER, SEEDS = 100, 5, range(5)
PERMUTATIONS = (20, 100, 500)
N_SUMS = (25, 50, 100)
PENALTIES = np.geomspace(1e-5, 0.3, 40)
STABLE_ROWS = 10


class Sparse:
    """A few players matter, in part together; all others add noise that follows from the coalition."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.noise = 0.01 * rng.standard_normal(N_PLAYERS)

    def __call__(self, players: np.ndarray) -> float:
        mattering = np.count_nonzero(players < MATTER)
        return math.tanh(mattering / 2) + math.sin(float(self.noise[players].sum()) * 40) / 10

    def walk(self, order: np.ndarray) -> np.ndarray:
        mattering, noise = np.cumsum(order < MATTER), np.cumsum(self.noise[order])
        return np.tanh(mattering / 2) + np.sin(noise * 40) / 10


def compressed(values: np.ndarray, n_sums: int, share: float, reference: np.ndarray, rng: np.random.Generator) -> float:
    """Return the error of the best recovery from sums of ``values`` with random signs, over all penalties.

    A mean over permutations of such sums is the sum of the means: they hold no more than the means do.
    """
    signs = rng.choice([-1.0, 1.0], (n_sums, len(values))) / math.sqrt(n_sums)
    told = signs @ (values - share)
    found = [Lasso(alpha=penalty, fit_intercept=False).fit(signs, told).coef_ + share for penalty in PENALTIES]
    return min(float(np.linalg.norm(one - reference)) for one in found)


def shrunk(values: np.ndarray, share: float, reference: np.ndarray) -> float:
    """Return the error of the best soft threshold of what is apart from an equal share, over all thresholds."""
    apart = values - share
    found = [np.sign(apart) * np.maximum(np.abs(apart) - penalty, 0) + share for penalty in PENALTIES]
    return min(float(np.linalg.norm(one - reference)) for one in found)


def stable() -> None:
    """Print how far apart values of Iris can be by what swapping two rows does, and how far apart they are."""
    n = STABLE_ROWS
    kept = Kept(iris_utility(n), n)
    kept.fill()
    codes, swaps = np.arange(2**n), np.zeros(n - 1)
    sizes = np.array([bin(code).count("1") for code in codes.tolist()])
    for i in range(n):
        for j in range(i):
            without = codes[((codes >> i) & 1 == 0) & ((codes >> j) & 1 == 0)]
            moved = np.abs(kept.worths[without | (1 << i)] - kept.worths[without | (1 << j)])
            np.maximum.at(swaps, sizes[without], moved)
    values = kept.shapley()
    print(f"\nIris, {n} rows: values are {np.ptp(values):.3f} apart; by the largest swap of each size at most ", end="")
    stability = float((swaps * np.arange(1, n)).max()) / 2
    harmonic = math.fsum(1 / s for s in range(1, n))
    print(f"{swaps.mean():.3f}, by one constant for all sizes {2 * stability * harmonic / (n - 1):.3f}")


def main() -> None:
    """Print errors of each way, and what stability says."""
    print_machine()
    game = Sparse()
    share = (game(np.arange(N_PLAYERS)) - game(np.arange(0))) / N_PLAYERS
    budget = 2 + 40_000 * (N_PLAYERS - 1)
    reference = dvspark.value_game(game, N_PLAYERS, evaluations=budget, seed=99).values
    print(f"\n| permutations | mean | soft threshold | {' | '.join(f'{m} sums' for m in N_SUMS)} |")
    print("|--:|--:|--:|" + "--:|" * len(N_SUMS))
    for permutations in PERMUTATIONS:
        errors = np.zeros(2 + len(N_SUMS))
        for seed in SEEDS:
            found = dvspark.value_game(
                game, N_PLAYERS, evaluations=2 + permutations * (N_PLAYERS - 1), seed=seed, sampling="permutations"
            ).values
            rng = np.random.default_rng(seed)
            each = [float(np.linalg.norm(found - reference)), shrunk(found, share, reference)]
            each += [compressed(found, n_sums, share, reference, rng) for n_sums in N_SUMS]
            errors += np.array(each) / len(SEEDS)
        print(f"| {permutations} | " + " | ".join(f"{error:.3f}" for error in errors) + " |")
    stable()


if __name__ == "__main__":
    main()
