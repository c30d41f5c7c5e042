"""Workers of this machine add partials as Spark's reducers do: the same waves, bit for bit, however they are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frames import draw_data, rows_table

from dvspark.engine import chunks as chunking
from dvspark.engine import reduce
from dvspark.engine.by_workers import by_workers, points
from dvspark.engine.by_workers.by_workers import LocalIndex
from dvspark.engine.by_workers.worker import answer, request
from dvspark.engine.reduce import chunk_partial, reduce_block, wave_of
from dvspark.engine.replicated.replicated import open_here
from dvspark.engine.tasks import ChunkWork, value_chunks
from dvspark.errors import ComputeError
from dvspark.local.rows import LocalRows
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Wave

N_CHUNKS = 9
DATA = draw_data(90, 60, seed=4, id_type="string", label_type="string")
TYPES = {"id": "string", "embedding": "array<float>", "label": "string"}


class Here:
    """Workers that are this process."""

    n_most = 1

    def map(self, requests: Iterable[bytes]) -> Iterator[bytes]:
        return map(answer, requests)


SESSION: Any = SimpleNamespace(workers=Here(), n_tasks=1)


def _rows(side: Any) -> LocalRows:
    return LocalRows.of_table(SESSION, TYPES, rows_table(side))


@pytest.fixture
def index(tmp_path: Path) -> LocalIndex:
    rows = _rows(DATA.train)
    given = {"n_train": len(DATA.train), "n_features": 6, "dtype": "float32", "metric": "euclidean"}

    def gather(function: Any, columns: list[str], _told: Any) -> pa.Table:
        return pa.Table.from_batches(function(rows.read(columns)))

    keys = rows.table.drop_columns(["embedding"])
    return by_workers.build_index(gather=gather, **given, directory=tmp_path / "index", keys=keys)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "BLOCK_ROWS", 16)
    monkeypatch.setattr(chunking, "WAVE_CHUNKS", 4)


def _work(*, error_bound: bool) -> ChunkWork:
    options = ValueOptions("knn_shapley", {"k": 3}, error_bound=error_bound, tolerance=1e-3)
    return ChunkWork(options, options.resolved(7))


def _reduced(chunks: points.LocalChunks, sizes: dict[int, int], wave: Wave, index: LocalIndex, work: ChunkWork) -> Wave:
    """Return a wave as Spark's tasks and reducers make it."""
    here = list(wave.chunk_rows)
    batches = chunks.take(here).combine_chunks().to_batches()
    partials = pa.Table.from_batches(value_chunks(iter(batches), open_here(index), work))
    blocks = range(-(-index.n_train // reduce.BLOCK_ROWS))
    totals = [reduce_block(partials.filter(pa.compute.equal(partials["train_block"], block))) for block in blocks]
    return wave_of(pa.concat_tables(totals), index.n_train, wave.place, {chunk: sizes[chunk] for chunk in here})


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("error_bound", [False, True])
def test_waves__have_the_bits_of_those_that_reducers_add_up(index: LocalIndex, error_bound: bool) -> None:
    work, chunks = _work(error_bound=error_bound), points.chunked(_rows(DATA.validation), N_CHUNKS)
    sizes, said = points.chunk_sizes(chunks), list[tuple[int, int]]()
    waves = list(by_workers.value_waves(chunks, sizes, index, work, lambda *told: said.append(told)))
    assert [chunk for wave in waves for chunk in wave.chunk_rows] == list(sizes)
    assert len(waves) > 1
    assert said == [(done, len(sizes)) for done in range(1, len(sizes) + 1)]
    for wave in waves:
        expected = _reduced(chunks, sizes, wave, index, work)
        np.testing.assert_array_equal(wave.sketches, expected.sketches)
        for name, value in vars(expected.totals).items():
            np.testing.assert_array_equal(getattr(wave.totals, name), value, err_msg=name)
    left = list(by_workers.value_waves(chunks, sizes, index, work, n_done=waves[-1].place))
    np.testing.assert_array_equal(left[-1].totals.value, waves[-1].totals.value)


@pytest.mark.usefixtures("small_blocks")
def test_chunk_partial__is_what_was_told_of_it_in_blocks(index: LocalIndex) -> None:
    work, chunks = _work(error_bound=True), points.chunked(_rows(DATA.validation), 1)
    partials = pa.Table.from_batches(
        value_chunks(iter(chunks.take([0]).combine_chunks().to_batches()), open_here(index), work)
    )
    assert len(partials) > 1
    found = chunk_partial(partials.take(pa.array(range(len(partials))[::-1])))
    assert found.n_validation == len(DATA.validation)
    assert len(found.value) == len(found.value_squared) == index.n_train
    assert found.row_bounds is not None
    found.value += 1.0  # its arrays are its own


def test_waves__of_other_rows_than_those_counted_are_refused(index: LocalIndex) -> None:
    chunks = points.chunked(_rows(DATA.validation), N_CHUNKS)
    sizes = {chunk: n_rows + 1 for chunk, n_rows in points.chunk_sizes(chunks).items()}
    with pytest.raises(ComputeError, match="did the validation table change"):
        list(by_workers.value_waves(chunks, sizes, index, _work(error_bound=False)))


def test_request__tells_a_worker_all_that_it_needs(index: LocalIndex) -> None:
    work = _work(error_bound=False)
    rows = points.chunked(_rows(DATA.validation), 1).take([0])
    assert answer(request("value", rows, index, work)) == answer(request("value", rows, index, work))


def test_index__that_was_finished_is_taken_over_and_a_damaged_one_is_not(index: LocalIndex) -> None:
    directory = Path(index.directory)
    assert by_workers.finished(directory, index.digest) == index
    (directory / "squared_norm.npy").write_bytes(b"")
    assert by_workers.finished(directory, index.digest) is None
