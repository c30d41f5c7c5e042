"""Processes: children of this process that are still there, which end with the session that they serve."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Java's own ending: it stops the context, takes leave of a cluster and removes its folders.
TERM_SECONDS = 4.0
LOOK_SECONDS = 0.02


def children() -> frozenset[int]:
    """Return the ids of this process's children; empty where the system has no /proc."""
    own, found = os.getpid(), set[int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == own:
                found.add(int(stat.parent.name))
    return frozenset(found)


def terminate(processes: Iterable[int]) -> None:
    """Ask processes to end."""
    for process in processes:
        with suppress(OSError):
            os.kill(process, signal.SIGTERM)


def end(processes: Iterable[int], seconds: float = TERM_SECONDS) -> None:
    """Ask children to end, and kill them after ``seconds``; they are gone afterward."""
    left = set(processes)
    terminate(left)
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        left = {process for process in left if not _is_reaped(process)}
        time.sleep(LOOK_SECONDS if left else 0)
    for process in left:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _is_reaped(process: int) -> bool:
    """Return whether a child has ended, and take its exit status, because otherwise it stays on the host's list."""
    try:
        return os.waitpid(process, os.WNOHANG)[0] == process
    except ChildProcessError:
        return True
