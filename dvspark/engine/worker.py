"""A worker: one of Spark's Python processes, which lives through many tasks, one after the other."""

from __future__ import annotations

import functools
import gc

from dvspark.kernels import loops


@functools.cache
def get_ready() -> None:
    """Load the loops, and take all that is there by then out of the search for garbage; once a process.

    Spark has its workers collect garbage after every task. With Numba loaded that takes 65 ms of CPU, and 2 ms where
    its half a million objects, which never go, are not looked through.
    """
    loops.fastest()
    gc.freeze()
