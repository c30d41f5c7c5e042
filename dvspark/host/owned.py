"""Owned: checks that no other user can have planted, redirected or opened to others a folder or file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from dvspark.errors import ComputeError, Problem

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
WRITABLE_BY_OTHERS = 0o022
ROOT = 0


def is_own(found: os.stat_result) -> bool:
    """Return whether this user owns it and nobody else may write to it."""
    return found.st_uid == os.geteuid() and not found.st_mode & WRITABLE_BY_OTHERS


def is_own_folder(path: str | Path) -> bool:
    """Return whether the path is a folder of this user, not a link, to which nobody else may write."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and is_own(found)


def made_own_folder(path: Path, hint: str) -> Path:
    """Return a private folder, which is made if it is absent.

    Raises: ComputeError if the path is a link, another user's, or writable for others.
    """
    with suppress(FileExistsError):
        path.mkdir(parents=True, mode=PRIVATE_FOLDER)
    if not is_own_folder(path):
        raise ComputeError(Problem(str(path), "a folder of this user alone", _what_stands_at(path), hint))
    return path


@contextmanager
def own_place(path: Path, hint: str) -> Iterator[Path]:
    """Yield a path to a private folder, made if absent, that stays this folder whatever is renamed above it.

    On systems without such paths, it is the folder's ordinary path. Raises: as `made_own_folder`.
    """
    made_own_folder(path, hint)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:  # replaced meanwhile
        raise ComputeError(Problem(str(path), "a folder of this user alone", str(error), hint)) from error
    try:
        if not is_own(os.fstat(folder)):
            raise ComputeError(Problem(str(path), "a folder of this user alone", _what_stands_at(path), hint))
        pinned = Path(f"/proc/self/fd/{folder}")
        yield pinned if pinned.is_dir() else path
    finally:
        os.close(folder)


def open_own_file(path: Path, flags: int) -> IO[bytes]:
    """Open a file for reading and writing, without following links; made private if ``flags`` has O_CREAT.

    A file that O_EXCL has made here counts as this user's, even on storage without owners or modes.
    Raises: OSError; PermissionError if it was there and is not a plain file, another user's, or writable for others.
    """
    opened = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, PRIVATE_FILE)
    found = os.fstat(opened)
    if not flags & os.O_EXCL and not (stat.S_ISREG(found.st_mode) and is_own(found) and found.st_nlink == 1):
        os.close(opened)
        raise PermissionError(f"{path}: not a plain file of this user alone")
    return os.fdopen(opened, "r+b")


def place_of_others(folder: Path) -> str | None:
    """Return the first place, here or above, where other users may rename files of others; None if there is none.

    The administrator does not count as another user. With the sticky bit, as on /tmp, each user can rename only own
    files.
    """
    resolved = folder.resolve()
    for place in (resolved, *resolved.parents):
        found = place.stat()
        open_to_all = found.st_mode & WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX
        if open_to_all or found.st_uid not in (os.geteuid(), ROOT):
            return str(place)
    return None


def others_may_write(folder: Path) -> bool:
    """Return whether other users may put files into a folder; True for a folder that is gone."""
    try:
        found = folder.stat()
    except OSError:
        return True
    return bool(found.st_mode & WRITABLE_BY_OTHERS) or found.st_uid not in (os.geteuid(), ROOT)


def _what_stands_at(path: Path) -> str:
    try:
        found = os.lstat(path)
    except OSError as error:
        return str(error)
    kind = "a link" if stat.S_ISLNK(found.st_mode) else "a folder" if stat.S_ISDIR(found.st_mode) else "a file"
    return f"{kind} of uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}"
