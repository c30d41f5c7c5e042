"""Progress asked of Spark: a thread that gets no answer does not hold up the job."""

from __future__ import annotations

from threading import Event, Thread, current_thread
from types import SimpleNamespace

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

    tracker = SimpleNamespace(getActiveStageIds=silent)
    spark = SimpleNamespace(sparkContext=SimpleNamespace(statusTracker=lambda: tracker))
    with progress.watch_tasks(spark, 4, lambda done, total: None, 0, 4):
        assert asked.wait(60)
    assert waiting[0].is_alive()  # the block has ended all the same
    answer.set()
    waiting[0].join(20)
