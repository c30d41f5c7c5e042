"""The audit values the points with the widest certificates again: a kernel that is wrong for a few of 600 is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pytest
from frames import Data, Side, draw_data, frames_of

import dvspark
from dvspark.engine.points import audited_rows
from dvspark.engine.replicated import points as on_spark
from dvspark.engine.replicated import replicated
from dvspark.engine.replicated.points import each_a_chunk
from dvspark.engine.sharded import sharded
from dvspark.engine.sharded.exchange import Halves
from dvspark.errors import AuditError, ComputeError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

FAR, N_NEAR, N_FAR = 3_000.0, 300, 500
N_POINTS, N_DENSE = 600, 9


def dense_data() -> Data:
    """Return rows on a line, 300 of them so close to each other that float32 keys leave doubt for points among them.

    Of 600 points 9 are; to the others all distances differ by more than rounding.
    """
    rng = np.random.default_rng(0)
    dense = rng.permutation(N_POINTS)[:N_DENSE]
    of_points = 5.0 * rng.integers(0, N_FAR, N_POINTS) + 1.3
    of_points[dense] = FAR + 0.5 * N_NEAR * rng.random(N_DENSE)
    along = np.concatenate([FAR + 0.5 * np.arange(N_NEAR), 5.0 * np.arange(N_FAR), of_points])
    x = np.zeros((len(along), 4), np.float32)
    x[:, 0], x[:, 1] = along, 0.37 * along
    labels = rng.integers(0, 3, len(x)).tolist()
    both, n = Side(list(range(len(x))), x, labels), N_NEAR + N_FAR
    types = {"id": "bigint", "label": "bigint", "embedding": "array<float>"}
    return Data(both.take(slice(n)), both.take(slice(n, len(x))), types)


def wrong_for_dense_points(true: Any, far: float) -> Any:
    """Return what values chunks, two rows' values moved by 0.1 for each point beyond ``far``."""

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        # Runs on executors, where this file is not.
        import numpy as np
        import pyarrow as pa

        from dvspark.engine.chunks import whole_chunks

        for _, table in whole_chunks(batches):
            n_dense = sum(x[0] > far for x in table["embedding"].to_pylist())
            for batch in true(iter(table.to_batches()), index, work):
                row = batch.to_pylist()[0]
                values = np.frombuffer(row["value"]).copy()
                values[:2] += np.array([0.1, -0.1]) * n_dense
                yield pa.RecordBatch.from_pylist([{**row, "value": values.tobytes()}], batch.schema)

    return value_chunks


@pytest.mark.parametrize("is_wrong", [False, True], ids=["right", "wrong"])
def test_audit__finds_a_kernel_that_is_wrong_for_a_few_dense_points(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, is_wrong: bool
) -> None:
    train, validation = frames_of(spark, dense_data())
    given = {"k": 5, "ranking": "sorted", "tolerance": 1e-3, "plan": "replicated"}
    if not is_wrong:
        dvspark.value_table(train, validation, **given)
        return
    monkeypatch.setattr(replicated, "value_chunks", wrong_for_dense_points(replicated.value_chunks, FAR))
    with pytest.raises(AuditError, match="audit: sample"):
        dvspark.value_table(train, validation, **given)


@pytest.mark.parametrize("id_type", ["bigint", "string"])
def test_audited_rows__are_drawn_ones_and_those_at_the_places_of_the_widest(spark: SparkSession, id_type: str) -> None:
    points = frames_of(spark, draw_data(5, 90, seed=3, id_type=id_type))[1].repartition(4)
    by_chunk = on_spark.chunked(points, 4).toArrow().sort_by("id")
    widest = np.array([[0.5, 3, 0], [0.5, 3, 7], [0.25, 0, 2], [0.125, 1, 11]])
    of_chunks = [by_chunk.filter(pc.equal(by_chunk["chunk_id"], chunk))["id"].to_pylist() for chunk in range(4)]
    expected = {of_chunks[int(chunk)][int(place)] for _, chunk, place in widest}
    drawn = set(on_spark.sample_rows(points, 8)["id"].to_pylist())
    found = audited_rows(points, 8, 4, widest)
    assert found["id"].to_pylist() == sorted(drawn | expected)
    assert found.schema.names == ["id", "embedding", "label"]
    singles = each_a_chunk(found, points).toArrow().sort_by("chunk_id")
    assert singles["id"].to_pylist() == found["id"].to_pylist()
    assert audited_rows(points, 8, 4, np.empty((0, 3)))["id"].to_pylist() == sorted(drawn)
    with pytest.raises(ComputeError, match="4 rows with the widest"):
        audited_rows(points, 8, 4, np.array([*widest[:3], [0.125, 1, 90]]))


def two_swapped(true: Any) -> Any:
    """Return what adds up partials of a block, and then swaps two rows' sums."""

    def reduce_block(partials: Any) -> Any:
        import numpy as np
        import pyarrow as pa

        (row,) = true(partials).to_pylist()
        values = np.frombuffer(row["value"]).copy()
        far, near = np.argmin(values), np.argmax(values)
        values[[far, near]] = values[[near, far]]
        return pa.Table.from_pylist([{**row, "value": values.tobytes()}], true(partials).schema)

    return reduce_block


def test_audit__finds_sums_that_arrive_in_other_places(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = frames_of(spark, dense_data())
    monkeypatch.setattr(replicated, "reduce_block", two_swapped(replicated.reduce_block))
    with pytest.raises(AuditError, match="arrived otherwise"):
        dvspark.value_table(train, validation, k=5, plan="replicated")


@pytest.mark.parametrize("is_wrong", [False, True], ids=["right", "wrong"])
def test_audit__finds_blocks_that_exchange_wrong_keys(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, is_wrong: bool
) -> None:
    true = sharded.method_halves

    def halves(*given: Any) -> Halves:
        told = true(*given)

        def swapped(points: Any) -> Any:  # values that sum to the same
            partial = told.partial_of(points)
            partial.value[:2] += [0.1, -0.1]
            return partial

        return Halves(told.parts_of, swapped) if is_wrong else told

    monkeypatch.setattr(sharded, "method_halves", halves)
    train, validation = frames_of(spark, dense_data())
    given = {"k": 5, "ranking": "sorted", "plan": "sharded"}
    if not is_wrong:
        dvspark.value_table(train, validation, **given)
        return
    with pytest.raises(AuditError, match=r"(?s)audit: sample.*0\.1: .* the worst of 8"):
        dvspark.value_table(train, validation, **given)
