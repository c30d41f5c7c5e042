"""Progress: how many chunks are done, asked of Spark while a job runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from dvspark.spark.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POLL_SECONDS = 0.5
# An answer that Java owes the thread takes milliseconds; without it the thread ends with the process.
END_SECONDS = 10.0


@contextmanager
def watch_tasks(
    spark: SparkSession, n_tasks: int, report: Callable[[int, int], None], before: int, total: int
) -> Iterator[None]:
    """Call ``report(before + tasks done, total)`` while the block runs, for the stage with ``n_tasks`` tasks.

    Spark Connect sends events; classic Spark is asked twice a second from a thread. The first stage of a query or job,
    which reads the rows, may have as many tasks by chance, and is left out. Of the others one that comes later, too,
    but the number of chunks done that is told may only be too low.
    """

    def done(n_done: int) -> None:
        report(before + n_done, total)

    if is_connect(spark):
        with _events(spark, n_tasks, done):
            yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_poll, args=(spark, n_tasks, done, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(END_SECONDS)


@contextmanager
def _events(spark: SparkSession, n_tasks: int, report: Callable[[int], None]) -> Iterator[None]:
    def handle(*, stages: Any = (), **_: Any) -> None:
        for stage in sorted(stages or (), key=lambda stage: stage.stage_id)[1:]:
            if stage.num_tasks == n_tasks:
                report(stage.num_completed_tasks)

    spark.registerProgressHandler(cast(Any, handle))
    try:
        yield
    finally:
        spark.removeProgressHandler(cast(Any, handle))


def _poll(spark: SparkSession, n_tasks: int, report: Callable[[int], None], stop: threading.Event) -> None:
    tracker = spark.sparkContext.statusTracker()
    with suppress(Exception):  # Java that is gone ends the job itself, which tells of it
        while not stop.wait(POLL_SECONDS):
            for job_id in tracker.getActiveJobsIds():
                job = tracker.getJobInfo(job_id)
                for stage_id in [] if job is None else sorted(job.stageIds)[1:]:
                    stage = tracker.getStageInfo(stage_id)
                    if stage is not None and stage.numTasks == n_tasks:
                        report(stage.numCompletedTasks)
