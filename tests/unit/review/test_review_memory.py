"""The memory of a review stays below the stated bound, and grows with the rows, never with their square."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from dvspark.review import memory_bytes
from dvspark.review.near import NearTable
from dvspark.review.review_rows import AUTO, ReviewRows, Side, review_rows

K = 20


@pytest.mark.long
@pytest.mark.parametrize(("n", "n_codes"), [(5_000, 4), (40_000, 4), (20_000, 500)])
def test_memory__is_below_the_bound(n: int, n_codes: int) -> None:
    rng = np.random.default_rng(0)
    labels = pa.array(rng.integers(0, n_codes, n))
    near = NearTable(rng.integers(0, n, (n, K), dtype=np.int32), np.sort(rng.uniform(1.0, 2.0, (n, K)), axis=1))
    rows = ReviewRows(Side(pa.array(np.arange(n)), labels), near, 0.0, rng.normal(size=n), None)
    tracemalloc.start()
    try:
        review_rows(rows, AUTO)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    fixed = memory_bytes(1, 0, 1, K)
    assert peak < memory_bytes(n, 0, 1, K) - fixed


def test_memory__grows_with_the_rows() -> None:
    one, ten = memory_bytes(10**6, 10**4, 384, K), memory_bytes(10**7, 10**4, 384, K)
    assert one < 12 * 2**30
    assert ten < 10 * one
