"""Folders that go with their process: taken over once it is gone, removed after a day or where space is needed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dvspark.host import locks
from dvspark.host import own_folder as own_folder_module
from dvspark.host.locks import KEEP_SECONDS
from dvspark.host.own_folder import LOCK, OwnFolder, own_folder

# Makes a folder, tells its name, and lives until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from dvspark.host.own_folder import own_folder
with own_folder(Path(sys.argv[1]), 0) as folder:
    (folder / "rows").write_text("kept")
    print(folder.name, flush=True)
    sys.stdin.read()
"""
MORE_THAN_ANY_DISK = 2**62


def left_by_a_killed_process(root: Path) -> str:
    """Return the name of a folder whose process was killed; it could not be taken over before."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().decode().strip()
        with own_folder(root, MORE_THAN_ANY_DISK, name) as another:
            assert another.name != name
        holder.send_signal(signal.SIGKILL)
    assert (root / name / "rows").read_text() == "kept"
    return name


def age(folder: Path) -> None:
    long_ago = time.time() - KEEP_SECONDS - 60
    os.utime(folder / LOCK, (long_ago, long_ago))


def test_own_folder__is_removed_afterwards(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), own_folder(tmp_path / "work", 0) as folder:
        (folder / "gone" / "rows").touch()
    assert list((tmp_path / "work").iterdir()) == []


def test_own_folder__of_a_killed_process_is_taken_over_with_what_is_in_it(tmp_path: Path) -> None:
    name = left_by_a_killed_process(tmp_path)
    with own_folder(tmp_path, MORE_THAN_ANY_DISK, name) as folder:  # not even space is worth more
        assert folder == tmp_path / name
        assert (folder / "rows").read_text() == "kept"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["dvspark-own-gone", "..", "other", "dvspark-own-../other", ""])
def test_own_folder__what_is_not_one_is_not_taken_over(tmp_path: Path, name: str) -> None:
    root = tmp_path / "work"
    for other in (tmp_path, root, root / "other"):
        other.mkdir(exist_ok=True)
        (other / LOCK).touch()
    with own_folder(root, 0, name) as folder:
        assert folder.parent == root
        assert folder.name != name
    assert (root / "other" / LOCK).exists()


def test_own_folder__those_left_go_after_a_day(tmp_path: Path) -> None:
    held, left = OwnFolder.make(tmp_path), left_by_a_killed_process(tmp_path)
    age(held.path)
    with own_folder(tmp_path, 0):
        assert (tmp_path / left).exists()
    age(tmp_path / left)
    with own_folder(tmp_path, 0):
        assert not (tmp_path / left).exists()
    assert [path.name for path in tmp_path.iterdir()] == [held.path.name]
    held.remove()


def test_own_folder__those_left_go_where_there_is_no_space(tmp_path: Path) -> None:
    held, left = OwnFolder.make(tmp_path), left_by_a_killed_process(tmp_path)
    with own_folder(tmp_path, MORE_THAN_ANY_DISK):
        assert not (tmp_path / left).exists()
    assert [path.name for path in tmp_path.iterdir()] == [held.path.name]
    held.remove()


@pytest.mark.parametrize("make", [OwnFolder.make, OwnFolder.make_scratch])
def test_own_folder__one_that_another_run_removes_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], OwnFolder]
) -> None:
    """Two runs share a place, and one ends between the other's list of the place and its look into the folders."""
    ending = make(tmp_path)

    def ended_before(look: Callable[..., Any]) -> Callable[..., Any]:
        def late(path: Any, **options: Any) -> Any:
            if Path(str(path)).is_relative_to(ending.path) and not ending.lock.closed:
                ending.lock.close()
                ending.remove()
            return look(path, **options)

        return late

    for name in ("scandir", "lstat"):
        monkeypatch.setattr(os, name, ended_before(getattr(os, name)))
    with own_folder(tmp_path, 0) as folder:
        assert [*tmp_path.iterdir()] == [folder]
    assert list(tmp_path.iterdir()) == []


def test_own_folder__loses_its_lock_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process leaves that is killed while it removes a folder is found by the lock."""
    removed, unlink = list[str](), os.unlink

    def seen(path: str | Path, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        removed.append(Path(path).name)

    own, names = OwnFolder.make(tmp_path), [f"{number}" for number in range(20)]
    (own.path / "index").mkdir()
    for name in names:
        (own.path / name).touch()
        (own.path / "index" / name).touch()
    monkeypatch.setattr(os, "unlink", seen)
    own.remove()
    assert sorted(removed) == sorted([*names, *names, LOCK])
    assert removed[-1] == LOCK
    assert list(tmp_path.iterdir()) == []


def test_own_folder__follows_no_link_where_it_removes(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "rows").touch()
    own, linking = OwnFolder.make(tmp_path), OwnFolder.make(tmp_path)
    own.path.rename(tmp_path / "aside")
    own.path.symlink_to(tmp_path / "kept")
    (linking.path / "index").symlink_to(tmp_path / "kept")
    own.remove()
    linking.remove()
    assert (tmp_path / "kept" / "rows").exists()
    assert not linking.path.exists()


def test_make_scratch__what_killed_processes_left_goes_at_once_and_nothing_else(tmp_path: Path) -> None:
    """As does the next own folder; what is held stays, and so do own folders, which a ledger may know."""
    kept, held = left_by_a_killed_process(tmp_path), OwnFolder.make_scratch(tmp_path)
    for make in (OwnFolder.make_scratch, OwnFolder.make):
        left = OwnFolder.make_scratch(tmp_path)
        left.lock.close()  # as the kernel does
        with own_folder(tmp_path, 0) if make == OwnFolder.make else contextlib.closing(make(tmp_path).lock):
            assert not left.path.exists()
    assert held.path.exists()
    assert (tmp_path / kept / "rows").read_text() == "kept"


def test_make_scratch__of_another_host_is_kept_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process may live: on shared storage, hosts need not see each other's locks."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("dvspark.host.own_folder.here", lambda: "other")
        left = OwnFolder.make_scratch(tmp_path)
        left.lock.close()
    with own_folder(tmp_path, 0), contextlib.closing(OwnFolder.make_scratch(tmp_path).lock):
        assert left.path.exists()
    age(left.path)
    with own_folder(tmp_path, 0):
        assert not left.path.exists()


def test_own_folder__of_three_runs_in_one_place_none_removes_anothers_whatever_their_clocks_say(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    names = list[str]()
    with contextlib.ExitStack() as alive:
        for days in (-2, 0, 2):  # by the storage's clock, which need not be that of who looks
            holder = alive.enter_context(subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], **pipes))
            assert holder.stdout is not None
            names.append(holder.stdout.readline().decode().strip())
            made = time.time() + days * KEEP_SECONDS
            os.utime(tmp_path / names[-1] / LOCK, (made, made))
            os.utime(tmp_path / names[-1], (made, made))
        with own_folder(tmp_path, MORE_THAN_ANY_DISK):
            assert [(tmp_path / name / "rows").read_text() for name in names] == ["kept"] * 3
    assert list(tmp_path.iterdir()) == []


def test_own_folder__one_that_goes_before_it_is_taken_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock was opened, and then another run, which needs the space, removes it: what is taken is no folder."""
    left = OwnFolder.make(tmp_path)
    left.lock.close()
    open_own_file = locks.open_own_file

    def late(path: Path, flags: int) -> Any:
        file = open_own_file(path, flags)
        shutil.rmtree(path.parent)
        return file

    monkeypatch.setattr(locks, "open_own_file", late)
    assert OwnFolder.take_over(tmp_path, left.path.name) is None


def test_own_folder__one_that_is_being_made_stays_though_space_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a new lock and its holder another run looks for what it may remove."""
    others, first_take = list[Path](), own_folder_module.take

    def late(file: Any) -> bool:
        if not others:
            others.append(tmp_path)
            with own_folder(tmp_path, 2**62):
                pass
        return first_take(file)

    monkeypatch.setattr(own_folder_module, "take", late)
    made = OwnFolder.make(tmp_path)
    assert made.path.is_dir()
    made.remove()
