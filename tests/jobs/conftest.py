"""Jobs run with the loops in NumPy, as where Numba is not installed; tests in one process run with those in Numba."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dvspark.kernels.loops import CHOICE_VARIABLE


@pytest.fixture(scope="module", autouse=True)
def loops_in_numpy() -> Iterator[None]:
    """Let every process that a test starts take the loops in NumPy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOICE_VARIABLE, "numpy")
        yield
