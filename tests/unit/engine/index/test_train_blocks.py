"""Blocks of the training table and their exchange, without Spark: tiny tiles, the bits of one index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from blocks import (
    N_TRAIN,
    N_VALIDATION,
    TILE,
    K,
    batch_of,
    block_batches,
    block_column,
    built_blocks,
    index_of,
    planted_rows,
    reference_of,
)
from covering import covering

from dvspark.engine.index import block_writing, manifest, train_blocks
from dvspark.engine.index.block_writing import (
    begin_blocks,
    look_through_blocks,
    place_in_blocks,
    row_digests,
    write_blocks,
)
from dvspark.engine.index.index_writing import RowFile
from dvspark.engine.index.train_blocks import BlocksReference, damaged_blocks, open_block, rows_of, sealed_blocks
from dvspark.engine.index.train_index import finished_index
from dvspark.engine.reduce import PARTIAL_TYPES
from dvspark.engine.sharded.exchange import merge_chunks, method_halves, part_batches, read_chunk, write_chunk
from dvspark.engine.tasks import ChunkWork, chunk_arrays
from dvspark.errors import ComputeError
from dvspark.kernels.blocks.merged import block_keys, block_parts
from dvspark.kernels.distances import distances
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.ranking import ranking
from dvspark.kernels.workspace import Workspace
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial, TrainArrays

BLOCK_ROWS = {7: 8, 1: 16, 3: 40, 1_000: 64}  # by rows of a batch of the exchange


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles, exact rows and points at once that a table of 61 rows has several of."""
    monkeypatch.setattr(distances, "TILE_ROWS", TILE)
    monkeypatch.setattr(ranking, "SORTED_ROWS", 6)
    monkeypatch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 1)
    monkeypatch.setattr(ranking, "KEY_BLOCK_BYTES", 4 * 4 * N_TRAIN)


def _exchanged(reference: BlocksReference, chunks: dict[int, ChunkArrays], work: ChunkWork, folder: Path) -> pa.Table:
    """Return the `PARTS` of all chunks, sorted as they reach a task."""
    for chunk_id, chunk in chunks.items():
        write_chunk(folder, chunk_id, chunk)
    halves = method_halves(reference, work)
    told = part_batches(iter([block_column(reference)]), reference, folder, list(chunks), halves.parts_of)
    order = [(name, "ascending") for name in ("chunk_id", "point", "block")]
    return pa.Table.from_batches(list(told)).sort_by(order)


def _assert_same(found: pa.Table, expected: dict[int, Partial]) -> None:
    rows = {row["chunk_id"]: row for row in found.to_pylist()}
    assert rows.keys() == expected.keys()
    for chunk_id, partial in expected.items():
        row = rows[chunk_id]
        np.testing.assert_array_equal(np.frombuffer(row["value"]), partial.value)
        np.testing.assert_array_equal(np.frombuffer(row["value_squared"]), partial.value_squared)
        mine = (row["n_validation"], row["utility"], row["empty_utility"], row["error_bound"])
        assert mine == (partial.n_validation, partial.utility, partial.empty_utility, partial.error_bound)


# --- values -----------------------------------------------------------------------------------------------

KINDS: list[dict[str, str]] = [
    {"id_type": "bigint", "label_type": "bigint", "embedding_type": "array<float>"},
    {"id_type": "string", "label_type": "array<bigint>", "embedding_type": "array<double>"},
]


@pytest.mark.parametrize(
    ("metric", "ties", "precision", "self_validation", "kinds"),
    covering(["euclidean", "cosine", "inner_product"], ["id", "average"], ["default", "float64"], [False, True], KINDS),
)
def test_exchange__has_the_bits_of_one_index(
    tmp_path: Path,
    metric: str,
    ties: str,
    precision: str,
    self_validation: bool,
    kinds: dict[str, str],
) -> None:
    data = planted_rows(**kinds)
    train = data.train if ties == "id" else replace(data.train, x=data.train.x + data.train.x.dtype.type(7.0))
    options = ValueOptions("soft_knn_shapley", {"k": K, "n_classes": 7}, metric, precision, ties)
    asked = replace(options, ranking="sorted", self_validation=self_validation)
    work = ChunkWork(asked, asked.resolved(7))
    index = index_of(tmp_path / "index", train, metric)
    rows = pa.Table.from_batches([batch_of(train if self_validation else data.validation)])
    chunks = {
        number: chunk_arrays(rows.slice(start, 13), index.train_keys, self_validation=self_validation)
        for number, start in enumerate(range(0, len(rows), 13))
    }
    ranked = options.ranking_options(work.parameters, N_TRAIN)
    expected = {
        number: options.declaration.partial(index.arrays, chunk, ranked, work.parameters)
        for number, chunk in chunks.items()
    }
    for batch_rows, block_rows in BLOCK_ROWS.items():  # batch borders do not matter either
        reference = built_blocks(tmp_path / f"{block_rows}", train, metric, block_rows)
        parts = _exchanged(reference, chunks, work, tmp_path)
        merge = method_halves(reference, work).partial_of
        partials = merge_chunks(iter(parts.to_batches(max_chunksize=batch_rows)), reference, tmp_path, merge)
        _assert_same(pa.Table.from_batches(list(partials), PARTIAL_TYPES), expected)


def test_exchange__of_one_row_that_sits_out_its_own_game(tmp_path: Path) -> None:
    train = planted_rows().train.take(slice(1))
    options = ValueOptions(parameters={"k": K}, self_validation=True)
    work = ChunkWork(options, options.resolved(7))
    reference = built_blocks(tmp_path / "blocks", train, "euclidean", TILE)
    rows = pa.Table.from_batches([batch_of(train)])
    parts = _exchanged(reference, {0: chunk_arrays(rows, reference.train_keys(), self_validation=True)}, work, tmp_path)
    partials = merge_chunks(iter(parts.to_batches()), reference, tmp_path, method_halves(reference, work).partial_of)
    _assert_same(pa.Table.from_batches(list(partials)), {0: replace(Partial.zeros(1), n_validation=1)})


@pytest.mark.parametrize("damage", ["lost", "twice"])
def test_merge_chunks__refuses_a_point_without_all_blocks(tmp_path: Path, damage: str) -> None:
    data = planted_rows()
    reference = built_blocks(tmp_path / "blocks", data.train, "euclidean", 16)
    options = ValueOptions(parameters={"k": K})
    work = ChunkWork(options, options.resolved(7))
    rows = pa.Table.from_batches([batch_of(data.validation)])
    parts = _exchanged(
        reference, {3: chunk_arrays(rows, reference.train_keys(), self_validation=False)}, work, tmp_path
    )
    kept = [row for row in range(len(parts)) if row != 6] if damage == "lost" else sorted([*range(len(parts)), 6])
    batches = iter(parts.take(kept).to_batches())
    with pytest.raises(ComputeError, match="chunk 3, point 1"):
        list(merge_chunks(batches, reference, tmp_path, method_halves(reference, work).partial_of))


@pytest.mark.parametrize("self_validation", [False, True])
def test_chunk__comes_back_as_it_was_written(tmp_path: Path, self_validation: bool) -> None:
    data = planted_rows(label_type="array<bigint>")
    index = index_of(tmp_path / "index", data.train, "euclidean")
    rows = pa.Table.from_batches([batch_of(data.train if self_validation else data.validation)])
    chunk = chunk_arrays(rows, index.train_keys, self_validation=self_validation)
    write_chunk(tmp_path, 7, chunk)
    found = read_chunk(tmp_path, 7)
    np.testing.assert_array_equal(found.x, chunk.x)
    assert [codes.tolist() for codes in found.labels] == [codes.tolist() for codes in chunk.labels]
    assert (found.train_rows is None) == (not self_validation)
    if found.train_rows is not None:
        np.testing.assert_array_equal(found.train_rows, chunk.train_rows)


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 7.0])
def test_blocks__together_are_the_index(tmp_path: Path, metric: str, offset: float) -> None:
    data = planted_rows()
    train = replace(data.train, x=data.train.x + np.float32(offset))
    whole = index_of(tmp_path / "index", train, metric).arrays
    reference = built_blocks(tmp_path / "blocks", train, metric, 16)
    blocks = [open_block(reference, block) for block in range(reference.n_blocks)]
    assert (whole.center is None) == (offset == 0.0)
    for name in ("x", "scale", "squared_norm"):
        expected = getattr(whole, name)
        if expected is not None:
            np.testing.assert_array_equal(np.concatenate([getattr(b.train, name) for b in blocks]), expected)
    np.testing.assert_array_equal(np.concatenate([b.train.labels.codes for b in blocks]), whole.labels.codes)
    for block in blocks:
        np.testing.assert_array_equal(block.train.center, whole.center)
    inside = np.concatenate([b.train.duplicates + b.first_row for b in blocks])
    guests = np.concatenate([b.guest_pairs[:, 0] + b.first_row for b in blocks])
    assert len(inside)
    assert sorted([*inside[:, 0], *guests]) == whole.duplicates[:, 0].tolist()


@pytest.mark.parametrize("block_rows", [8, 40])
def test_guests__stand_where_their_first_copies_do(tmp_path: Path, block_rows: int) -> None:
    train = planted_rows().train
    whole = index_of(tmp_path / "index", train, "euclidean").arrays
    first_of = dict(whole.duplicates.tolist())
    reference = built_blocks(tmp_path / "blocks", train, "euclidean", block_rows)
    found = 0
    for number in range(1, reference.n_blocks):
        block = open_block(reference, number)
        assert block.guests is not None
        copies = {first_of[row + block.first_row] for row in block.guest_pairs[:, 0].tolist()}
        assert block.guests.n_train == TILE * np.bincount([copy % TILE for copy in copies]).max()
        for row, guest in block.guest_pairs.tolist():
            assert guest % TILE == first_of[row + block.first_row] % TILE
            np.testing.assert_array_equal(block.guests.x[guest], block.train.x[row])
            assert block.guests.squared_norm[guest] == block.train.squared_norm[row]
            found += 1
    assert found > 5


def test_block_parts__multiply_as_many_points_at_once_as_one_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted_rows()
    index = index_of(tmp_path / "index", data.train, "euclidean")
    rows = pa.Table.from_batches([batch_of(data.validation)])
    chunk = chunk_arrays(rows, index.train_keys, self_validation=False)
    block = open_block(built_blocks(tmp_path / "blocks", data.train, "euclidean", 16), 0)
    options = ValueOptions(parameters={"k": K}).ranking_options(KnnShapley(K), N_TRAIN)
    shapes: list[tuple[int, int]] = []
    product = distances.approximate_keys

    def spy(train: TrainArrays, z: np.ndarray, metric: str, out: np.ndarray) -> np.ndarray:
        shapes.append((train.n_train, len(z)))
        return product(train, z, metric, out)

    monkeypatch.setattr(distances, "approximate_keys", spy)
    list(block_parts(block, chunk, options, N_TRAIN))
    of_block = [points for n_rows, points in shapes if n_rows == 16]
    shapes.clear()
    list(ranking.keyed_points(index.arrays, chunk, "euclidean", Workspace()))
    assert of_block == [points for _, points in shapes]
    assert len(of_block) > 1


def test_row_digests__are_equal_for_equal_rows_only() -> None:
    x = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    digests = [tuple(row) for row in row_digests(x).tolist()]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_rows_of__are_read_from_their_blocks(tmp_path: Path) -> None:
    train = planted_rows().train
    reference = built_blocks(tmp_path / "blocks", train, "euclidean", 16)
    rows = np.array([60, 0, 17, 16, 15])
    np.testing.assert_array_equal(rows_of(reference, rows), train.x[rows])


@pytest.mark.parametrize("change", ["other ids", "a row less", "a row more"])
def test_write_blocks__refuses_rows_whose_keys_were_not_read(tmp_path: Path, change: str) -> None:
    train = planted_rows().train
    reference = reference_of(tmp_path / "blocks", train, "euclidean", 16)
    rows = {"other ids": slice(17, 33), "a row less": slice(16, 31), "a row more": slice(16, 33)}[change]
    batch = batch_of(train, rows)
    batch = batch.append_column("block", pa.array([1] * len(batch), pa.int32()))
    with pytest.raises(ComputeError, match="the 16 rows whose keys were read"):
        list(write_blocks(iter([batch]), reference))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block_rows", [8, 16, 64])
@pytest.mark.parametrize("most_open", [1, 256])
def test_place_in_blocks__writes_the_files_of_write_blocks_whatever_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, block_rows: int, most_open: int
) -> None:
    monkeypatch.setattr(block_writing, "MOST_OPEN_FILES", most_open)
    opened: list[Path] = []
    true = RowFile.__init__
    monkeypatch.setattr(RowFile, "__init__", lambda file, path: (opened.append(path), true(file, path))[1])
    train = planted_rows().train
    placed, written = (reference_of(tmp_path / name, train, metric, block_rows) for name in ("placed", "written"))
    begin_blocks(placed)
    order = np.random.default_rng(7).permutation(N_TRAIN)
    some = [batch_of(train, slice(1)).slice(0, 0), *(batch_of(train.take(rows)) for rows in (order[:9], order[5:]))]
    told = pa.Table.from_batches(place_in_blocks(iter(some), placed))  # four rows come twice, as from another attempt
    assert sorted(told["place"].to_pylist()) == sorted([*order[:9].tolist(), *order[5:].tolist()])
    assert (len(opened) > placed.n_blocks) is (most_open < placed.n_blocks)
    looked = [row for batch in look_through_blocks(iter([block_column(placed)]), placed) for row in batch.to_pylist()]
    assert [row["block"] for row in looked] == [*range(placed.n_blocks)]
    for block in range(written.n_blocks):
        (batch,) = write_blocks(block_batches(train, written, block), written)
        found, expected = placed.folder(block), tmp_path / "written" / batch["folder"][0].as_py()
        assert {path.name: path.read_bytes() for path in found.iterdir()} == {
            path.name: path.read_bytes() for path in expected.iterdir()
        }


def test_place_in_blocks__refuses_rows_whose_keys_were_not_read(tmp_path: Path) -> None:
    train = planted_rows().train
    reference = reference_of(tmp_path / "blocks", train.take(range(40)), "euclidean", 16)
    begin_blocks(reference)
    with pytest.raises(ComputeError, match="rows whose keys were read"):
        list(place_in_blocks(iter([batch_of(train)]), reference))


def test_place_in_blocks__gives_rows_of_another_dimension_no_place(tmp_path: Path) -> None:
    train = planted_rows().train
    reference = reference_of(tmp_path / "blocks", train, "euclidean", 16)
    begin_blocks(replace(reference, n_features=reference.n_features + 1))
    wider = replace(reference, n_features=reference.n_features + 1)
    (told,) = place_in_blocks(iter([batch_of(train)]), wider)
    assert len(told) == 0


def test_open_block__refuses_a_block_that_is_not_finished(tmp_path: Path) -> None:
    train = planted_rows().train
    reference = reference_of(tmp_path / "blocks", train, "euclidean", 64)
    list(write_blocks(block_batches(train, reference, 0), reference))
    with pytest.raises(ComputeError, match="a block with squared_norm"):
        open_block(reference, 0)


@pytest.mark.parametrize("name", ["x.npy", "squared_norm.npy", "label_codes.npy", "guests.npy", "index.json"])
@pytest.mark.parametrize("change", ["a bit", "the last byte", "all of it"])
def test_open_block__refuses_a_block_that_is_damaged(tmp_path: Path, name: str, change: str) -> None:
    reference = built_blocks(tmp_path / "blocks", planted_rows().train, "euclidean", 16)
    path = reference.folder(1) / name
    content = path.read_bytes()
    path.unlink()
    if change != "all of it":
        path.write_bytes(content[:-1] + (bytes([content[-1] ^ 1]) if change == "a bit" else b""))
    with pytest.raises(ComputeError, match=rf"damaged: {name}"):
        open_block(reference, 1)
    assert open_block(reference, 0).train.n_train == 16
    told = [row for batch in damaged_blocks(iter([block_column(reference)]), reference) for row in batch.to_pylist()]
    assert [row["damaged"] for row in told] == [[name] if row["block"] == 1 else [] for row in told]
    # What tells of all blocks is whole, unless it is the manifest by which it knows this one.
    again = sealed_blocks(Path(reference.directory), reference.digest)
    assert again == (None if name == "index.json" else reference)


def test_open_block__reads_all_of_a_block_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = built_blocks(tmp_path / "blocks", planted_rows().train, "euclidean", 16)
    checked = list[str]()

    def damaged_files(folder: Path, digest: str) -> list[str]:
        checked.append(folder.name)
        return manifest.damaged_files(folder, digest)

    monkeypatch.setattr(train_blocks, "damaged_files", damaged_files)
    for block in (0, 1, 0, 1):
        open_block(reference, block)
    assert checked == ["block-00000", "block-00001"]
    path = reference.folder(1) / "x.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")  # under a mapping that holds
    with pytest.raises(ComputeError, match=r"damaged: x\.npy"):
        open_block(reference, 1)


@pytest.mark.parametrize("name", ["keys.arrow", "duplicates.npy", "index.json"])
def test_sealed_blocks__are_none_where_what_tells_of_them_is_damaged(tmp_path: Path, name: str) -> None:
    reference = built_blocks(tmp_path / "blocks", planted_rows().train, "euclidean", 16)
    directory = Path(reference.directory)
    assert sealed_blocks(directory, reference.digest) == reference
    (directory / name).write_bytes((directory / name).read_bytes() + b" ")
    assert sealed_blocks(directory, reference.digest) is None


def test_finished__index_and_blocks_are_not_taken_for_each_other(tmp_path: Path) -> None:
    train = planted_rows().train
    reference = built_blocks(tmp_path / "blocks", train, "euclidean", 16)
    assert finished_index(Path(reference.directory), reference.digest) is None
    index_of(tmp_path / "index", train, "euclidean")
    digest = str(manifest.sha256_of(tmp_path / "index" / manifest.MANIFEST))
    assert finished_index(tmp_path / "index", digest) is not None
    assert sealed_blocks(tmp_path / "index", digest) is None


def test_block_keys__of_copies_are_their_guests(tmp_path: Path) -> None:
    data = planted_rows()
    block = open_block(built_blocks(tmp_path / "blocks", data.train, "euclidean", 16), 3)
    assert block.guests is not None
    moved = replace(block, guests=replace(block.guests, squared_norm=block.guests.squared_norm + 100.0))
    keys, other = (np.empty((N_VALIDATION, block.train.n_train), np.float32) for _ in range(2))
    block_keys(block, data.validation.x, "euclidean", keys)
    block_keys(moved, data.validation.x, "euclidean", other)
    changed = np.zeros(block.train.n_train, np.bool_)
    changed[block.guest_pairs[:, 0]] = True
    np.testing.assert_allclose(other - keys, np.tile(np.where(changed, 100.0, 0.0), (N_VALIDATION, 1)), atol=1e-3)


def test_rows_of__a_file_that_ends_too_early_is_an_error_and_not_other_numbers(tmp_path: Path) -> None:
    reference = built_blocks(tmp_path / "blocks", planted_rows().train, "euclidean", 16)
    asked = np.array([3, 20, 31])
    whole = rows_of(reference, asked)
    path = reference.folder(1) / "x.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ComputeError, match="row 31 of the training rows"):
        rows_of(reference, asked)
    np.testing.assert_array_equal(rows_of(reference, asked[:2]), whole[:2])
