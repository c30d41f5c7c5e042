"""Workers: processes of this one's own, with one thread of products each, as Spark's workers have.

A product has other last bits by two threads than by one, so this process, whose BLAS uses all cores, does not value
rows itself. A worker reads requests from its standard input and answers in their order; it ends when that ends, as it
does when this process is killed.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO

from dvspark.errors import ComputeError, Problem

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Each message is preceded by its size.
SIZE_BYTES = 8
# An answer begins with whether it is one, or the text of an error.
DONE, FAILED = b"+", b"!"
# What a worker has to end by itself.
END_SECONDS = 1.0


class TaskFailedError(RuntimeError):
    """What a task of a worker has raised, as Python shows it."""


class Workers:
    """Up to ``n_most`` processes that run ``program``, a module; each is started when it is first needed."""

    def __init__(self, program: str, n_most: int) -> None:
        self.program, self.n_most = program, n_most
        self._started = list[subprocess.Popen[bytes]]()
        self._idle = queue.LifoQueue[subprocess.Popen[bytes]]()
        self._lock = threading.Lock()

    def start(self, n_workers: int) -> None:
        """Start so many, or as many as there may be, which load what they need beside other work."""
        with self._lock:
            while len(self._started) < min(n_workers, self.n_most):
                self._started.append(_started(self.program))
                self._idle.put(self._started[-1])

    def map(self, requests: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the answers to requests in their order; as many are asked at once as there are workers, and one more.

        Raises: TaskFailedError with the text of what a task raised, ComputeError for a worker that has ended.
        """
        waiting = deque[Future[bytes]]()
        with ThreadPoolExecutor(self.n_most) as pool:
            try:
                for n_asked, request in enumerate(requests):
                    self.start(n_asked + 1)
                    waiting.append(pool.submit(self._answer, request))
                    if len(waiting) > self.n_most:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for left in waiting:
                    left.cancel()

    def kill(self) -> None:
        """Have all end in whatever they do."""
        for worker in self._started:
            worker.kill()

    def end(self) -> None:
        """Have all end, as they do when nothing more can be asked; those that still work are killed."""
        for worker in self._started:
            with suppress(OSError):
                _pipe(worker.stdin).close()
        for worker in self._started:
            try:
                worker.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            _pipe(worker.stdout).close()
        self._started.clear()
        self._idle = queue.LifoQueue()

    def _answer(self, request: bytes) -> bytes:
        worker = self._idle.get()
        try:
            write_message(_pipe(worker.stdin), request)
            answer = read_message(_pipe(worker.stdout))
        except OSError:
            answer = None
        finally:
            self._idle.put(worker)
        if answer is None:
            raise _ended(worker)
        if answer[:1] == FAILED:
            raise TaskFailedError(answer[1:].decode())
        return answer[1:]


def one_thread_command(program: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs ``program``, a module of this package, with one thread of products; its environment.

    A package that travels as a zip is found where this process found it.
    """
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # -P: nothing is imported from the folder one stands in, which may be anybody's.
    return [sys.executable, "-P", "-m", program], environment


def _started(program: str) -> subprocess.Popen[bytes]:
    command, environment = one_thread_command(program)
    # A session of its own: a signal of the terminal is this process's to answer.
    return subprocess.Popen(  # noqa: S603 - a module of this package
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
    )


def _ended(worker: subprocess.Popen[bytes]) -> ComputeError:
    code = worker.wait()
    got = f"one that ended by signal {-code}" if code < 0 else f"one that ended with exit code {code}"
    hint = (
        "the system may have killed it for memory: see the host's log (dmesg), and dvspark plan, which tells what a "
        "task takes; started again, the run goes on after its last wave"
    )
    return ComputeError(Problem("a worker of this machine", "one that lives as long as the run", got, hint))


def _pipe(given: IO[bytes] | None) -> IO[bytes]:
    assert given is not None  # noqa: S101 - all of them are pipes
    return given


def write_message(pipe: IO[bytes], content: bytes) -> None:
    """Write a message into a pipe."""
    pipe.write(len(content).to_bytes(SIZE_BYTES, "little"))
    pipe.write(content)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> bytes | None:
    """Return the next message of a pipe, None where there is none any more."""
    size = pipe.read(SIZE_BYTES)
    if len(size) < SIZE_BYTES:
        return None
    n_bytes = int.from_bytes(size, "little")
    content = pipe.read(n_bytes)
    return content if len(content) == n_bytes else None
