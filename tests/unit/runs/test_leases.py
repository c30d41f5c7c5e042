"""Leases: one process at a time works on a run; the dead hold nothing, whatever the clocks of two hosts say."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dvspark.errors import OutputConflictError
from dvspark.runs import leases
from dvspark.runs.holder import Holder
from dvspark.runs.leases import Lease, held
from dvspark.tables.storage import Storage, open_storage

ELSEWHERE = Holder("another-host", "another-boot", "pid:[1]", 4711, "1")
HOLD = """
import sys, time
from dvspark.runs.leases import held
from dvspark.tables.storage import open_storage
with held(open_storage(sys.argv[1]), "run"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


class Clock:
    """A clock that goes on when somebody sleeps; ``meanwhile`` is what others do then."""

    def __init__(self) -> None:
        self.now, self.meanwhile = 1000.0, lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leases, "time", clock)
    return clock


@contextmanager
def as_if(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setattr(Holder, "here", lambda: holder)
        yield


def left_by(holder: Holder, storage: Storage, monkeypatch: pytest.MonkeyPatch, run_id: str = "run") -> Lease:
    """Return the lease that a process took and never gave back."""
    with as_if(holder, monkeypatch):
        return leases._taken(storage, run_id)


def files(storage: Storage) -> list[str]:
    return storage.names("_leases")


def test_lease__is_held_by_one_and_nothing_stays_of_it(storage: Storage, tmp_path: Path) -> None:
    with held(storage, "run") as lease:
        lease.require()
        with pytest.raises(OutputConflictError, match=f"process {os.getpid()} on "), held(storage, "run"):
            pass
        lease.require()  # the other one has taken nothing away
    assert list(tmp_path.iterdir()) == []
    with held(storage, "run"):
        pass


@pytest.mark.parametrize(
    "other", ["run.json", "ru", "run.0123456789abcdef", "run.0123456789abcdef.json", "r", "run.claim"]
)
def test_lease__run_ids_do_not_influence_each_other(storage: Storage, other: str) -> None:
    with held(storage, "run") as lease, held(storage, other) as beside:
        lease.require()
        beside.require()
        with pytest.raises(OutputConflictError), held(storage, other):
            pass


def test_lease__of_a_process_that_was_killed_is_taken_over_at_once(storage: Storage, tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(OutputConflictError, match=f"process {holder.pid} on "), held(storage, "run"):
            pass
        holder.send_signal(signal.SIGSTOP)  # it is slow, not dead
        with pytest.raises(OutputConflictError), held(storage, "run"):
            pass
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # a zombie, whose number is still taken
        with held(storage, "run"):
            assert len(files(storage)) == 1
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("number", [2**22 + 1, 2**40])
def test_holder__whose_number_nobody_has_is_dead(number: int) -> None:
    assert dataclasses.replace(Holder.here(), pid=number).lives() is False


def test_holder__whose_number_another_process_has_by_now_is_dead() -> None:
    here = Holder.here()
    assert here.lives() is True
    assert dataclasses.replace(here, started=f"{int(here.started) - 1}").lives() is False


@pytest.mark.parametrize("change", [{"host": "other"}, {"boot_id": "other"}, {"pid_space": "other"}])
def test_holder__elsewhere_cannot_be_seen(change: dict[str, str]) -> None:
    assert dataclasses.replace(Holder.here(), **change).lives() is None


def test_lease__held_elsewhere_is_respected_as_long_as_it_beats(
    storage: Storage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, beats = left_by(ELSEWHERE, storage, monkeypatch), iter(range(100))
    clock.meanwhile = lambda: storage.write(lease.pulse, str(next(beats)).encode()) if clock.now > 1020 else None
    with pytest.raises(OutputConflictError, match="process 4711 on another-host"), held(storage, "run"):
        pass
    assert clock.now < 1030
    lease.require()


@pytest.mark.parametrize("hours", [-24, 24])
def test_lease__held_elsewhere_without_a_beat_is_taken_over_whatever_its_clock_said(
    storage: Storage, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    lease = left_by(ELSEWHERE, storage, monkeypatch)
    storage.write(lease.pulse, b"17")
    for file in (tmp_path / "_leases").iterdir():
        os.utime(file, (file.stat().st_mtime + hours * 3600,) * 2)
    with held(storage, "run") as mine:
        assert 1000 + leases.DEAD_SECONDS <= clock.now < 1002 + leases.DEAD_SECONDS
        with pytest.raises(OutputConflictError, match="took this one for dead"):
            lease.require()  # it had only hung
        mine.require()
    assert not (tmp_path / "_leases").exists()


def test_lease__given_back_while_it_is_watched_is_free(
    storage: Storage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.meanwhile = left_by(ELSEWHERE, storage, monkeypatch).release
    with held(storage, "run"):
        assert clock.now <= 1002


@pytest.mark.parametrize("content", [b"", b"{}", b'{"run_id": "run"}', b"\xff"])
def test_lease__that_is_damaged_blocks_nobody_for_ever(storage: Storage, clock: Clock, content: bytes) -> None:
    storage.write("_leases/run.0123456789abcdef.json", content)
    with held(storage, "run"):
        assert clock.now < 1002 + leases.DEAD_SECONDS


def test_lease__of_another_run_put_in_its_place_is_not_believed(storage: Storage, clock: Clock) -> None:
    with held(storage, "other") as other:
        storage.write("_leases/run.0123456789abcdef.json", storage.read(other.name))
        with held(storage, "run"):
            assert clock.now > 1000  # nobody beats for it


def test_lease__of_many_that_start_at_once_exactly_one_goes_on(storage: Storage) -> None:
    n = 8
    start, looked = threading.Barrier(n), threading.Barrier(n)

    def attempt(_: int) -> str:
        start.wait()
        try:
            with held(storage, "run") as lease:
                looked.wait()
                lease.require()
                return "held"
        except OutputConflictError:
            looked.wait()
            return "refused"

    with ThreadPoolExecutor(n) as pool:
        assert sorted(pool.map(attempt, range(n))) == ["held"] + ["refused"] * (n - 1)
    assert files(storage) == []


def test_lease__beats_while_it_is_held(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.001)
    seen = threading.Event()
    write = Storage.write

    def watched(self: Storage, name: str, content: bytes) -> None:
        write(self, name, content)
        if name.endswith(".beat") and content == b"3":
            seen.set()

    monkeypatch.setattr(Storage, "write", watched)
    with held(storage, "run"):
        assert seen.wait(60)


@dataclasses.dataclass(frozen=True)
class Dying(Storage):
    """A storage whose process dies before its n-th change."""

    changes: list[int] = dataclasses.field(default_factory=lambda: [10**6])

    def _live(self, change: Callable[[], None]) -> None:
        self.changes[0] -= 1
        if self.changes[0] < 0:
            raise KeyboardInterrupt
        change()

    def write(self, name: str, content: bytes) -> None:
        self._live(lambda: Storage.write(self, name, content))

    def rename(self, source: str, target: str) -> None:
        self._live(lambda: Storage.rename(self, source, target))

    def remove_file(self, name: str) -> None:
        self._live(lambda: Storage.remove_file(self, name))

    def remove_empty(self, name: str) -> None:
        self._live(lambda: Storage.remove_empty(self, name))


def test_lease__killed_at_any_change_it_blocks_nobody(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = dataclasses.replace(Holder.here(), pid=2**22 + 1)
    for changes in range(20):
        mortal = Dying(storage.uri, storage.root, storage.file_system, [changes])
        with as_if(gone, monkeypatch):
            try:
                with held(mortal, "run"):
                    pass
            except KeyboardInterrupt:
                pass
            else:
                break
        with held(storage, "run") as lease:
            assert files(storage) == [lease.name.removeprefix("_leases/")]
        assert files(storage) == []
    assert changes > 4
