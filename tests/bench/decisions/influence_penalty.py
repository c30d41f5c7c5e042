"""Influence penalty: how well influence tells wrong labels by the head's penalty, on digits and the demo's packages."""

from __future__ import annotations

import time

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip
from sklearn.metrics import roc_auc_score

import dvspark
from tests.bench.decisions.head_penalty import SEED, WRONG_SHARE, digits, packages

PENALTIES = (0.1, 0.01, 0.001, 0.0001)


def main() -> None:
    """Print AUROC of wrong labels, and CPU seconds."""
    print_machine()
    print("\n| rows | penalty | AUROC of wrong labels | CPU s |\n|---|--:|--:|--:|")
    for name, (x, y, z, right) in (("digits", digits()), ("packages", packages())):
        rng = np.random.default_rng(SEED)
        drawn = rng.random(len(y)) < WRONG_SHARE
        given = y.copy()
        given[drawn] = y[rng.integers(0, len(y), np.count_nonzero(drawn))]
        for penalty in PENALTIES:
            begun = time.process_time()
            values = dvspark.value_arrays(x, given, z, right, method="influence", penalty=penalty)
            seconds = time.process_time() - begun
            print(f"| {name} | {penalty:g} | {roc_auc_score(given != y, -values):.3f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
