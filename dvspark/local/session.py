"""The local session: what a job without Spark runs in, this process and workers of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dvspark.host.ending import at_once
from dvspark.local.workers import Workers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What a job runs in.
Session: TypeAlias = "SparkSession | LocalSession"

# The program of a worker: what tasks do is the engine's.
WORKER = "dvspark.engine.by_workers.worker"


@dataclass(frozen=True)
class LocalSession:
    """This process and its ``workers``, of which ``n_tasks`` work at once."""

    workers: Workers

    @property
    def n_tasks(self) -> int:
        """How many tasks run at once."""
        return self.workers.n_most


def spark_of(session: Session) -> SparkSession | None:
    """Return the session if it is Spark's, None if it is a local one."""
    return None if isinstance(session, LocalSession) else session


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_local_session() -> Iterator[LocalSession]:
    """Yield a session whose workers, a core each, end with it."""
    workers = Workers(WORKER, usable_cores())
    with at_once(workers.kill):
        try:
            yield LocalSession(workers)
        finally:
            workers.end()
