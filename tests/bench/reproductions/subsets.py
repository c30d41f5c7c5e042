"""Heads trained on a share of the rows, by how it is chosen: the selection tables of the CHG article, on other data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dvspark import demo
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.subsets import SHARES, subsets
from dvspark.subsets import SubsetTraining
from tests.bench.reproductions.data import fashion_mnist

# Shares of training labels that are wrong.
FLIPS = (0.0, 0.3)
# Of each set so many rows are trained on.
N_TRAIN = 2_000
TRAINING = SubsetTraining(epochs=30, every=10)


def subset_sets(fashion: Path | None) -> Iterator[tuple[str, LabeledRows, LabeledRows]]:
    """Yield name, training and validation rows: the demo's, and Fashion-MNIST's where its folder is given."""
    packages = _of_demo("train")
    some = np.random.default_rng(0).permutation(len(packages))[:N_TRAIN]
    yield "packages", packages.take(some), _of_demo("validation")
    if fashion is not None:
        rows = fashion_mnist(fashion)
        order = np.random.default_rng(0).permutation(len(rows))
        yield "Fashion-MNIST", rows.take(order[:N_TRAIN]), rows.take(order[N_TRAIN : 3 * N_TRAIN])


def subset_rows(
    sets: Iterator[tuple[str, LabeledRows, LabeledRows]],
    seeds: Sequence[int],
    training: SubsetTraining = TRAINING,
    shares: Sequence[float] = SHARES,
) -> list[dict[str, Any]]:
    """Return a row for each set, share of wrong labels, criterion and share of rows."""
    rows: list[dict[str, Any]] = []
    for name, train, validation in sets:
        for flips in FLIPS:
            protocol = Protocol(share=flips)
            found = subsets(train, validation, protocol=protocol, seeds=seeds, shares=shares, training=training)
            rows += [{"set": name, "wrong labels": flips, **row} for row in found.plain()["tables"]["subsets"]]
    return rows


def _of_demo(side: str) -> LabeledRows:
    table = pq.read_table(demo.DATA / f"{side}.parquet")
    return LabeledRows.of(side, table["embedding"], table["label"].to_numpy())
