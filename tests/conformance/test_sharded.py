"""The sharded plan: the values of the replicated one, bit for bit, however many blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from frames import Data, Side, draw_data, frames_of

from dvspark.errors import ComputeError
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Partial
from dvspark.schemas.pairwise import Pairwise

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# Four tiles, the last of them short; the near rows that stand in exact order are fewer than those of a block.
N_TRAIN, N_VALIDATION, K = 3 * TILE_ROWS + TILE_ROWS // 2 + 1, 40, 5
N_CHUNKS = 5


def _offset(data: Data, by: float) -> Data:
    """Return the rows moved by what all have in common."""
    return replace(data, **{name: replace(side, x=side.x + np.float32(by)) for name, side in _sides(data)})


def _clump(data: Data) -> Data:
    """Return rows of which 3,000 are the same one, near to half of the points.

    To the others these copies are far: one bin holds them all and certifies little, so that only the sort serves.
    """
    train, validation = data.train.x.copy(), data.validation.x.copy()
    train[:3_000] = 2.0
    validation[::2] = 2.0 + validation[::2] / 64
    return replace(data, train=replace(data.train, x=train), validation=replace(data.validation, x=validation))


def _sides(data: Data) -> list[tuple[str, Side]]:
    return [("train", data.train), ("validation", data.validation)]


DATA = {
    "plain": draw_data(N_TRAIN, N_VALIDATION, seed=31, n_features=4),
    "offset": _offset(draw_data(N_TRAIN, N_VALIDATION, seed=32, n_features=4, id_type="string"), 9.0),
    "multi": draw_data(N_TRAIN, N_VALIDATION, seed=33, n_features=4, label_type="array<bigint>", id_type="string"),
    "wide": draw_data(N_TRAIN, N_VALIDATION, seed=34, n_features=4, embedding_type="array<double>"),
    "clump": _clump(draw_data(N_TRAIN, N_VALIDATION, seed=37, n_features=4)),
    "small": draw_data(2_000, 60, seed=35, n_features=4, label_type="string"),
}

PLAIN = ValueOptions(parameters={"k": K}, ranking="sorted")
BINS = replace(PLAIN, ranking="binned", tolerance=1e-4)
SOFT = replace(PLAIN, method="soft_knn_shapley", parameters={"k": K, "n_classes": 7})
CASES: dict[str, tuple[str, ValueOptions, list[int]]] = {
    "any number of blocks": ("plain", PLAIN, [1, 2, 4]),
    "soft, ties, offset": ("offset", replace(SOFT, ties="average"), [4]),
    "cosine, multi-label, ties": ("multi", replace(SOFT, metric="cosine", ties="average"), [4]),
    "inner product": ("multi", replace(PLAIN, metric="inner_product"), [4]),
    "cosine, doubles, float64": ("wide", replace(PLAIN, metric="cosine", precision="float64"), [2]),
    "bins": ("plain", BINS, [1, 2, 4]),
    "bins that serve half the points": (
        "clump",
        replace(PLAIN, ranking="binned", tolerance=1e-6, error_bound=True),
        [4],
    ),
    "bins, soft, ties, offset": ("offset", replace(SOFT, ties="average", ranking="binned", tolerance=1e-4), [4]),
    "bins, cosine, multi-label": ("multi", replace(BINS, metric="cosine"), [2]),
    "self-validation": ("small", replace(PLAIN, self_validation=True, error_bound=True), [1]),
}


def _value(
    spark: SparkSession, data: Data, options: ValueOptions, folder: Path, n_blocks: int | None
) -> tuple[Partial, np.ndarray]:
    """Return the totals under the sharded plan, or (None) the replicated one."""
    from dvspark.engine.replicated import packing, points, replicated
    from dvspark.engine.sharded import sharded
    from dvspark.engine.tasks import ChunkWork

    train, validation = frames_of(spark, data)
    same: dict[str, Any] = {
        "n_train": len(data.train),
        "n_features": data.train.x.shape[1],
        "dtype": str(data.train.x.dtype),
        "metric": options.metric,
        "directory": folder / f"{n_blocks}",
    }
    chunks = points.chunked(train if options.self_validation else validation, N_CHUNKS)
    sizes = points.chunk_sizes(chunks)
    work = ChunkWork(options, options.resolved(7))
    if n_blocks is None:
        waves = replicated.value_waves(chunks, sizes, packing.build_index(train, **same), work)
    else:
        n_tiles = -(-len(data.train) // TILE_ROWS)
        blocks = sharded.build_blocks(train, **same, block_rows=-(-n_tiles // n_blocks) * TILE_ROWS, shared=False)
        assert blocks.n_blocks == n_blocks
        # The parts of a chunk's points meet in one task, or in several.
        waves = sharded.value_waves(chunks, sizes, blocks, work, n_tasks=1 if n_blocks == 1 else 10)
    totals = Pairwise()
    sketches = []
    for wave in waves:
        totals.add(wave.totals, len(wave.chunk_rows))
        sketches.append(wave.sketches)
    found = totals.total()
    assert found is not None
    return found, np.vstack(sketches)


@pytest.mark.parametrize("case", CASES)
def test_sharded__has_the_bits_of_the_replicated_plan(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    name, options, n_blocks = CASES[case]
    # Several waves, and the first of them in two jobs.
    monkeypatch.setattr("dvspark.engine.chunks.WAVE_CHUNKS", 4)
    monkeypatch.setattr("dvspark.engine.chunks.PARTIAL_BYTES", 3 * 16 * len(DATA[name].train))
    expected, expected_sketches = _value(spark, DATA[name], options, tmp_path, None)
    assert expected.error_bound > 0 or options.ranking == "sorted"
    assert expected.error_bound == 0 or options.precision == "default"
    for n in n_blocks:
        found, sketches = _value(spark, DATA[name], options, tmp_path, n)
        np.testing.assert_allclose(sketches, expected_sketches, rtol=1e-13)  # sums of a block, in whichever order
        np.testing.assert_array_equal(found.value, expected.value)
        np.testing.assert_array_equal(found.value_squared, expected.value_squared)
        np.testing.assert_array_equal(found.row_bounds, expected.row_bounds)
        np.testing.assert_array_equal(found.row_bounds, expected.row_bounds)
        assert _numbers(found) == _numbers(expected)
        np.testing.assert_array_equal(found.widest, expected.widest)
        assert len(found.widest) == 4 * (found.error_bound > 0)
        assert [path.name for path in (tmp_path / f"{n}").glob("chunks-*")] == []


def _numbers(partial: Partial) -> tuple[float, ...]:
    return partial.n_validation, partial.utility, partial.empty_utility, partial.error_bound


@pytest.mark.long
@pytest.mark.parametrize("self_validation", [False, True], ids=["", "self-validation"])
def test_valuation__is_the_same_under_both_plans_whoever_holds_the_validation_rows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, self_validation: bool
) -> None:
    from dvspark.run.computed import Computed
    from dvspark.run.pipeline import compute
    from dvspark.run.read import Tables
    from dvspark.run.request import RowRules, Spread
    from dvspark.run.validate import validate_tables
    from dvspark.tables.sources.reference import TableReference
    from dvspark.tables.sources.rows import canonical_rows

    data = draw_data(300, 30, seed=36, id_type="string") if self_validation else DATA["multi"]
    sides = [canonical_rows("train", frame, TableReference()) for frame in frames_of(spark, data)]
    options = replace(PLAIN, self_validation=self_validation)

    def computed(plan: str) -> Computed:
        spread = Spread(plan, work_dir=str(tmp_path))
        tables = Tables(sides[0], None if self_validation else sides[1])
        checked = validate_tables(tables, RowRules(), options, None, spread.chunk_rows, Stages())
        return compute(checked, spread, spark, Stages())

    expected = computed("replicated")
    monkeypatch.setattr("dvspark.engine.replicated.chunk_frames.HELD_BYTES", 0)
    found = computed("sharded")
    assert found.plan.name == "sharded"
    assert found.finalized.table.equals(expected.finalized.table)
    assert len(found.extremes) > 0
    assert found.extremes.equals(expected.extremes)
    assert [(f.name, f.verdict, f.measured) for f in found.audited.findings] == [
        (f.name, f.verdict, f.measured) for f in expected.audited.findings
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("id_type", ["bigint", "string"])
def test_build_blocks__has_the_same_bytes_placed_by_tasks_or_sent_from_task_to_task(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id_type: str
) -> None:
    from dvspark.engine.sharded import sharded, sharded_blocks

    data = draw_data(2 * TILE_ROWS + 5, 1, seed=15, id_type=id_type)
    train = frames_of(spark, data)[0].repartition(3)
    counted: dict[str, Any] = {"n_train": len(data.train), "n_features": data.train.x.shape[1], "dtype": "float32"}
    digests = []
    for name in ("placed", "sent"):
        monkeypatch.setattr(sharded_blocks, "is_same_host", lambda _spark, name=name: name == "placed")
        given = {**counted, "metric": "cosine", "directory": tmp_path / name, "block_rows": TILE_ROWS, "shared": True}
        digests.append(sharded.build_blocks(train, **given).digest)
    assert digests[0] == digests[1]
    assert sorted(path.name for path in (tmp_path / "placed").iterdir()) == sorted(
        path.name for path in (tmp_path / "sent").iterdir()
    )


@pytest.mark.parametrize("same_host", [True, False])
def test_build_blocks__refuses_rows_that_were_not_counted(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_host: bool
) -> None:
    from dvspark.engine.sharded import sharded, sharded_blocks

    monkeypatch.setattr(sharded_blocks, "is_same_host", lambda _spark: same_host)
    data = DATA["small"]
    counted: dict[str, Any] = {"n_features": 4, "dtype": "float32", "metric": "euclidean", "directory": tmp_path}
    with pytest.raises(ComputeError, match="1999 training rows"):
        sharded.build_blocks(frames_of(spark, data)[0], n_train=1_999, block_rows=TILE_ROWS, shared=True, **counted)


def test_build_blocks__refuses_a_folder_that_hosts_do_not_see(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvspark.engine.sharded import sharded, sharded_blocks

    monkeypatch.setattr(sharded_blocks, "is_same_host", lambda _spark: False)
    counted: dict[str, Any] = {"n_features": 4, "dtype": "float32", "metric": "euclidean", "directory": tmp_path}
    with pytest.raises(ComputeError, match="set work_dir"):
        sharded.build_blocks(
            frames_of(spark, DATA["small"])[0], n_train=2_000, block_rows=TILE_ROWS, shared=False, **counted
        )
