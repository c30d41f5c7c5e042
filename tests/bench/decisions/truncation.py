"""Truncation: how well truncated values order the digits of scikit-learn, for docs/methods/truncated_knn_shapley.md."""

from __future__ import annotations

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import dvspark

K = 10
K_STARS = (10, 20, 50, 100, 200)
N_TRAIN = 1_437
WRONG_SHARE = 0.1
SEED = 0


def digits() -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return train rows and labels, validation rows and labels; and which training labels are wrong."""
    rng = np.random.default_rng(SEED)
    x, y = load_digits(return_X_y=True)
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    wrong = rng.random(N_TRAIN) < WRONG_SHARE
    y[:N_TRAIN][wrong] = (y[:N_TRAIN][wrong] + rng.integers(1, 10, np.count_nonzero(wrong))) % 10
    return (x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:]), wrong


def main() -> None:
    """Print for each k* the rank correlation with exact values, the AUROC, the largest error and the rows at zero."""
    data, wrong = digits()
    exact = dvspark.value_arrays(*data, k=K)
    print_machine()
    print(f"{len(wrong)} rows, {np.count_nonzero(wrong)} wrong; exact values: AUROC {roc_auc_score(wrong, -exact):.3f}")
    print("| k* | rank correlation | AUROC | largest error | bound | rows without a value |")
    print("|---|---|---|---|---|---|")
    for k_star in K_STARS:
        values = dvspark.value_arrays(*data, method="truncated_knn_shapley", k=K, k_star=k_star)
        figures = [
            f"{spearmanr(values, exact).statistic:.2f}",
            f"{roc_auc_score(wrong, -values):.3f}",
            f"{np.abs(values - exact).max():.4f}",
            f"{1 / k_star:g}",
            f"{np.mean(values == 0.0):.0%}",
        ]
        print(f"| {k_star} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
