"""Own folder: a temporary folder that goes with its process; a folder left by a killed process may be taken over.

The folder belongs to this user alone. What other users have put under such a name is neither opened nor removed.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dvspark.errors import ComputeError, Problem
from dvspark.host.ending import is_removed, remove_at_end
from dvspark.host.locks import left_over, locked, take
from dvspark.host.owned import is_own_folder, open_own_file, place_of_others
from dvspark.logs import log_event

PREFIX = "dvspark-own-"
# A name that is read from a file must not lead to another place.
NAME = re.compile(rf"{PREFIX}\w+")
LOCK = "lock"


@dataclass(frozen=True)
class OwnFolder:
    """A folder and its lock, which the kernel releases when this process ends, however it ends."""

    path: Path
    lock: IO[bytes]
    has_owner: bool = True

    @classmethod
    def make(cls, root: Path) -> OwnFolder:
        """Return a new folder below ``root``. On storage without locks, nobody can take it over or remove it."""
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        remove_at_end(path)
        lock = open_own_file(path / LOCK, os.O_CREAT | os.O_EXCL)
        with suppress(OSError):
            take(lock)
        return cls(path, lock, is_own_folder(path))

    @classmethod
    def take_over(cls, root: Path, name: str) -> OwnFolder | None:
        """Return the folder of that name that a process left below ``root``; None if it is absent or still held."""
        lock = locked(root / name / LOCK) if NAME.fullmatch(name) and is_own_folder(root / name) else None
        if lock is None:
            return None
        remove_at_end(root / name)
        return cls(root / name, lock)

    def require_there(self) -> None:
        """Raise ComputeError if another folder is in its place, on storage that has owners and modes."""
        if not self.has_owner:
            return
        try:
            is_there = os.path.samestat(os.lstat(self.path / LOCK), os.fstat(self.lock.fileno()))
        except OSError:
            is_there = False
        if not is_there or not is_own_folder(self.path):
            hint = "set work_dir, or TMPDIR, to a folder in which no other user can rename it, and run again"
            raise ComputeError(Problem(str(self.path), "the folder that this run has made", "another or none", hint))

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.close()
        is_removed(self.path)


@contextmanager
def own_folder(root: Path, n_bytes: int, left: str | None = None) -> Iterator[Path]:
    """Yield a folder below ``root`` for ``n_bytes``, which is removed with everything in it afterward.

    ``left``: the name of one to be taken over, with what is in it, if it is there and its process is gone. Others that
    were left go after a day, or where there is no space, the oldest first.
    Raises: ComputeError when it is no longer there afterwards.
    """
    root.mkdir(parents=True, exist_ok=True)
    _warn_of_others(root)
    folder = None if left is None else OwnFolder.take_over(root, left)
    for lock in left_over(root, f"{PREFIX}*/{LOCK}", n_bytes):
        shutil.rmtree(lock.parent, ignore_errors=True)
    folder = folder or OwnFolder.make(root)
    try:
        yield folder.path
        folder.require_there()
    finally:
        folder.remove()


def _warn_of_others(root: Path) -> None:
    """Warn of a folder where other users may rename others' files: one without the sticky bit, as in containers."""
    if (place := place_of_others(root)) is not None:
        told = f"other users can rename folders in {place}, and put their own in the place of this run's folders"
        log_event(f"{told}: chmod +t {place}, or take another work_dir or TMPDIR", level=30, place=place)
