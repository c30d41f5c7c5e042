"""A worker: one of Spark's Python processes, which lives through many tasks, one after the other."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]
OverBatches = Callable[[Batches], Batches]


@functools.cache
def get_ready(load: Callable[[], object] | None = None) -> None:
    """Do ``load``, and take all that is there by then out of the search for garbage; once a process.

    Spark has its workers search for garbage after every task. With Numba loaded that takes some 50 ms of CPU, and none
    where what is loaded, which never goes, is not looked through (docs/decisions/0016).
    """
    if load is not None:
        load()
    gc.freeze()


def map_batches(frame: DataFrame, function: OverBatches, columns: list[str], ddl: str) -> DataFrame:
    """Return what ``function`` makes of batches with these columns of all rows, in workers that are ready."""

    def apply(batches: Batches) -> Batches:
        get_ready()
        return function(batches)

    return frame.select(*columns).mapInArrow(apply, ddl)
