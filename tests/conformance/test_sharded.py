"""The sharded plan: the values of the replicated one, bit for bit, however many blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from frames import Data, Side, draw_data, frames_of

from dvspark.kernels.distances import TILE_ROWS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Partial

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# Four tiles, the last of them short; the near rows that stand in exact order are fewer than those of a block.
N_TRAIN, N_VALIDATION, K = 3 * TILE_ROWS + 5_000, 40, 5
CHUNK_ROWS = 24


def _offset(data: Data, by: float) -> Data:
    """Return the rows moved by what all have in common."""
    return replace(data, **{name: replace(side, x=side.x + np.float32(by)) for name, side in _sides(data)})


def _sides(data: Data) -> list[tuple[str, Side]]:
    return [("train", data.train), ("validation", data.validation)]


DATA = {
    "plain": draw_data(N_TRAIN, N_VALIDATION, seed=31, n_features=4),
    "offset": _offset(draw_data(N_TRAIN, N_VALIDATION, seed=32, n_features=4, id_type="string"), 9.0),
    "multi": draw_data(N_TRAIN, N_VALIDATION, seed=33, n_features=4, label_type="array<bigint>", id_type="string"),
    "wide": draw_data(N_TRAIN, N_VALIDATION, seed=34, n_features=4, embedding_type="array<double>"),
    "small": draw_data(2_000, 60, seed=35, n_features=4, label_type="string"),
}

PLAIN = ValueOptions(parameters={"k": K}, ranking="sorted")
SOFT = replace(PLAIN, method="soft_knn_shapley", parameters={"k": K, "n_classes": 7})
CASES: list[tuple[str, ValueOptions, list[int]]] = [
    ("plain", PLAIN, [1, 2, 4]),
    ("plain", replace(SOFT, ties="average"), [2]),
    ("plain", replace(PLAIN, precision="float64"), [4]),
    ("offset", replace(PLAIN, ties="average"), [4]),
    ("offset", replace(SOFT, metric="cosine"), [4]),
    ("multi", replace(SOFT, metric="cosine", ties="average"), [4]),
    ("multi", replace(PLAIN, metric="inner_product"), [4]),
    ("wide", replace(PLAIN, metric="cosine"), [4]),
    ("wide", replace(PLAIN, metric="cosine", precision="float64", ties="average"), [2]),
    ("small", replace(PLAIN, self_validation=True), [1]),
]


def _value(spark: SparkSession, data: Data, options: ValueOptions, folder: Path, n_blocks: int | None) -> Partial:
    """Return the totals under the sharded plan, or (None) the replicated one."""
    from dvspark.engine import replicated, sharded
    from dvspark.engine.tasks import ChunkWork

    train, validation = frames_of(spark, data)
    same: dict[str, Any] = {
        "n_train": len(data.train),
        "n_features": data.train.x.shape[1],
        "dtype": str(data.train.x.dtype),
        "metric": options.metric,
        "directory": folder / f"{n_blocks}",
    }
    # Two waves, the second of one chunk, whatever the rows' ids.
    chunks = replicated.chunked(train if options.self_validation else validation, 2)
    sizes = replicated.chunk_sizes(chunks)
    work = ChunkWork(options, options.resolved(7))
    if n_blocks is None:
        waves = replicated.value_waves(chunks, sizes, replicated.build_index(train, **same), work)
    else:
        n_tiles = -(-len(data.train) // TILE_ROWS)
        blocks = sharded.build_blocks(train, **same, block_rows=-(-n_tiles // n_blocks) * TILE_ROWS)
        assert blocks.n_blocks == n_blocks
        waves = sharded.value_waves(chunks, sizes, blocks, work)
    totals = Partial.zeros(len(data.train))
    for wave in waves:
        totals.add(wave)
    return totals


@pytest.mark.parametrize(("name", "options", "n_blocks"), CASES, ids=str)
def test_sharded__has_the_bits_of_the_replicated_plan(
    spark: SparkSession, tmp_path: Path, name: str, options: ValueOptions, n_blocks: list[int]
) -> None:
    expected = _value(spark, DATA[name], options, tmp_path, None)
    assert expected.n_validation > 0
    for n in n_blocks:
        found = _value(spark, DATA[name], options, tmp_path, n)
        np.testing.assert_array_equal(found.value, expected.value)
        np.testing.assert_array_equal(found.value_squared, expected.value_squared)
        assert (found.n_validation, found.utility, found.empty_utility) == (
            expected.n_validation,
            expected.utility,
            expected.empty_utility,
        )
