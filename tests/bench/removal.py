"""Digits with wrong labels: rows removed by value, or as a review decides: `python -m tests.bench.removal [SVG]`."""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_digits

from dvspark.evaluate.contenders import contenders_of
from dvspark.evaluate.evaluation import Evaluation
from dvspark.evaluate.figure import figure_bytes
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.removal import removal

METHODS = ("knn_shapley", "chg_shapley")
# The first rows are train, the others validation; half of these are held out, drawn by the seed.
N_TRAIN, WRONG, SEEDS = 1_000, 0.2, (0, 1, 2)


def main(n_train: int = N_TRAIN, seeds: tuple[int, ...] = SEEDS) -> Evaluation:
    """Return the evaluation; some minutes."""
    x, y = load_digits(return_X_y=True)
    train, validation = LabeledRows(x[:n_train], y[:n_train]), LabeledRows(x[n_train:], y[n_train:])
    spoiling = Protocol(share=WRONG)
    return removal(train, validation, contenders_of(METHODS), protocol=spoiling, seeds=seeds, review_metric="euclidean")


if __name__ == "__main__":
    found = main()
    print(found.text())
    for row in found.tables["decisions"]:
        print(row)
    for row in found.tables["curves"]:
        if row["action"] == "remove" and row["share"] in (0.0, 0.1, 0.2, 0.3):
            print(row)
    if len(sys.argv) > 1:
        drawn = figure_bytes(found)
        assert drawn is not None  # it has curves
        Path(sys.argv[1]).write_bytes(drawn)
