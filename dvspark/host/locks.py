"""Locks: files that one process holds at a time. The kernel releases a lock when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from dvspark.host.owned import is_own_folder, open_own_file

# What nobody holds is kept for a day.
KEEP_SECONDS = 24 * 3600.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def here() -> str:
    """Return a word for the system that runs, whose processes surely see each other's locks, on whatever storage.

    Hosts that share storage need not. A host that is started again is another system.
    """
    told = BOOT_ID.read_text() if BOOT_ID.exists() else socket.gethostname()
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def take(file: IO[bytes] | int) -> bool:
    """Return whether an open file's lock is this process's now; False where another one holds it.

    Raises: OSError where the storage has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alone(file: IO[bytes] | int) -> bool:
    """Return whether no other process holds an open file's lock, which is this process's now.

    On storage without locks nobody holds one.
    """
    try:
        return take(file)
    except OSError:
        return True


def is_at(file: IO[bytes], path: Path) -> bool:
    """Return whether an open file is the one at a path: its last holder may have removed it before it was taken."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except OSError:
        return False


def locked(path: Path) -> IO[bytes] | None:
    """Return the open file with its lock; None if there is none of this user, or it cannot be taken."""
    try:
        file = open_own_file(path, 0)
    except OSError:
        return None
    try:
        is_taken = take(file) and is_at(file, path)
    except OSError:
        is_taken = False
    if not is_taken:
        file.close()
        return None
    return file


def folder_lock(folder: Path) -> ExitStack | None:
    """Return what holds a folder until it is closed, without a file in it; None if another process holds it.

    As `is_alone`. Raises: OSError if there is no such folder.
    """
    opened, lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY), ExitStack()
    lock.callback(os.close, opened)
    if not is_alone(opened):
        lock.close()
        return None
    return lock


def left_over(root: Path, pattern: str, n_bytes: int, keep_seconds: float = KEEP_SECONDS) -> Iterator[Path]:
    """Yield lock files below ``root`` that nobody holds, each held meanwhile, the oldest first.

    Those not touched for ``keep_seconds``; and others, as long as the storage has not ``n_bytes`` free.
    """
    # Unlike `Path.glob`, `glob.glob` passes over a folder that another process removes meanwhile.
    found = [root / name for name in glob.glob(pattern, root_dir=root)]  # noqa: PTH207
    for path in sorted(found, key=_seconds):
        if time.time() - _seconds(path) < keep_seconds and shutil.disk_usage(root).free >= n_bytes:
            return
        lock = locked(path) if path.parent == root or is_own_folder(path.parent) else None
        if lock is not None:
            with lock:
                yield path


def _seconds(path: Path) -> float:
    """Return when a file was touched; of one that is gone, or another user's, that it was just now."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()
