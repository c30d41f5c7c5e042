"""Progress asked of Spark: a thread that gets no answer does not hold up the job."""

from __future__ import annotations

from threading import Event, Thread, current_thread
from types import SimpleNamespace
from typing import ClassVar

import pytest

from dvspark.spark import progress


def test_watch_tasks__a_thread_that_gets_no_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(progress, "END_SECONDS", 0.0)
    asked, answer, waiting = Event(), Event(), list[Thread]()

    def silent() -> list[int]:
        waiting.append(current_thread())
        asked.set()
        answer.wait(20)
        return []

    tracker = SimpleNamespace(getActiveJobsIds=silent)
    spark = SimpleNamespace(sparkContext=SimpleNamespace(statusTracker=lambda: tracker))
    with progress.watch_tasks(spark, 4, lambda done, total: None, 0, 4):
        assert asked.wait(60)
    assert waiting[0].is_alive()  # the block has ended all the same
    answer.set()
    waiting[0].join(20)


class Tracker:
    """What classic Spark tells of two jobs: one reads rows, and one values chunks of what the first has shuffled."""

    tasks: ClassVar[dict[int, tuple[int, int]]] = {0: (4, 3), 1: (4, 0), 2: (4, 2), 3: (1, 0)}

    def __init__(self, job: list[int], asked: Event) -> None:
        self.job, self.asked = job, asked

    def getActiveJobsIds(self) -> list[int]:
        return [7]

    def getJobInfo(self, job_id: int) -> SimpleNamespace:
        return SimpleNamespace(stageIds=self.job)

    def getStageInfo(self, stage_id: int) -> SimpleNamespace:
        if stage_id == max(self.job):
            self.asked.set()
        n_tasks, n_done = self.tasks[stage_id]
        return SimpleNamespace(numTasks=n_tasks, numCompletedTasks=n_done)


@pytest.mark.parametrize(("job", "told"), [([2, 1], {(12, 100)}), ([1, 2, 3], {(12, 100)}), ([5, 3], set())])
def test_watch_tasks__the_stage_that_reads_rows_is_no_chunk(
    job: list[int], told: set[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(Tracker, "tasks", {**Tracker.tasks, 5: (8, 8)})
    asked, said = Event(), set[tuple[int, int]]()
    tracker = Tracker(job, asked)
    spark = SimpleNamespace(sparkContext=SimpleNamespace(statusTracker=lambda: tracker))
    with progress.watch_tasks(spark, 4, lambda done, total: said.add((done, total)), 10, 100):
        assert asked.wait(60)
    assert {one for one in said if one[0] > 10} == told


def test_watch_tasks__of_a_job_that_only_reads_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    asked, said, rounds = Event(), list[int](), list[int]()
    tracker = Tracker([0], asked)

    def jobs() -> list[int]:
        rounds.append(0)
        if len(rounds) > 2:
            asked.set()
        return [7]

    monkeypatch.setattr(tracker, "getActiveJobsIds", jobs)
    spark = SimpleNamespace(sparkContext=SimpleNamespace(statusTracker=lambda: tracker))
    with progress.watch_tasks(spark, 4, lambda done, _: said.append(done), 0, 4):
        assert asked.wait(60)
    assert said == []
