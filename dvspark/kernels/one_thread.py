"""One thread: products of BLAS in a block of code, so that their bits follow from the numbers, not from the cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Have BLAS multiply with one thread in this block, in all threads of the process.

    Small products gain nothing by threads, and where other processes work at the same time its threads wait for each
    other: a review of 8,000 rows took 71 s and 58 s of CPU with two, 22 s and 13 s with one, beside two busy processes
    on two cores. A host that has only the zip may lack threadpoolctl; there the threads stay as they are.
    """
    try:
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - may be missing, see above
    except ImportError:
        yield
        return
    with threadpool_limits(1, "blas"):
        yield
