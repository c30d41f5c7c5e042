"""Leases: one process at a time works on a run; another one can take over from a dead process, whatever clocks say.

_leases/RUN_ID.TOKEN.json    who holds the run; whole, and never changed
_leases/RUN_ID.TOKEN.beat    a number that grows as long as its holder lives

Each process writes only files with names of its own. So no file has to be made "only if it is absent", which object
stores and HDFS, through pyarrow, cannot do. Listings must show what was written before, and all of these stores do
that.
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
# A holder on another host whose number has not grown for so long is dead. If it only hung, it finds its lease gone.
DEAD_SECONDS = 60.0
LOOK_SECONDS = 1.0
# If several processes start at once, the first by name waits so long for the others to see its file and step back.
SETTLE_SECONDS = 2.0
SETTLE_LOOK_SECONDS = 0.05
# A write that storage does not accept is left alone; it ends with the process.
END_SECONDS = 10.0
AT_ONCE = "another process, started at the same time"


@dataclass(frozen=True)
class Lease:
    """The right of one process to work on a run; its files have ``token`` in their names."""

    files: Files
    run_id: str
    token: str

    @property
    def name(self) -> str:
        """Name of the file that says who holds the lease."""
        return f"{FOLDER}/{self.run_id}.{self.token}.json"

    @property
    def pulse(self) -> str:
        """Name of the file with the growing number."""
        return f"{FOLDER}/{self.run_id}.{self.token}.beat"

    def holder(self) -> Holder | None:
        """Return who holds the lease; None if its file is gone or damaged."""
        try:
            told = unsealed(self.files.read(self.name))
        except FileNotFoundError:
            return None
        return None if told is None or told.pop("run_id", None) != self.run_id else Holder.told(told)

    def beat(self) -> bytes:
        """Return the growing number as last written."""
        try:
            return self.files.read(self.pulse)
        except FileNotFoundError:
            return b""

    def require(self) -> None:
        """Raise OutputConflictError if another process has taken the lease over."""
        if not self.files.exists(self.name):
            where, expected = f"run_id {self.run_id}", "one process at a time that works on it"
            got = "another one, which took this one for dead"
            hint = "start it again when the other one has ended: it goes on after the last wave"
            raise OutputConflictError(Problem(where, expected, got, hint))

    def release(self) -> None:
        """Give the lease back."""
        self.files.remove_file(self.name)
        self.files.remove_file(self.pulse)
        self.files.remove_empty(FOLDER)


@contextmanager
def held(files: Files, run_id: str) -> Iterator[Lease]:
    """Yield the lease of a run; no other process holds the run meanwhile.

    A holder on this host that has died is seen at once. For a holder on another host, this process watches the growing
    number, by its own clock.
    Raises: OutputConflictError if another process holds the run.
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
        with suppress(OSError):  # the next write may succeed
            lease.files.write(lease.pulse, str(number).encode())


def _require_place(files: Files, name: str, error: FileNotFoundError) -> None:
    """Raise the error if no file can be written at all. Otherwise another process has removed the folder in between."""
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
        for left in _names(files, run_id):  # files of dead processes, incomplete ones included
            if lease.token not in left:
                files.remove_file(f"{FOLDER}/{left}")
    except FileNotFoundError as error:  # the process that goes on has removed the other files
        lease.release()
        _require_place(files, f"{lease.pulse}.probe", error)
        raise _refusal(run_id, AT_ONCE) from error
    except BaseException:
        lease.release()
        raise
    return lease


def _is_held(lease: Lease) -> bool:
    """Return False if the holder of a lease is dead. Raises: OutputConflictError if the holder lives."""
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
    """Let one of several processes that start at once go on: the first by name.

    A process that saw no others when it looked holds the run, because all that come later see its file.
    Raises: OutputConflictError for the other processes.
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
    """Return the names of a run's files, without files of other runs whose ids begin with this run's id."""
    own = re.compile(re.escape(run_id) + r"\.[0-9a-f]{16}\.(json|beat)(\.[0-9a-f]{8})?")
    return sorted(name for name in files.names(FOLDER) if own.fullmatch(name))


def _refusal(run_id: str, who: str) -> OutputConflictError:
    hint = "wait for it, or end it: what a process held that is gone can be taken over at once"
    return OutputConflictError(Problem(f"run_id {run_id}", "one process at a time that works on it", who, hint))
