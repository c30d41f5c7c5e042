"""A worker: one of Spark's Python processes, which runs many tasks, one after the other."""

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
    """Call ``load``, and exempt everything loaded by then from garbage collection; once in a process.

    Spark has its workers collect garbage after every task. With Numba loaded, that takes some 50 ms of CPU. It takes
    none if loaded modules, which are never freed, are not looked through (docs/decisions/0016).
    """
    if load is not None:
        load()
    gc.freeze()


def map_batches(frame: DataFrame, function: OverBatches, columns: list[str], ddl: str) -> DataFrame:
    """Return what ``function`` yields for batches with these columns of all rows, in workers that are ready."""

    def apply(batches: Batches) -> Batches:
        get_ready()
        return function(batches)

    return frame.select(*columns).mapInArrow(apply, ddl)
