"""Method costs: what lava, dvrl, ame and owner_knn_shapley take and find, for their pages in docs/methods."""

from __future__ import annotations

from tests.bench.decisions import print_machine

import time  # isort: skip
from typing import Any  # isort: skip

import numpy as np  # isort: skip
from sklearn.metrics import roc_auc_score

import dvspark
from tests.bench.decisions.truncation import digits

N_DIGITS = 1_000
LAVA_SIZES = ((2_000, 1_000), (10_000, 2_000))
N_FEATURES, N_CLASSES = 32, 10
N_ROWS, N_POINTS, N_OWNERS, K = 20_000, 4, 1_000, 10
N_PLAYERS, N_EFFECTS, DRAWS = 400, 5, 400


def timed(method: str, *arrays: np.ndarray, **options: Any) -> tuple[np.ndarray, float]:
    """Return values, and the seconds that they took, once."""
    start = time.perf_counter()
    values = dvspark.value_arrays(*arrays, method=method, **options)
    return values, time.perf_counter() - start


def drawn(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows around the mean of their class, (n, 32) float32, and labels; the means do not depend on the seed."""
    means, rng = np.random.default_rng(0).standard_normal((N_CLASSES, N_FEATURES)), np.random.default_rng(seed)
    y = rng.integers(0, N_CLASSES, n_rows)
    return (means[y] + rng.standard_normal((n_rows, N_FEATURES))).astype(np.float32), y


def of_digits() -> None:
    """Print what lava and dvrl find of 1,000 digits with 10 % wrong labels."""
    (x, y, *validation), wrong = digits()
    data, wrong = (x[:N_DIGITS], y[:N_DIGITS], *validation), wrong[:N_DIGITS]
    for method, given in (("lava", {}), ("dvrl", {"seed": 0}), ("dvrl", {"seed": 1})):
        values, took = timed(method, *data, **given)
        print(f"{method} {given}: AUROC {roc_auc_score(wrong, -values):.2f}, {took:.0f} s")


def main() -> None:
    """Print the figures that the pages quote."""
    print_machine()
    of_digits()
    for n_train, n_validation in LAVA_SIZES:
        _, took = timed("lava", *drawn(n_train, 1), *drawn(n_validation, 2))
        print(f"lava, {n_train:,} x {n_validation:,} rows of {N_FEATURES} features: {took:.0f} s")
    owners = np.random.default_rng(3).integers(0, N_OWNERS, N_ROWS)
    _, took = timed("owner_knn_shapley", *drawn(N_ROWS, 1), *drawn(N_POINTS, 2), k=K, owners=owners)
    print(f"owner_knn_shapley, {N_ROWS:,} rows, {N_OWNERS:,} owners, k = {K}: {took / N_POINTS:.2f} s a point")
    effects = np.where(np.arange(N_PLAYERS) < N_EFFECTS, 1.0, 0.0)
    for fit in ("mean", "lasso", "corrected"):
        found = dvspark.value_game(
            lambda players: float(effects[players].sum()), N_PLAYERS, method="ame", fit=fit, evaluations=DRAWS, seed=0
        )
        named = np.count_nonzero(found.values)
        print(f"ame, {fit}: {named} players named, standard error {np.median(found.standard_errors):.3f}")


if __name__ == "__main__":
    main()
