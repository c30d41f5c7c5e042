"""Own folder: a temporary folder that goes with its process; a folder left by a killed process may be taken over.

A scratch folder is one that nobody takes over: what a killed process left goes when the next one makes a folder.
The folder belongs to this user alone. What other users have put under such a name is neither opened nor removed.
"""

from __future__ import annotations

import math
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
from dvspark.host.locks import here, is_at, left_over, locked, take
from dvspark.host.owned import is_own_folder, open_own_file, place_of_others
from dvspark.logs import log_event

PREFIX, SCRATCH = "dvspark-own-", "dvspark-scratch-"
# A name that is read from a file must not lead to another place.
NAME = re.compile(rf"{PREFIX}\w+")
LOCK, NOT_YET = "lock", "lock.new"


@dataclass(frozen=True)
class OwnFolder:
    """A folder and its lock, which the kernel releases when this process ends, however it ends."""

    path: Path
    lock: IO[bytes]
    has_owner: bool = True

    @classmethod
    def make(cls, root: Path, prefix: str = PREFIX) -> OwnFolder:
        """Return a new folder below ``root``. On storage without locks, nobody can take it over or remove it."""
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        remove_at_end(path)
        lock = open_own_file(path / NOT_YET, os.O_CREAT | os.O_EXCL)
        with suppress(OSError):
            take(lock)
        (path / NOT_YET).rename(path / LOCK)  # nobody ever sees a lock that waits for its holder
        return cls(path, lock, is_own_folder(path))

    @classmethod
    def make_scratch(cls, root: Path) -> OwnFolder:
        """Return a new scratch folder below ``root``; those that killed processes have left there go."""
        root.mkdir(parents=True, exist_ok=True)
        _remove_scratch(root)
        return cls.make(root, f"{SCRATCH}{here()}-")

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
        if not is_at(self.lock, self.path / LOCK) or not is_own_folder(self.path):
            hint = "set work_dir, or TMPDIR, to a folder in which no other user can rename it, and run again"
            raise ComputeError(Problem(str(self.path), "the folder that this run has made", "another or none", hint))

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        _remove(self.path)
        self.lock.close()
        is_removed(self.path)


@contextmanager
def own_folder(root: Path, n_bytes: int, left: str | None = None) -> Iterator[Path]:
    """Yield a folder below ``root`` for ``n_bytes``, which is removed with everything in it afterward.

    ``left``: the name of one to be taken over, with what is in it, if it is there and its process is gone. Others that
    were left go after a day, or where there is no space, the oldest first; scratch folders of this host at once.
    Raises: ComputeError when it is no longer there afterwards.
    """
    root.mkdir(parents=True, exist_ok=True)
    _warn_of_others(root)
    folder = None if left is None else OwnFolder.take_over(root, left)
    _remove_scratch(root)
    for prefix in (SCRATCH, PREFIX):
        # One that is being made has no holder for a moment, so only its age tells whether it was left.
        for name, needed in ((LOCK, n_bytes), (NOT_YET, 0)):
            for lock in left_over(root, f"{prefix}*/{name}", needed):
                _remove(lock.parent)
    folder = folder or OwnFolder.make(root)
    try:
        yield folder.path
        folder.require_there()
    finally:
        folder.remove()


def _remove_scratch(root: Path) -> None:
    for lock in left_over(root, f"{SCRATCH}{here()}-*/{LOCK}", 0, keep_seconds=-math.inf):
        _remove(lock.parent)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last: where the process is killed meanwhile, the next one finds what is left by it.

    No link is followed that another user may have put in its place.
    """
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for name in {entry.name for entry in os.scandir(opened)} - {LOCK}:
                shutil.rmtree(name, ignore_errors=True, dir_fd=opened)  # leaves files
                with suppress(OSError):
                    os.unlink(name, dir_fd=opened)
        finally:
            os.close(opened)
    shutil.rmtree(folder, ignore_errors=True)


def _warn_of_others(root: Path) -> None:
    """Warn of a folder where other users may rename others' files: one without the sticky bit, as in containers."""
    if (place := place_of_others(root)) is not None:
        told = f"other users can rename folders in {place}, and put their own in the place of this run's folders"
        log_event(f"{told}: chmod +t {place}, or take another work_dir or TMPDIR", level=30, place=place)
