"""What stages ask of validation rows that this process holds is what Spark would answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dvspark.engine.by_workers import points
from dvspark.engine.chunks import sizes_of, whole_chunks
from dvspark.engine.points import audited_rows, nearest_validation_rows
from dvspark.engine.tasks import ListedRows, counts_table
from dvspark.errors import ComputeError
from dvspark.local.hashes import xxhash64
from dvspark.local.rows import LocalRows

N = 40
TYPES = {"id": "string", "embedding": "array<float>", "label": "bigint"}
SESSION: Any = None


def _table() -> pa.Table:
    rng = np.random.default_rng(0)
    order = rng.permutation(N)
    x = rng.integers(0, 3, (N, 2)).astype(np.float32)  # many at equal distance
    rows = {"id": [f"row-{n}" for n in order], "embedding": list(x), "label": order % 5}
    return pa.table(rows, schema=LocalRows(SESSION, TYPES, lambda _: iter(())).schema)


@pytest.fixture
def rows() -> LocalRows:
    return LocalRows.of_table(SESSION, TYPES, _table())


def test_chunks__hold_each_row_once_in_id_order(rows: LocalRows) -> None:
    chunks = points.chunked(rows, 7)
    sizes = points.chunk_sizes(chunks)
    assert list(sizes) == sorted(sizes)
    taken = points.chunk_rows(chunks, list(sizes))
    found = dict(whole_chunks(iter(taken.combine_chunks().to_batches())))
    assert {chunk: len(part) for chunk, part in found.items()} == sizes
    told = pa.Table.from_batches(sizes_of(iter(taken.combine_chunks().to_batches()))).to_pydict()
    assert dict(zip(told["chunk_id"], told["n_rows"], strict=True)) == sizes
    for chunk, part in found.items():
        ids = part["id"].combine_chunks()
        assert ids.to_pylist() == sorted(ids.to_pylist())
        assert set((xxhash64([ids]) % 7).tolist()) == {chunk}
        assert points.n_rows(points.rows_of(chunks, chunk)) == len(part)
    assert sorted(taken["id"].to_pylist()) == sorted(_table()["id"].to_pylist())
    assert len(points.chunk_rows(chunks, [])) == 0


def test_sample__is_drawn_by_the_hash_of_ids_whatever_the_order(rows: LocalRows) -> None:
    ids = _table()["id"].combine_chunks()
    draws = xxhash64([ids, pa.array(["sample"] * N)])
    expected = sorted(np.array(ids.to_pylist())[np.argsort(draws)[:6]].tolist())
    assert points.sample_rows(rows, 6)["id"].to_pylist() == expected
    reverse = LocalRows.of_table(SESSION, TYPES, _table().take(pa.array(range(N))[::-1]))
    assert points.sample_rows(reverse, 6).equals(points.sample_rows(rows, 6))
    assert len(points.sample_rows(rows, 2 * N)) == N


def test_audited_rows__are_drawn_ones_and_those_with_the_widest_certificates(rows: LocalRows) -> None:
    chunks = points.chunked(rows, 4)
    wide = [(chunk, 1) for chunk in points.chunk_sizes(chunks)][:2]
    widest = np.array([[0.5, chunk, place] for chunk, place in wide])
    expected = set(points.sample_rows(rows, 5)["id"].to_pylist())
    expected |= {points.chunk_rows(chunks, [chunk])["id"][place].as_py() for chunk, place in wide}
    found = audited_rows(rows, 5, 4, widest)
    assert found["id"].to_pylist() == sorted(expected)
    assert audited_rows(rows, 5, 4, np.empty((0, 3))).equals(points.sample_rows(rows, 5))
    with pytest.raises(ComputeError, match="did the validation table change"):
        audited_rows(rows, 5, 4, np.array([[0.5, wide[0][0], N]]))


def test_each_a_chunk__is_in_the_order_of_the_rows(rows: LocalRows) -> None:
    some = points.sample_rows(rows, 4)
    chunks = points.each_a_chunk(some, rows)
    assert points.chunk_sizes(chunks) == dict.fromkeys(range(4), 1)
    assert points.chunk_rows(chunks, [2])["id"].to_pylist() == some["id"].to_pylist()[2:3]


def test_with_counts__each_row_has_its_own(rows: LocalRows) -> None:
    ids = pa.chunked_array([[f"row-{n}" for n in range(N)]])
    noisy = counts_table(ids, np.stack([np.arange(N), -np.arange(N)], axis=1))
    table = points.with_counts(rows, noisy).table
    numbers = [int(row.removeprefix("row-")) for row in table["id"].to_pylist()]
    assert table["n_matches"].to_pylist() == numbers
    assert table["n_others"].to_pylist() == [-n for n in numbers]


def test_neighbors__of_equal_distance_go_by_id_whatever_the_batches(
    rows: LocalRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ListedRows([3, 8], np.array([[0.0, 1.0], [2.0, 2.0]], np.float32), pa.array(["row-3", "other"]))
    found = nearest_validation_rows(rows, listed, "euclidean", 4)
    monkeypatch.setattr(points, "BATCH_ROWS", 3)
    assert nearest_validation_rows(rows, listed, "euclidean", 4).equals(found)
    table = rows.table
    x = np.stack(table["embedding"].to_pylist())
    for row, point, own in ((3, [0.0, 1.0], "row-3"), (8, [2.0, 2.0], "")):
        distances = np.linalg.norm(x - np.array(point), axis=1)
        ids = table["id"].to_pylist()
        near = sorted((distance, name) for distance, name in zip(distances, ids, strict=True) if name != own)[:4]
        of_row = [one for one in found.to_pylist() if one["train_row"] == row]
        assert [one["validation_id"] for one in of_row] == [name for _, name in near]
        assert [one["position"] for one in of_row] == [1, 2, 3, 4]
