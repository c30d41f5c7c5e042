"""The binned exchange between blocks, without Spark: tiny tiles and bins, the bits of one index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blocks import N_TRAIN, TILE, K, batch_of, block_column, built_blocks, index_of, planted_rows
from covering import covering

from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.reduce import PARTIAL_TYPES
from dvspark.engine.sharded import binned_exchange, exchange, lines
from dvspark.engine.sharded.binned_exchange import BinnedRound
from dvspark.engine.sharded.block_sums import SUM_TYPES, chunk_sums
from dvspark.engine.tasks import ChunkWork, chunk_arrays
from dvspark.errors import ComputeError
from dvspark.kernels import loops
from dvspark.kernels.binning import binned, bins, row_codes
from dvspark.kernels.distances import distances
from dvspark.kernels.ranking import ranking
from dvspark.kernels.workspace import Workspace
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial

PARTS_ORDER = [(name, "ascending") for name in ("chunk_id", "point", "block")]
VALUES_ORDER = [(name, "ascending") for name in ("block", "chunk_id", "point")]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles, bins, near rows and points at once that a table of 61 rows has several of."""
    monkeypatch.setattr(loops, "fastest", lambda: loops)
    monkeypatch.setattr(distances, "TILE_ROWS", TILE)
    monkeypatch.setattr(ranking, "SORTED_ROWS", 6)
    monkeypatch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 1)
    monkeypatch.setattr(ranking, "KEY_BLOCK_BYTES", 4 * 4 * N_TRAIN)
    monkeypatch.setattr(bins, "N_BINS", 24)
    monkeypatch.setattr(bins, "N_CELLS", 6)
    monkeypatch.setattr(bins, "SAMPLE_ONE_IN", 2)
    monkeypatch.setattr(bins, "SAMPLE_LIMITS", (1, 8_192))
    monkeypatch.setattr(bins, "near_rows", lambda n_train, n_exact, tolerance: max(10, n_exact))
    monkeypatch.setattr(binned, "MORE_NEAR", (1, 2))
    monkeypatch.setattr(binned_exchange, "POINTS_AT_ONCE", 3)
    monkeypatch.setattr(lines, "MOST_MAPPED", 2)
    monkeypatch.setattr(row_codes, "points_per_block", lambda n_train, n_features, capacity: 5)


def n_points(now: BinnedRound) -> dict[int, int]:
    """Return how many points of each chunk the round asks for."""
    return {chunk: len(points) for chunk, points in now.points.items()}


def sums_of(now: BinnedRound, batch_rows: int = 3) -> pa.Table:
    """Return the `BLOCK_SUMS` of a round, its rows having gone from task to task in batches of some size."""
    told = binned_exchange.part_batches(iter([block_column(now.reference)]), now)
    parts = pa.Table.from_batches(list(told)).sort_by(PARTS_ORDER)
    valued = binned_exchange.value_batches(iter(parts.to_batches(max_chunksize=batch_rows)), now)
    values = pa.Table.from_batches(list(valued)).sort_by(VALUES_ORDER)
    return pa.Table.from_batches(list(binned_exchange.sum_batches(iter(values.to_batches(max_chunksize=2)), now)))


def by_blocks(
    reference: BlocksReference, chunks: dict[int, ChunkArrays], work: ChunkWork, folder: Path
) -> tuple[dict[int, Partial], dict[int, np.ndarray]]:
    """Return each chunk's partial over all rounds, and the points that bins did not serve."""
    for chunk_id, chunk in chunks.items():
        exchange.write_chunk(folder, chunk_id, chunk)
    binned_exchange.write_sample(reference)
    left = {chunk_id: np.arange(chunk.n_validation) for chunk_id, chunk in chunks.items()}
    found: dict[int, Partial] = {}
    for n_near in binned.near_rounds(N_TRAIN, work.options.ranking_options(work.parameters, N_TRAIN)):
        points = {chunk_id: some for chunk_id, some in left.items() if len(some)}
        now = BinnedRound(reference, work, folder, points, n_near)
        if not points:
            break
        for chunk_id, (partial, failed) in chunk_sums(sums_of(now), now.reference, n_points(now)).items():
            found[chunk_id] = found[chunk_id].plus(partial) if chunk_id in found else partial
            left[chunk_id] = failed
    return found, left


def case(tmp_path: Path, metric: str, ties: str, self_validation: bool, **kinds: str) -> tuple[Any, ...]:
    data = planted_rows(**kinds)
    train = data.train if ties == "id" else replace(data.train, x=data.train.x + data.train.x.dtype.type(7.0))
    options = ValueOptions("soft_knn_shapley", {"k": K, "n_classes": 7}, metric, "default", ties)
    options = replace(options, ranking="binned", tolerance=0.02, self_validation=self_validation)
    work = ChunkWork(options, options.resolved(7))
    index = index_of(tmp_path / "index", train, metric)
    rows = pa.Table.from_batches([batch_of(train if self_validation else data.validation)])
    chunks = {
        number: chunk_arrays(rows.slice(start, 13), index.train_keys, self_validation=self_validation)
        for number, start in enumerate(range(0, len(rows), 13))
    }
    return train, index, chunks, work


KINDS: list[dict[str, str]] = [{}, {"id_type": "string", "label_type": "array<bigint>"}]


@pytest.mark.long
@pytest.mark.parametrize(
    ("metric", "ties", "self_validation", "kinds"),
    covering(["euclidean", "cosine", "inner_product"], ["id", "average"], [False, True], KINDS),
)
def test_binned_exchange__has_the_bits_of_one_index(
    tmp_path: Path, metric: str, ties: str, self_validation: bool, kinds: dict[str, str]
) -> None:
    train, index, chunks, work = case(tmp_path, metric, ties, self_validation, **kinds)
    ranked = work.options.ranking_options(work.parameters, N_TRAIN)
    game = work.options.declaration.game(N_TRAIN - self_validation, ranked, work.parameters)
    expected = {c: binned.binned_partial(index.arrays, chunk, game, Workspace()) for c, chunk in chunks.items()}
    assert sum(len(left) for _, left in expected.values()) < sum(chunk.n_validation for chunk in chunks.values())
    for block_rows in (8, 24, 64):
        reference = built_blocks(tmp_path / f"{block_rows}", train, metric, block_rows)
        found, left = by_blocks(reference, chunks, work, tmp_path)
        for chunk_id, (partial, expected_left) in expected.items():
            mine = found[chunk_id]
            np.testing.assert_array_equal(mine.value, partial.value)
            np.testing.assert_array_equal(mine.value_squared, partial.value_squared)
            assert (mine.n_validation, mine.utility) == (partial.n_validation, partial.utility)
            assert (mine.empty_utility, mine.error_bound) == (partial.empty_utility, partial.error_bound)
            np.testing.assert_array_equal(left[chunk_id], expected_left)
            assert len(partial.widest) == min(4, partial.n_validation)
            np.testing.assert_array_equal(mine.widest, partial.of_chunk(chunk_id).widest)


def test_binned_exchange__points_that_bins_do_not_serve_come_again_and_then_to_the_sort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, index, chunks, work = case(tmp_path, "euclidean", "id", False)
    ranked = work.options.ranking_options(work.parameters, N_TRAIN)
    partial = work.options.declaration.partial
    points = [chunks[0].take(np.array([point])) for point in range(13)]
    certificates = sorted(partial(index.arrays, point, ranked, work.parameters).error_bound for point in points)
    ranked = replace(ranked, tolerance=certificates[6])
    monkeypatch.setattr(ValueOptions, "ranking_options", lambda *_: ranked)
    reference = built_blocks(tmp_path / "blocks", train, "euclidean", 16)
    found, left = by_blocks(reference, {0: chunks[0]}, work, tmp_path)
    assert 0 < len(left[0]) < 13
    exchange.keep_points(tmp_path, left)
    halves = exchange.method_halves(reference, work)
    told = exchange.part_batches(iter([block_column(reference)]), reference, tmp_path, [0], halves.parts_of)
    parts = pa.Table.from_batches(list(told)).sort_by(PARTS_ORDER)
    (rest,) = pa.Table.from_batches(
        list(exchange.merge_chunks(iter(parts.to_batches()), reference, tmp_path, halves.partial_of)), PARTIAL_TYPES
    ).to_pylist()
    expected = partial(index.arrays, chunks[0], ranked, work.parameters)
    np.testing.assert_array_equal(found[0].value + np.frombuffer(rest["value"]), expected.value)
    assert found[0].n_validation + rest["n_validation"] == expected.n_validation == 13


@pytest.mark.parametrize("damage", ["lost", "twice", "another number"])
def test_chunk_sums__refuses_blocks_that_do_not_add_up(tmp_path: Path, damage: str) -> None:
    train, _, chunks, work = case(tmp_path, "euclidean", "id", False)
    reference = built_blocks(tmp_path / "blocks", train, "euclidean", 16)
    exchange.write_chunk(tmp_path, 0, chunks[0])
    binned_exchange.write_sample(reference)
    now = BinnedRound(reference, work, tmp_path, {0: np.arange(13)}, 10)
    rows = sums_of(now).to_pylist()
    if damage == "another number":
        rows[1]["n_validation"] += 1
    else:
        rows = rows[1:] if damage == "lost" else [rows[0], *rows]
    with pytest.raises(ComputeError, match="chunk 0"):
        chunk_sums(pa.Table.from_pylist(rows, SUM_TYPES), now.reference, n_points(now))
