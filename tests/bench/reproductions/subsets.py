"""Heads trained on a share of the rows, by how it is chosen: the selection tables of the CHG article, on other data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from dvspark import demo
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.subsets import SHARES, subsets
from dvspark.subsets import SubsetTraining
from tests.bench.frame import Row, say
from tests.bench.reproductions.data import fashion_mnist

# Shares of training labels that are wrong.
FLIPS = (0.0, 0.3)
# Of Fashion-MNIST's 60,000 training images so many are trained on: of 60,000, one choice by glister takes 7 s, and
# grad_match takes time by the square of the rows.
N_IMAGES = 4_000
# The article chooses anew every 20 epochs.
TRAINING = SubsetTraining(epochs=60, every=20)


def subset_sets(fashion: Path | None) -> Iterator[tuple[str, LabeledRows, LabeledRows]]:
    """Yield name, training and validation rows: the demo's, and Fashion-MNIST's where its folder is given."""
    yield "packages", _of_demo("train"), _of_demo("validation")
    if fashion is not None:
        images = fashion_mnist(fashion, "train")
        drawn = np.random.default_rng(0).permutation(len(images))[:N_IMAGES]
        yield "Fashion-MNIST", images.take(drawn), fashion_mnist(fashion)


def subset_rows(
    sets: Iterator[tuple[str, LabeledRows, LabeledRows]],
    seeds: Sequence[int],
    training: SubsetTraining = TRAINING,
    shares: Sequence[float] = SHARES,
) -> list[Row]:
    """Return a row for each set, share of wrong labels, criterion and share of rows."""
    rows = list[Row]()
    for name, train, validation in sets:
        say(f"subsets: {name}")
        about: Row = {"set": name, "train rows": len(train)}
        for flips in FLIPS:
            protocol = Protocol(share=flips)
            found = subsets(train, validation, protocol=protocol, seeds=seeds, shares=shares, training=training)
            rows += [{**about, "wrong labels": flips, **row} for row in found.plain()["tables"]["subsets"]]
    return rows


def _of_demo(side: str) -> LabeledRows:
    table = pq.read_table(demo.DATA / f"{side}.parquet")
    return LabeledRows.of(side, table["embedding"], table["label"].to_numpy())
