"""A head's bits do not follow from how many threads BLAS may use."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dvspark.kernels.gradients import softmax_head
from dvspark.kernels.gradients.softmax_head import fit_head
from dvspark.kernels.one_thread import one_thread


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread__ends_with_the_block() -> None:
    with threadpool_limits(2, "blas"):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before


def test_fit_head__has_the_same_bits_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax_head, "MOST_STEPS", 4)  # as many as make a difference, if threads do
    rng = np.random.default_rng(5)
    x, codes = rng.normal(size=(4_000, 200)).astype(np.float32), rng.integers(0, 30, 4_000).astype(np.int32)
    weights = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, "blas"):
            weights.append(fit_head(x, codes, 30).weights)
    np.testing.assert_array_equal(*weights)
