"""What runs on executors, fed with plain iterators of batches: no JVM."""

from __future__ import annotations

import copy
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from frames import Data, Side, draw_data
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

import dvspark
from dvspark.engine import reduce
from dvspark.engine.chunks import WAVE_CHUNKS, count_chunks, in_chunks, pieces, rows_of_chunk, whole_chunks
from dvspark.engine.index import host_cache
from dvspark.engine.index.index_writing import IndexWriter, place_rows, places_of
from dvspark.engine.index.manifest import MANIFEST, damaged_files, read_manifest
from dvspark.engine.index.train_index import IndexReference, open_index
from dvspark.engine.reduce import PARTIAL_TYPES, assemble, partial_batches, reduce_block, wave_of
from dvspark.engine.tasks import ChunkWork, ListedRows, nearest_validation, pack_rows, unpack_row, value_chunks
from dvspark.errors import ComputeError
from dvspark.host.locks import KEEP_SECONDS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Partial
from dvspark.schemas.sketch import distance

N_TRAIN, N_VALIDATION, K = 40, 30, 3
DATA = draw_data(N_TRAIN, N_VALIDATION, seed=21, id_type="string", label_type="array<bigint>")
OPTIONS = ValueOptions(parameters={"k": K}, precision="float64")
# Chunks by position here, some large, some of one row, one number left out.
CHUNK_OF_ROW = np.sort(np.random.default_rng(22).choice([0, 1, 2, 4, 9], N_VALIDATION))


def _rows(side: Side, **more: pa.Array) -> pa.RecordBatch:
    x = pa.array(list(side.x), pa.list_(pa.float32()))
    table = pa.table({"id": side.ids, "embedding": x, "label": side.labels, **more})
    return table.combine_chunks().to_batches()[0]


def _in_id_order(side: Side) -> Side:
    return side.take(sorted(range(len(side)), key=lambda row: side.ids[row]))


def _build(directory: Path, data: Data = DATA, metric: str = "euclidean") -> IndexReference:
    train = _in_id_order(data.train)
    writer = IndexWriter(directory, len(train), train.x.shape[1], "float32")
    for packed in pack_rows(iter([_rows(train)]), "float32"):
        for row in packed.to_pylist():
            writer.append(*unpack_row(row["n_rows"], row["x"], row["keys"], "float32"))
    return writer.finish(metric)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> IndexReference:
    return _build(tmp_path_factory.mktemp("built") / "index")


@pytest.fixture(scope="module")
def chunk_rows() -> pa.RecordBatch:
    """Validation rows as they reach a task: sorted by chunk, then by id."""
    chunks = [_in_id_order(DATA.validation.take(np.flatnonzero(c == CHUNK_OF_ROW))) for c in np.unique(CHUNK_OF_ROW)]
    batches = [
        _rows(chunk, chunk_id=pa.array([int(c)] * len(chunk), pa.int32()))
        for c, chunk in zip(np.unique(CHUNK_OF_ROW), chunks, strict=True)
    ]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _cut(batch: pa.RecordBatch, borders: list[int]) -> Iterator[pa.RecordBatch]:
    """Yield the rows cut at ``borders``; a border given twice makes an empty batch."""
    places = [0, *sorted(borders), len(batch)]
    return iter([batch.slice(a, b - a) for a, b in pairwise(places)])


any_borders = st.lists(st.integers(0, N_VALIDATION), max_size=12)


# --- chunks -----------------------------------------------------------------------------------------------


@given(borders=any_borders)
def test_whole_chunks__batch_borders_do_not_matter(chunk_rows: pa.RecordBatch, borders: list[int]) -> None:
    found = list(whole_chunks(_cut(chunk_rows, borders)))
    assert [chunk for chunk, _ in found] == np.unique(CHUNK_OF_ROW).tolist()
    together = pa.concat_tables([table for _, table in found])
    assert together.to_pylist() == chunk_rows.to_pylist()
    for chunk, table in found:
        assert set(table["chunk_id"].to_pylist()) == {chunk}


def test_whole_chunks__of_nothing_are_none(chunk_rows: pa.RecordBatch) -> None:
    assert list(whole_chunks(iter([]))) == []
    assert list(whole_chunks(iter([chunk_rows.slice(0, 0)]))) == []


@given(n_validation=st.integers(0, 10**7), rows=st.integers(1, 10**4))
def test_count_chunks__holds_all_rows(n_validation: int, rows: int) -> None:
    n_chunks = count_chunks(n_validation, rows)
    assert n_chunks >= 1
    assert (n_chunks - 1) * rows < max(n_validation, 1) <= max(n_chunks * rows, 1)


def test_in_chunks__is_true_of_their_rows() -> None:
    assert in_chunks([3]) == "chunk_id IN (3)"
    assert in_chunks(np.array([0, 12])) == "chunk_id IN (0, 12)"


def test_rows_of_chunk__are_in_id_order() -> None:
    rows = pa.table({"chunk_id": [1, 0, 1, 2], "id": ["b", "a", "a", "c"]})
    assert rows_of_chunk(rows, 1)["id"].to_pylist() == ["a", "b"]
    assert len(rows_of_chunk(rows, 7)) == 0


@given(st.sets(st.integers(0, 1_000), max_size=300))
def test_pieces__hold_every_chunk_once_in_order(chunk_ids: set[int]) -> None:
    cut = pieces(list(chunk_ids))
    assert [chunk for wave in cut for chunk in wave] == sorted(chunk_ids)
    assert all(0 < len(wave) <= WAVE_CHUNKS for wave in cut)


# --- index ------------------------------------------------------------------------------------------------


@given(borders=st.lists(st.integers(0, N_TRAIN), max_size=8), pack_bytes=st.sampled_from([1, 100, 2**20]))
def test_pack_rows__batch_and_pack_borders_do_not_matter(borders: list[int], pack_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dvspark.engine.tasks.PACK_BYTES", pack_bytes)
        packed = [row for batch in pack_rows(_cut(_rows(DATA.train), borders), "float64") for row in batch.to_pylist()]
    unpacked = [unpack_row(row["n_rows"], row["x"], row["keys"], "float64") for row in packed]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in unpacked]), DATA.train.x.astype(np.float64))
    keys = pa.concat_tables([keys for _, keys in unpacked])
    assert keys.to_pydict() == {"id": DATA.train.ids, "label": DATA.train.labels}


def test_index__comes_back_as_it_was_written(reference: IndexReference) -> None:
    index, train = open_index(Path(reference.directory)), _in_id_order(DATA.train)
    np.testing.assert_array_equal(index.arrays.x, train.x)
    assert index.keys.to_pydict() == {"id": train.ids, "label": train.labels}
    assert (reference.n_train, reference.n_features, reference.dtype) == (*train.x.shape, "float32")
    assert index.words.to_pylist() == sorted({label for row in train.labels for label in row})
    sizes = [path.stat().st_size for path in Path(reference.directory).iterdir() if path.name != MANIFEST]
    assert reference.n_bytes == sum(sizes)


def test_index__cannot_be_written_to(reference: IndexReference) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_index(Path(reference.directory)).arrays.x[0, 0] = 1.0


def test_index__same_rows_same_digest(reference: IndexReference, tmp_path: Path) -> None:
    assert _build(tmp_path / "again").digest == reference.digest
    assert _build(tmp_path / "cosine", metric="cosine").digest != reference.digest


@pytest.mark.parametrize("rows", [slice(0, -1), slice(None, None, -1)], ids=["one row short", "ids descending"])
def test_index__refuses_rows_that_are_not_the_announced_ones(tmp_path: Path, rows: slice) -> None:
    given_rows = _in_id_order(DATA.train).take(rows)
    writer = IndexWriter(tmp_path / "index", N_TRAIN, DATA.train.x.shape[1], "float32")
    writer.append(given_rows.x, pa.table({"id": given_rows.ids, "label": given_rows.labels}))
    with pytest.raises(ComputeError, match="packing the index"):
        writer.finish("euclidean")
    assert not (tmp_path / "index" / MANIFEST).exists()


def _writer_with_keys(directory: Path, train: Side) -> IndexWriter:
    writer = IndexWriter(directory, len(train), train.x.shape[1], "float32")
    writer.write_keys(pa.table({"id": train.ids, "label": train.labels}))
    return writer


@given(borders=st.lists(st.integers(0, N_TRAIN), max_size=8), seed=st.integers(0, 99))
def test_place_rows__any_order_any_batches_any_attempts_make_the_same_index(
    reference: IndexReference, tmp_path_factory: pytest.TempPathFactory, borders: list[int], seed: int
) -> None:
    directory = tmp_path_factory.mktemp("placed") / "index"
    writer = _writer_with_keys(directory, _in_id_order(DATA.train))
    rows = _rows(DATA.train.take(np.random.default_rng(seed).permutation(N_TRAIN)))
    lost = list(place_rows(_cut(rows.slice(0, N_TRAIN // 2), []), directory))
    placed = [*place_rows(_cut(rows, borders), directory)]
    found = np.concatenate([batch.column("place").to_numpy() for batch in placed])
    assert sorted(found) == list(range(N_TRAIN))
    assert lost[0].column("place").to_pylist() == found[: N_TRAIN // 2].tolist()
    assert writer.finish("euclidean").digest == reference.digest


@pytest.mark.parametrize("other", ["", "between", "~"])
def test_place_rows__refuses_an_id_that_is_not_among_the_keys(tmp_path: Path, other: str) -> None:
    train = _in_id_order(DATA.train)
    _writer_with_keys(tmp_path / "index", train)
    row = _rows(train.take([0]))
    changed = row.set_column(0, "id", pa.array([{"between": train.ids[3] + "+"}.get(other, other)]))
    with pytest.raises(ComputeError, match="did the table change meanwhile"):
        list(place_rows(iter([changed]), tmp_path / "index"))


@given(st.sets(st.text() | st.sampled_from(["é", "z", "𝔸", "\uffff"]), min_size=1), st.lists(st.text()))
def test_places_of__are_those_of_a_sorted_list(ids: set[str], others: list[str]) -> None:
    ordered = sorted(ids, key=lambda one: one.encode())
    wanted = [*others, *ids]
    expected = [sum(one.encode() < each.encode() for one in ordered) for each in wanted]
    assert places_of(pa.array(wanted, pa.string()), pa.array(ordered)).tolist() == expected


# --- partials ---------------------------------------------------------------------------------------------


def _work(options: ValueOptions = OPTIONS) -> ChunkWork:
    return ChunkWork(options, options.resolved(n_classes=7))


def _totals(partials: list[pa.RecordBatch]) -> pa.Table:
    """Return the `TOTALS` of partials, as `groupBy("train_block").applyInArrow(reduce_block)` makes them."""
    rows = pa.Table.from_batches(partials, PARTIAL_TYPES)
    blocks = sorted(set(rows["train_block"].to_pylist()))
    return pa.concat_tables([reduce_block(rows.filter(pa.compute.field("train_block") == b)) for b in blocks])


CHUNK_SIZES = {int(chunk): int(np.count_nonzero(chunk == CHUNK_OF_ROW)) for chunk in np.unique(CHUNK_OF_ROW)}


@pytest.fixture(scope="module")
def partials(reference: IndexReference, chunk_rows: pa.RecordBatch) -> list[pa.RecordBatch]:
    return list(value_chunks(iter([chunk_rows]), open_index(Path(reference.directory)), _work()))


@given(borders=any_borders)
@examples(25)  # each values all points
def test_value_chunks__batch_borders_do_not_change_a_bit(
    reference: IndexReference, chunk_rows: pa.RecordBatch, partials: list[pa.RecordBatch], borders: list[int]
) -> None:
    index = open_index(Path(reference.directory))
    found = list(value_chunks(_cut(chunk_rows, borders), index, _work()))
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches(partials))


def test_value_chunks__reduced_and_assembled_equal_the_local_engine(partials: list[pa.RecordBatch]) -> None:
    totals = assemble(_totals(partials), N_TRAIN, CHUNK_SIZES)
    arrays, given_too = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given_too, k=K, precision="float64", aggregate="sum")
    in_order = sorted(range(N_TRAIN), key=lambda row: DATA.train.ids[row])
    np.testing.assert_allclose(totals.value, local[in_order], rtol=0, atol=1e-12)
    assert totals.n_validation == N_VALIDATION
    # The axiom: what all rows are worth together is what the nearest rows' labels said.
    assert totals.value.sum() == pytest.approx(totals.utility - totals.empty_utility, abs=1e-12)


def test_value_chunks__self_validation_needs_no_row_order(reference: IndexReference) -> None:
    options = replace(OPTIONS, self_validation=True)
    index = open_index(Path(reference.directory))
    shuffled = DATA.train.take(np.random.default_rng(23).permutation(N_TRAIN))
    rows = _rows(shuffled, chunk_id=pa.array([0] * N_TRAIN, pa.int32()))
    totals = assemble(_totals(list(value_chunks(iter([rows]), index, _work(options)))), N_TRAIN, {0: N_TRAIN})
    arrays, given_too = DATA.arrays(self_validation=True)
    local = dvspark.value_arrays(*arrays, **given_too, k=K, precision="float64", aggregate="sum")
    in_order = sorted(range(N_TRAIN), key=lambda row: DATA.train.ids[row])
    np.testing.assert_allclose(totals.value, local[in_order], rtol=0, atol=1e-12)


# --- reduce -----------------------------------------------------------------------------------------------


def _partial(n_train: int, chunk: int) -> Partial:
    rng = np.random.default_rng(chunk)
    utilities = rng.random(), rng.random(), rng.random()
    widest = np.array([[rng.integers(1, 3) / 4, chunk, place] for place in range(1 + chunk % 2)])
    return Partial(
        rng.normal(size=n_train), rng.random(n_train), chunk + 1, *utilities, rng.random(n_train), widest=widest
    )


def _added(partials: list[Partial]) -> Partial:
    """Return the sum: of the largest power of 2 of them, and of the rest."""
    if len(partials) == 1:
        return copy.deepcopy(partials[0])
    half = 1 << (len(partials) - 1).bit_length() - 1
    return _added(partials[:half]).plus(_added(partials[half:]))


@given(order=st.permutations(range(5)), block_rows=st.sampled_from([1, 3, 7, 1_000]))
def test_reduce__arrival_order_does_not_change_a_bit(order: list[int], block_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "BLOCK_ROWS", block_rows)
        batches = [batch for chunk in order for batch in partial_batches(chunk, _partial(7, chunk))]
        total = assemble(_totals(batches), 7, {chunk: chunk + 1 for chunk in order})
    expected = _added([_partial(7, chunk) for chunk in range(5)])
    np.testing.assert_array_equal(total.value, expected.value)
    np.testing.assert_array_equal(total.value_squared, expected.value_squared)
    np.testing.assert_array_equal(total.row_bounds, expected.row_bounds)
    np.testing.assert_array_equal(total.widest, expected.widest)
    assert (total.n_validation, total.utility, total.empty_utility, total.error_bound) == (
        expected.n_validation,
        expected.utility,
        expected.empty_utility,
        expected.error_bound,
    )


@given(block_rows=st.sampled_from([1, 3, 7, 1_000]), n_values=st.sampled_from([1, 7, 40]))
def test_wave__has_the_sketch_of_each_chunk_as_one_that_is_whole(block_rows: int, n_values: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "BLOCK_ROWS", block_rows)
        parts = {chunk: _partial(n_values, chunk) for chunk in (3, 5, 6)}
        batches = [batch for chunk, part in parts.items() for batch in partial_batches(chunk, part)]
        found = wave_of(_totals(batches), n_values, 8, {chunk: chunk + 1 for chunk in parts})
        expected = np.stack([reduce.sketch_of(part) for part in parts.values()])
        np.testing.assert_array_equal(found.sketches, expected)
        of_sum = reduce.sketch_of(found.totals)
    assert distance(of_sum, found.sketches.sum(axis=0), n_values) < 1e-14
    assert (found.place, found.chunk_rows) == (8, {3: 4, 5: 6, 6: 7})


SIZES = {chunk: chunk + 1 for chunk in range(4)}


def _wave(chunks: list[int], block_rows: int = 3) -> pa.Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "BLOCK_ROWS", block_rows)
        return _totals([batch for chunk in chunks for batch in partial_batches(chunk, _partial(7, chunk))])


PLANTED = {
    "a chunk is lost": ([0, 1, 3], lambda wave: wave, r"missing \[2\]"),
    "a chunk comes twice": ([0, 1, 2, 2, 3], lambda wave: wave, r"more than once \[2\]"),
    "a chunk of another wave": ([0, 1, 2, 3, 8], lambda wave: wave, r"unexpected \[8\]"),
    "a block is lost": ([0, 1, 2, 3], lambda wave: wave.slice(1), r"(?s)train blocks.*missing \[0\]"),
    "a block comes twice": (
        [0, 1, 2, 3],
        lambda wave: pa.concat_tables([wave, wave.slice(2)]),
        r"(?s)train blocks.*more than once \[2\]",
    ),
    "one chunk for another": ([0, 1, 1, 3], lambda wave: wave, r"missing \[2\].*more than once \[1\]"),
    "nothing comes": ([0], lambda wave: wave.slice(0, 0), r"missing \[0, 1, 2\]"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_assemble__refuses_a_wave_that_is_not_whole(monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    chunks, damage, message = PLANTED[planted]
    monkeypatch.setattr(reduce, "BLOCK_ROWS", 3)
    with pytest.raises(ComputeError, match=message):
        assemble(damage(_wave(chunks)), 7, SIZES)


def test_assemble__refuses_chunks_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "BLOCK_ROWS", 3)
    assert assemble(_wave([0, 1, 2, 3]), 7, SIZES).n_validation == sum(SIZES.values())
    with pytest.raises(ComputeError, match="11 validation rows"):
        assemble(_wave([0, 1, 2, 3]), 7, {**SIZES, 3: 5})


def test_assemble__row_bounds_are_in_all_blocks_or_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "BLOCK_ROWS", 3)
    without = [
        batch for chunk in range(4) for batch in partial_batches(chunk, replace(_partial(7, chunk), row_bounds=None))
    ]
    assert assemble(_totals(without), 7, SIZES).row_bounds is None
    mixed = pa.concat_tables([_wave([0, 1, 2, 3]).slice(0, 2), _totals(without).slice(2)])
    with pytest.raises(ComputeError, match=r"(?s)row_bounds.*in all 3 train blocks, or in none.*in 2"):
        assemble(mixed, 7, SIZES)


def test_partial__with_row_bounds_adds_up_with_its_like_alone() -> None:
    with pytest.raises(ValueError, match="row bounds in one partial"):
        Partial.zeros(7).add(_partial(7, 0))


# --- nearest validation rows ------------------------------------------------------------------------------


def test_nearest_validation__are_the_nearest(reference: IndexReference) -> None:
    index = open_index(Path(reference.directory))
    batches = iter([_rows(DATA.validation)])
    listed = ListedRows([4, 17], index.arrays.x[[4, 17]], index.keys["id"].take(pa.array([4, 17])))
    found = pa.Table.from_batches(nearest_validation(batches, listed, "euclidean", 3)).to_pylist()
    assert [row["train_row"] for row in found] == [4] * 3 + [17] * 3
    for place, train_row in enumerate((4, 17)):
        distances = np.linalg.norm(DATA.validation.x.astype(float) - index.arrays.x[train_row].astype(float), axis=1)
        nearest = np.argsort(distances, kind="stable")[:3]
        mine = found[3 * place : 3 * place + 3]
        assert [row["validation_id"] for row in mine] == [DATA.validation.ids[row] for row in nearest]
        np.testing.assert_allclose([row["distance"] for row in mine], distances[nearest], rtol=1e-12, atol=1e-12)


# --- the host's cache -------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; nothing is open yet."""
    monkeypatch.setenv(host_cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(host_cache, "_opened", {})
    return tmp_path / "cache"


class Source:
    """Says where an index's files came from, and remembers who asked."""

    def __init__(self, directory: str) -> None:
        self.directory, self.asked = Path(directory), list[str]()

    def __call__(self, name: str) -> Path:
        self.asked.append(name)
        return self.directory / name


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a new Python worker."""
    monkeypatch.setattr(host_cache, "_opened", {})


def test_host_cache__copies_once_whoever_asks(
    reference: IndexReference, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, shipped = Source(reference.directory), replace(reference, shipping="artifact")
    for _ in range(3):
        _forget(monkeypatch)
        index = host_cache.open_on_host(shipped, source)
    np.testing.assert_array_equal(index.arrays.x, _in_id_order(DATA.train).x)
    assert sorted(source.asked) == sorted([MANIFEST, *read_manifest(Path(reference.directory))["files"]])
    assert sorted(path.name for path in cache.iterdir()) == [reference.digest, f"{reference.digest}.lock"]


def test_host_cache__many_at_once_copy_once(
    reference: IndexReference, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, shipped = Source(reference.directory), replace(reference, shipping="shared")
    copies: list[Path] = []
    start = threading.Barrier(4)
    cache.mkdir(mode=0o700)

    def worker() -> None:
        start.wait()
        copies.append(host_cache._copy_once(cache, shipped, source))

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copies == [cache / reference.digest] * 4
    assert source.asked.count("x.npy") == 1


def test_host_cache__does_not_wait_for_ever_for_another_one(
    reference: IndexReference, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_cache, "WAIT_SECONDS", -1e9)  # whatever the size, there is no time left
    source, shipped = Source(reference.directory), replace(reference, shipping="artifact")
    cache.mkdir()
    lock = cache / f"{reference.digest}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ComputeError, match=rf"(?s){lock.name} held for.*end it, or its host") as refused:
            host_cache.open_on_host(shipped, source)
    assert refused.value.exit_code == 5
    assert source.asked == []
    host_cache.open_on_host(shipped, source)  # free again, it is had without any time


def test_host_cache__in_place_is_not_copied(reference: IndexReference, cache: Path) -> None:
    source = Source(reference.directory)
    host_cache.open_on_host(reference, source)
    assert source.asked == []
    assert not cache.exists()


@pytest.mark.parametrize("file", ["x.npy", "keys.arrow", MANIFEST])
def test_host_cache__refuses_a_file_damaged_on_its_way(
    reference: IndexReference, cache: Path, tmp_path: Path, file: str
) -> None:
    copy = Path(shutil.copytree(reference.directory, tmp_path / "damaged"))
    content = bytearray((copy / file).read_bytes())
    # One bit in the white space or data at the end: the size stays, the manifest stays JSON.
    place = content.rindex(b" ") if file == MANIFEST else len(content) - 1
    content[place] ^= ord(" ") ^ ord("\t") if file == MANIFEST else 1
    (copy / file).write_bytes(content)
    assert damaged_files(copy, reference.digest) == [file]
    with pytest.raises(ComputeError, match=f"damaged: {file}"):
        host_cache.open_on_host(replace(reference, shipping="artifact"), Source(str(copy)))
    assert [path.name for path in cache.iterdir()] == [f"{reference.digest}.lock"]
    # The next one, with whole files, is not hindered by it.
    host_cache.open_on_host(replace(reference, shipping="artifact"), Source(reference.directory))


def test_host_cache__refuses_a_manifest_cut_short_on_its_way(
    reference: IndexReference, cache: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(reference.directory, tmp_path / "damaged"))
    os.truncate(copy / MANIFEST, 10)
    with pytest.raises(ComputeError, match=f"damaged: {MANIFEST}"):
        host_cache.open_on_host(replace(reference, shipping="artifact"), Source(str(copy)))
    assert [path.name for path in cache.iterdir()] == [f"{reference.digest}.lock"]


def test_host_cache__a_copy_damaged_once_is_made_again(reference: IndexReference, cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"not the file")

    class Unsteady(Source):
        def __call__(self, name: str) -> Path:
            place = super().__call__(name)
            return other if name == "x.npy" and self.asked.count(name) == 1 else place

    source = Unsteady(reference.directory)
    index = host_cache.open_on_host(replace(reference, shipping="shared"), source)
    np.testing.assert_array_equal(index.arrays.x, _in_id_order(DATA.train).x)
    assert source.asked.count("x.npy") == 2


def test_host_cache__a_file_written_to_later_is_not_used(
    reference: IndexReference, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, shipped = Source(reference.directory), replace(reference, shipping="artifact")
    host_cache.open_on_host(shipped, source)
    place = cache / reference.digest / "x.npy"
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.unlink()  # what is mapped stays as it is
    place.write_bytes(content)
    _forget(monkeypatch)
    index = host_cache.open_on_host(shipped, source)
    np.testing.assert_array_equal(index.arrays.x, _in_id_order(DATA.train).x)
    assert source.asked.count("x.npy") == 2


@pytest.mark.parametrize("state", ["no manifest", "short manifest", "short file", "missing file"])
def test_host_cache__does_not_use_a_half_built_folder(
    reference: IndexReference, cache: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    source, shipped = Source(reference.directory), replace(reference, shipping="artifact")
    host_cache.open_on_host(shipped, source)
    place = cache / reference.digest
    if state == "no manifest":
        (place / MANIFEST).unlink()
    elif state == "short manifest":
        os.truncate(place / MANIFEST, 10)
    elif state == "missing file":
        (place / "x.npy").unlink()
    else:
        os.truncate(place / "x.npy", 200)
    _forget(monkeypatch)
    index = host_cache.open_on_host(shipped, source)
    np.testing.assert_array_equal(index.arrays.x, _in_id_order(DATA.train).x)
    assert source.asked.count("x.npy") == 2


def test_host_cache__what_a_killed_builder_left_is_removed(reference: IndexReference, cache: Path) -> None:
    left = cache / f"{reference.digest}.building"
    left.mkdir(parents=True)
    (left / "x.npy").write_bytes(b"half")
    index = host_cache.open_on_host(replace(reference, shipping="artifact"), Source(reference.directory))
    np.testing.assert_array_equal(index.arrays.x, _in_id_order(DATA.train).x)
    assert not left.exists()


def test_host_cache__evicts_what_nobody_opened_for_a_day(reference: IndexReference, cache: Path) -> None:
    cache.mkdir()
    long_ago = time.time() - KEEP_SECONDS - 60
    for name, opened in (("old", long_ago), ("held", long_ago), ("recent", time.time())):
        (cache / name).mkdir()
        (cache / f"{name}.building").mkdir()
        (cache / f"{name}.lock").touch()
        os.utime(cache / f"{name}.lock", (opened, opened))
    import fcntl

    with (cache / "held.lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(cache / "held.lock", (long_ago, long_ago))
        host_cache.open_on_host(replace(reference, shipping="artifact"), Source(reference.directory))
    kept = {"held", "held.building", "recent", "recent.building", reference.digest}
    assert {path.name for path in cache.iterdir() if path.is_dir()} == kept


def test_host_cache__evicts_what_the_space_is_needed_of(reference: IndexReference, cache: Path) -> None:
    large = replace(reference, shipping="artifact", n_bytes=2**62)
    (cache / "recent").mkdir(parents=True)
    (cache / "recent.lock").touch()
    host_cache.open_on_host(large, Source(reference.directory))
    assert {path.name for path in cache.iterdir() if path.is_dir()} == {reference.digest}


def test_host_cache__refuses_a_folder_of_another_user(
    reference: IndexReference, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12_345_678)
    with pytest.raises(ComputeError, match=host_cache.CACHE_VARIABLE):
        host_cache.open_on_host(replace(reference, shipping="artifact"), Source(reference.directory))
