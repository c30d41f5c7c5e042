"""Head penalty: how well chg_shapley tells wrong labels by the head's penalty, on digits and on the demo's packages."""

from __future__ import annotations

import time

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip
import pyarrow.parquet as pq
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import dvspark
from dvspark.demo import DATA
from dvspark.kernels.gradients import softmax_head

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)
N_DIGITS = 1_200
WRONG_SHARE = 0.1
SEED = 0

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def digits() -> Rows:
    """Return training rows and labels, and validation rows and labels."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(x))
    x, y = x[order].astype(np.float32), y[order]
    return x[:N_DIGITS], y[:N_DIGITS], x[N_DIGITS:], y[N_DIGITS:]


def packages() -> Rows:
    """Return the same of the demo."""
    found = []
    for side in ("train", "validation"):
        table = pq.read_table(DATA / f"{side}.parquet")
        found += [np.stack(table["embedding"].to_numpy()).astype(np.float32), np.array(table["label"].to_pylist())]
    return found[0], found[1], found[2], found[3]


def main() -> None:
    """Print for each penalty the AUROC of wrong labels, what the head gets right, its steps and their CPU seconds."""
    print_machine()
    print("| rows | penalty | AUROC of wrong labels | right, validation | steps | head, CPU s |")
    print("|---|---|---|---|---|---|")
    for name, (x, y, z, y_z) in {"digits": digits(), "packages": packages()}.items():
        rng = np.random.default_rng(SEED)
        given = np.where(rng.random(len(y)) < WRONG_SHARE, rng.permutation(y), y)
        words, codes = np.unique(given, return_inverse=True)
        neighbors = dvspark.value_arrays(x, given, z, y_z, metric="cosine")
        for penalty in PENALTIES:
            softmax_head.PENALTY = penalty
            values = dvspark.value_arrays(x, given, z, y_z, method="chg_shapley")
            begun = time.process_time()
            head = softmax_head.fit_head(x, codes.astype(np.int32), len(words))
            taken = time.process_time() - begun
            right = np.mean(words[head.log_probabilities(head.features(z)).argmax(axis=1)] == y_z)
            auroc = roc_auc_score(given != y, -values)
            print(f"| {name} | {penalty:g} | {auroc:.3f} | {right:.3f} | {head.n_steps} | {taken:.1f} |")
        print(f"| {name} | knn_shapley | {roc_auc_score(given != y, -neighbors):.3f} | | | |")


if __name__ == "__main__":
    main()
