"""Leases: one process at a time works on a run, and what a dead one holds is taken over, whatever clocks say.

_leases/RUN_ID.TOKEN.json    who holds the run; whole, and never changed
_leases/RUN_ID.TOKEN.beat    a number that grows as long as its holder lives

Each process writes files of its own names alone, so nothing must be made "only if it is not there", which object stores
and HDFS, as pyarrow has them, cannot. Needs listings that show what was written before, which all of them give.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from dvspark.errors import OutputConflictError, Problem
from dvspark.logs import log_event
from dvspark.runs.documents import sealed, unsealed
from dvspark.runs.files import Files, write_whole
from dvspark.runs.holder import Holder

FOLDER = "_leases"
BEAT_SECONDS = 10.0
# A holder elsewhere that has not beaten for so long is dead. One that only hung finds its lease gone, and stops.
DEAD_SECONDS = 60.0
LOOK_SECONDS = 1.0
# For so long the first of several that start at once waits for the others to step back, which they do when they see it.
SETTLE_SECONDS = 2.0
SETTLE_LOOK_SECONDS = 0.05
# A beat that storage does not take is left to end with the process.
END_SECONDS = 10.0
AT_ONCE = "another process, started at the same time"


@dataclass(frozen=True)
class Lease:
    """One process's right to work on a run; of ``token`` are the names of its files."""

    files: Files
    run_id: str
    token: str

    @property
    def name(self) -> str:
        """Name of the file that says who holds it."""
        return f"{FOLDER}/{self.run_id}.{self.token}.json"

    @property
    def pulse(self) -> str:
        """Name of the file with the number that grows."""
        return f"{FOLDER}/{self.run_id}.{self.token}.beat"

    def holder(self) -> Holder | None:
        """Return who holds it; None where its file is gone or damaged."""
        try:
            told = unsealed(self.files.read(self.name))
        except FileNotFoundError:
            return None
        return None if told is None or told.pop("run_id", None) != self.run_id else Holder.told(told)

    def beat(self) -> bytes:
        """Return the number that grows as it was last written."""
        try:
            return self.files.read(self.pulse)
        except FileNotFoundError:
            return b""

    def require(self) -> None:
        """Refuse to go on without the lease. Raises: OutputConflictError when another process has taken it over."""
        if not self.files.exists(self.name):
            where, expected = f"run_id {self.run_id}", "one process at a time that works on it"
            got = "another one, which took this one for dead"
            hint = "start it again when the other one has ended: it goes on after the last wave"
            raise OutputConflictError(Problem(where, expected, got, hint))

    def release(self) -> None:
        """Give it back."""
        self.files.remove_file(self.name)
        self.files.remove_file(self.pulse)
        self.files.remove_empty(FOLDER)


@contextmanager
def held(files: Files, run_id: str) -> Iterator[Lease]:
    """Yield the lease of a run, which no other process holds meanwhile.

    A holder on this host that is gone is seen at once; of one elsewhere the beat is watched, by this process's clock.
    Raises: OutputConflictError when another process holds it.
    """
    lease, stop = _taken(files, run_id), threading.Event()
    heart = threading.Thread(target=_keep_beating, args=(lease, stop), daemon=True)
    heart.start()
    try:
        yield lease
    finally:
        stop.set()
        heart.join(END_SECONDS)
        lease.release()


def _keep_beating(lease: Lease, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(BEAT_SECONDS):
        number += 1
        with suppress(OSError):  # the next one may be taken
            lease.files.write(lease.pulse, str(number).encode())


def _require_place(files: Files, name: str, error: FileNotFoundError) -> None:
    """Raise the error where no file can be written at all: then no other process has removed one."""
    try:
        files.write(name, b"")
    except FileNotFoundError:
        raise error from None
    files.remove_file(name)


def _taken(files: Files, run_id: str) -> Lease:
    dead = {other.token for other in _leases(files, run_id) if not _is_held(other)}
    lease = Lease(files, run_id, secrets.token_hex(8))
    try:
        write_whole(files, lease.name, sealed({"run_id": run_id, **asdict(Holder.here())}))
        _settle(lease, dead)
        for left in _names(files, run_id):  # of the dead, halves of theirs included
            if lease.token not in left:
                files.remove_file(f"{FOLDER}/{left}")
    except FileNotFoundError as error:  # the one that goes on has removed what lay beside its own
        lease.release()
        _require_place(files, f"{lease.pulse}.probe", error)
        raise _refusal(run_id, AT_ONCE) from error
    except BaseException:
        lease.release()
        raise
    return lease


def _is_held(lease: Lease) -> bool:
    """Return whether a lease is that of a dead process: False. Raises: OutputConflictError when it lives."""
    holder = lease.holder()
    if holder is None and not lease.files.exists(lease.name):
        return False
    lives = None if holder is None else holder.lives()
    who = "a process that cannot be told" if holder is None else f"process {holder.pid} on {holder.host}"
    if lives is None:
        first, deadline = lease.beat(), time.monotonic() + DEAD_SECONDS
        log_event(f"{who} holds run {lease.run_id}: waiting for a sign of life", run_id=lease.run_id)
        while not lives and time.monotonic() < deadline and lease.files.exists(lease.name):
            time.sleep(LOOK_SECONDS)
            lives = lease.beat() != first
    if lives:
        raise _refusal(lease.run_id, who)
    return False


def _settle(lease: Lease, dead: set[str]) -> None:
    """Let one of those that started at once go on: the first by name; one that was there before wins by being there.

    Whoever has looked without seeing others holds the run, since all who come later see its file.
    Raises: OutputConflictError for the others.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        others = {other.token for other in _leases(lease.files, lease.run_id)} - dead
        if others == {lease.token}:
            return
        if min(others, default="") != lease.token or time.monotonic() > deadline:
            raise _refusal(lease.run_id, AT_ONCE)
        time.sleep(SETTLE_LOOK_SECONDS)


def _leases(files: Files, run_id: str) -> list[Lease]:
    found = (re.fullmatch(r".*\.([0-9a-f]{16})\.json", name) for name in _names(files, run_id))
    return [Lease(files, run_id, match[1]) for match in found if match]


def _names(files: Files, run_id: str) -> list[str]:
    """Return the names of a run's files: of no other run's, whose id may begin with this one's."""
    own = re.compile(re.escape(run_id) + r"\.[0-9a-f]{16}\.(json|beat)(\.[0-9a-f]{8})?")
    return sorted(name for name in files.names(FOLDER) if own.fullmatch(name))


def _refusal(run_id: str, who: str) -> OutputConflictError:
    hint = "wait for it, or end it: what a process held that is gone can be taken over at once"
    return OutputConflictError(Problem(f"run_id {run_id}", "one process at a time that works on it", who, hint))
