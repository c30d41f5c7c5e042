"""Spark's hash in NumPy: known values here, and Spark's own in tests/spark/test_spark_hashes.py."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dvspark.local import hashes
from dvspark.local.hashes import xxhash64


def test_xxhash64__has_the_values_that_spark_has() -> None:
    assert xxhash64([pa.array([1])]).tolist() == [-7001672635703045582]
    # Of Spark's documentation: xxhash64 of "Spark", before other columns.
    assert xxhash64([pa.array(["Spark"])]).tolist() == [-4294468057691064905]


def test_xxhash64__a_null_leaves_the_hash_as_it_is() -> None:
    ids, nothing = pa.array(["a", "b"]), pa.array([None, None], pa.string())
    np.testing.assert_array_equal(xxhash64([ids, nothing]), xxhash64([ids]))
    assert xxhash64([nothing]).tolist() == [hashes.SEED] * 2


def test_xxhash64__a_list_is_its_elements_one_after_the_other() -> None:
    lists = pa.array([[1.5, -0.0], [], None, [2.0]], pa.list_(pa.float32()))
    first, zero = pa.array([1.5], pa.float32()), pa.array([0.0], pa.float32())
    found = xxhash64([lists])
    assert found[0] == xxhash64([first, zero])[0]
    assert found[1:3].tolist() == [hashes.SEED] * 2


@pytest.mark.parametrize("n_bytes", [0, 1, 3, 4, 7, 8, 11, 31, 32, 33, 63, 64, 100])
def test_xxhash64__a_row_s_hash_depends_on_the_row_alone(monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    words = ["x" * n_bytes, "other", "y" * n_bytes, "x" * n_bytes, ""]
    together = xxhash64([pa.array(words)])
    monkeypatch.setattr(hashes, "PIECE_BYTES", 1)
    np.testing.assert_array_equal(xxhash64([pa.array(words)]), together)
    np.testing.assert_array_equal(xxhash64([pa.array(["skipped", *words]).slice(1)]), together)
    np.testing.assert_array_equal([xxhash64([pa.array([word])])[0] for word in words], together)


def test_xxhash64__knows_what_it_hashes() -> None:
    with pytest.raises(TypeError, match="date32"):
        xxhash64([pa.array([0], pa.date32())])
