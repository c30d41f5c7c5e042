"""Tasks value audited rows twice: a right kernel passes, and one that is wrong for one row of one point does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frames import draw_data

from dvspark.audit.checks import check_arrival
from dvspark.audit.reference import _ordered
from dvspark.engine.compared import compare_chunks, findings_of, values_sha256
from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.index.train_index import TrainIndex, open_index
from dvspark.engine.reduce import chunk_partial
from dvspark.engine.tasks import ChunkWork, value_chunks
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Float64s

DATA, N_TRAIN, N_POINTS, K = draw_data(60, 5, seed=11), 60, 5, 3
Batches = Iterator[pa.RecordBatch]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> TrainIndex:
    train = DATA.train.take(np.argsort(np.array([str(one) for one in DATA.train.ids])))
    writer = IndexWriter(tmp_path_factory.mktemp("compared") / "index", N_TRAIN, train.x.shape[1], "float32")
    writer.append(train.x, pa.table({"id": list(map(str, train.ids)), "label": train.labels}))
    return open_index(Path(writer.finish("euclidean").directory))


def _work() -> ChunkWork:
    options = ValueOptions("knn_shapley", {"k": K})
    return ChunkWork(options, options.resolved(7))


def _singly() -> list[pa.RecordBatch]:
    points = DATA.validation
    columns: dict[str, Any] = {"id": list(map(str, points.ids)), "embedding": pa.array(list(points.x))}
    columns |= {"label": points.labels, "chunk_id": pa.array(np.arange(N_POINTS, dtype=np.int32))}
    return pa.table(columns).combine_chunks().to_batches()


def _off(row: int, chunk: int) -> Callable[[Batches, TrainIndex, ChunkWork], Batches]:
    """Return what values chunks, one row of one chunk moved by 1e-6."""

    def value(batches: Batches, index: TrainIndex, work: ChunkWork) -> Batches:
        for batch in value_chunks(batches, index, work):
            told = batch.to_pylist()[0]
            values = np.frombuffer(told["value"]).copy()
            values[row] += 1e-6 * (told["chunk_id"] == chunk)
            yield pa.RecordBatch.from_pylist([{**told, "value": values.tobytes()}], batch.schema)

    return value


def test_compared__a_right_kernel_passes_with_the_sha256_of_its_values(index: TrainIndex) -> None:
    compared = pa.Table.from_batches(compare_chunks(iter(_singly()), index, _work()))
    partials = pa.Table.from_batches(value_chunks(iter(_singly()), index, _work()))
    assert {one.verdict for one in findings_of(compared)} == {"pass"}
    assert {one.name for one in findings_of(compared)} == {"sample"}
    for chunk in range(N_POINTS):
        values = chunk_partial(partials.filter(pa.compute.equal(partials["chunk_id"], chunk))).value
        assert compared["values_sha256"][chunk].as_py() == sha256(values.tobytes()).hexdigest()


@pytest.mark.parametrize("row", [0, 37, N_TRAIN - 1])
@pytest.mark.parametrize("chunk", [0, 3])
def test_compared__one_row_of_one_point_that_is_off_is_found(index: TrainIndex, row: int, chunk: int) -> None:
    compared = pa.Table.from_batches(compare_chunks(iter(_singly()), index, _work(), _off(row, chunk)))
    assert [one.verdict for one in findings_of(compared)] == ["fail" if n == chunk else "pass" for n in range(N_POINTS)]
    assert findings_of(compared)[chunk].measured == pytest.approx(1e-6, rel=1e-6)


def test_arrival__other_bits_fail() -> None:
    values = np.arange(5.0)
    other = np.nextafter(values, 9.0)
    assert check_arrival(values_sha256(values), values_sha256(values.copy())).verdict == "pass"
    assert check_arrival(values_sha256(values), values_sha256(other)).verdict == "fail"
    assert check_arrival(values_sha256(values), values_sha256(values[[1, 0, 2, 3, 4]])).verdict == "fail"


_DRAWN = np.random.default_rng(3).standard_normal(5_000)


@pytest.mark.parametrize(
    "distance",
    [pytest.param(np.floor(levels * (_DRAWN % 1.0)), id=f"{levels} different") for levels in (1, 3, 50, 10**9)]
    + [
        pytest.param(np.append(np.floor(9.0 * (_DRAWN % 1.0)), [0.0, -0.0, np.inf]), id="infinite"),
        pytest.param(np.append(_DRAWN, 1e18), id="one far away"),
        pytest.param(_DRAWN**9, id="of many sizes"),
        pytest.param(1.0 + 1e-15 * np.floor(_DRAWN), id="almost alike"),
        pytest.param(1e-320 * np.floor(9.0 * _DRAWN), id="tiny"),
        pytest.param(np.sign(_DRAWN) * 1.7e308, id="huge"),
        pytest.param(_DRAWN[:1], id="one"),
        pytest.param(_DRAWN[:0], id="none"),
    ],
)
def test_order__is_by_distance_then_row(distance: Float64s) -> None:
    order, ordered = _ordered(distance)
    np.testing.assert_array_equal(order, np.lexsort((np.arange(len(distance)), distance)))
    np.testing.assert_array_equal(ordered, distance[order])
