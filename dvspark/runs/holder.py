"""Holder: which process holds something, in a form by which another process can tell whether the holder still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvspark.runs.documents import missing_in

PROC = Path("/proc")


@dataclass(frozen=True)
class Holder:
    """A process: its host, the boot and container in which its number counts, its number and its start time."""

    host: str
    boot_id: str
    pid_space: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> Holder:
        """Return this process."""
        return cls(socket.gethostname(), _boot_id(), _pid_space(), os.getpid(), _started(os.getpid()))

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Holder | None:
        """Return the holder that a file names, or None if the file names none."""
        kinds: dict[str, type] = {"host": str, "boot_id": str, "pid_space": str, "pid": int, "started": str}
        if missing_in(told, kinds) or told.keys() != kinds.keys() or told["pid"] <= 0:
            return None
        return cls(**told)

    def lives(self) -> bool | None:
        """Return whether the process lives; None if that cannot be seen from here.

        Another boot may be that of another machine with the same name, so it proves nothing.
        """
        here = Holder.here()
        if not here.started or self.place != here.place:
            return None
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass  # the process belongs to another user
        now = _started(self.pid)
        return None if now == "hidden" else now == self.started

    @property
    def place(self) -> tuple[str, str, str]:
        """The place within which numbers of processes mean the same."""
        return self.host, self.boot_id, self.pid_space


def _boot_id() -> str:
    with suppress(OSError):
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return ""


def _pid_space() -> str:
    with suppress(OSError):
        return (PROC / "self/ns/pid").readlink().name
    return ""


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the boot; "" if it has ended, "hidden" if nobody tells."""
    try:
        state, *fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "hidden" if pid != os.getpid() else ""
    return "" if state in "ZX" else fields[18]
