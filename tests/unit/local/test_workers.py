"""Workers answer in order, tell what went wrong, and end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvspark.errors import ComputeError
from dvspark.local.workers import TaskFailedError, Workers

PROGRAM = """
import os, sys, time
from dvspark.local.workers import DONE, FAILED, read_message, write_message
while (asked := read_message(sys.stdin.buffer)) is not None:
    if asked == b"threads":
        asked = os.environ["OMP_NUM_THREADS"].encode()
    if asked == b"fail":
        write_message(sys.stdout.buffer, FAILED + b"ValueError: on purpose")
        continue
    if asked == b"die":
        os.kill(os.getpid(), 9)
    time.sleep(0.3 if asked == b"0" else 0)
    write_message(sys.stdout.buffer, DONE + asked)
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    (tmp_path / "answering.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    started = Workers("answering", 2)
    yield started
    started.end()


def test_workers__answer_in_the_order_of_the_requests(workers: Workers) -> None:
    asked = [str(number).encode() for number in range(9)]
    assert list(workers.map(asked)) == asked
    assert list(workers.map(asked[:1])) == asked[:1]


def test_workers__multiply_with_one_thread(workers: Workers) -> None:
    assert list(workers.map([b"threads"])) == [b"1"]


def test_workers__requests_are_made_when_they_are_needed(workers: Workers) -> None:
    made = []

    def requests() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x"

    answers = workers.map(requests())
    next(answers)
    assert len(made) <= workers.n_most + 1
    answers.close()  # type: ignore[attr-defined]


def test_workers__a_task_s_error_is_told_and_the_worker_goes_on(workers: Workers) -> None:
    with pytest.raises(TaskFailedError, match="on purpose"):
        list(workers.map([b"1", b"fail", b"2"]))
    assert list(workers.map([b"3"])) == [b"3"]


def test_workers__one_that_was_killed_is_told(workers: Workers) -> None:
    with pytest.raises(ComputeError, match="signal 9"):
        list(workers.map([b"die"]))


STARTER = """
import sys, time
from dvspark.local.session import WORKER
from dvspark.local.workers import Workers
workers = Workers(WORKER, 1)
workers.start(1)
print(workers._started[0].pid, flush=True)
time.sleep(600)
"""


def test_workers__end_when_their_process_is_killed() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    worker = int(starter.stdout.readline())
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    deadline = time.monotonic() + 120
    while _lives(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _lives(worker)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.getpgid(process) == process
