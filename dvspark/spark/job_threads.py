"""Job threads: threads whose Spark jobs count as those of the thread that asks for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

P = ParamSpec("P")
R = TypeVar("R")


class JobThreads(ThreadPoolExecutor):
    """Threads whose Spark jobs have the description, the group and the tags of the thread that submits them.

    Spark keeps these by thread: without them nobody sees whose the jobs are, and what cancels others misses them.
    ``spark`` None: no jobs are started.
    """

    def __init__(self, n_threads: int, spark: SparkSession | None) -> None:
        super().__init__(n_threads)
        self._spark = spark

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have a function called in one of the threads."""
        if self._spark is not None:
            from pyspark import inheritable_thread_target  # noqa: PLC0415 - an extra

            fn = inheritable_thread_target(self._spark)(fn)
        return super().submit(fn, *args, **kwargs)
