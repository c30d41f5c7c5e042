"""The host's cache of indexes: one verified copy a host, whoever comes first builds it, the others wait."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dvspark.engine.manifest import MANIFEST, damaged_files, has_manifest, read_manifest
from dvspark.engine.own_folder import left_over
from dvspark.engine.train_index import IndexReference, TrainIndex, open_index
from dvspark.errors import ComputeError, Problem

# Where a host keeps its copies; node-local, so that mapping it never goes over the network.
CACHE_VARIABLE = "DVSPARK_CACHE"

# How long others wait for the one that copies: far longer than it takes, at the slowest, to copy and check an index.
WAIT_SECONDS = 900.0
SLOWEST_BYTES_PER_SECOND = 10e6
LOOK_SECONDS = 0.1

# A copy that is damaged on its way is made again; damaged twice, its source is.
N_COPIES = 2

# A Python worker lives through many tasks: it opens an index once.
_opened: dict[str, TrainIndex] = {}


def cache_directory() -> Path:
    """Return the host's cache directory; private to the user, since its files are trusted once verified."""
    default = Path(tempfile.gettempdir()) / f"dvspark-cache-{os.getuid()}"
    return Path(os.environ.get(CACHE_VARIABLE, default))


def open_on_host(reference: IndexReference, source_of: Callable[[str], Path]) -> TrainIndex:
    """Return the index, mapped from this host's one copy; ``source_of(file)`` tells where a file came from.

    Raises: ComputeError when the copy cannot be made whole, or another one does not end making it. Cost: the first
    caller on a host copies and verifies the index (about 1 GB/s), others wait for it, and later ones only map it.
    """
    if reference.digest not in _opened:
        lies_here = reference.shipping == "in_place"
        directory = Path(reference.directory) if lies_here else _copy_once(reference, source_of)
        _opened.clear()  # one index at a time: an old mapping would keep a removed file's space
        _opened[reference.digest] = open_index(directory)
    return _opened[reference.digest]


def _copy_once(reference: IndexReference, source_of: Callable[[str], Path]) -> Path:
    root = cache_directory()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root.stat().st_uid != os.getuid():
        hint = f"set {CACHE_VARIABLE} to a private folder"
        raise ComputeError(Problem(str(root), "a folder of this user", f"uid {root.stat().st_uid}", hint))
    target = root / reference.digest
    longest = WAIT_SECONDS + N_COPIES * reference.n_bytes / SLOWEST_BYTES_PER_SECOND
    with _locked(root / f"{reference.digest}.lock", longest):
        if _is_whole(target, reference.digest):
            return target
        shutil.rmtree(target, ignore_errors=True)
        _evict(root, reference.n_bytes)
        # Named after the index and guarded by its lock: what lies here already, a killed builder left.
        staging = root / f"{reference.digest}.building"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            for _ in range(N_COPIES):
                if not (damaged := _copy(source_of, staging, reference.digest)):
                    break
            else:
                got = f"damaged: {', '.join(damaged)}"
                raise ComputeError(Problem(str(target), f"index {reference.digest[:12]}", got, "run it again"))
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _copy(source_of: Callable[[str], Path], staging: Path, digest: str) -> list[str]:
    """Copy an index's files and return those that are damaged."""
    shutil.copyfile(source_of(MANIFEST), staging / MANIFEST)
    if not has_manifest(staging, digest):
        return [MANIFEST]
    for name in read_manifest(staging)["files"]:
        shutil.copyfile(source_of(name), staging / name)
    damaged = damaged_files(staging, digest)
    os.utime(staging / MANIFEST)  # no file is younger, unless it was written to after its sum was checked
    return damaged


def _is_whole(directory: Path, digest: str) -> bool:
    """Return whether all files are there in full size, and none was written to since its sum was checked."""
    if not has_manifest(directory, digest):
        return False
    sizes, checked = read_manifest(directory)["bytes"], (directory / MANIFEST).stat().st_mtime_ns
    found = {name: (directory / name).stat() for name in sizes if (directory / name).exists()}
    return all(n in found and found[n].st_size == s and found[n].st_mtime_ns <= checked for n, s in sizes.items())


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold a file's lock, which the kernel releases when its holder dies.

    Raises: ComputeError when another process holds it for so long.
    """
    with path.open("w") as file:
        deadline = time.monotonic() + seconds
        while not _is_taken(file):
            if time.monotonic() > deadline:
                expected, got = "a copy of the index within the time it may take", f"{path} held for {seconds:.0f} s"
                hint = "a task that copies hangs, on storage that does not answer: end it, or its host, and run again"
                raise ComputeError(Problem("the host's copy of the index", expected, got, hint))
            time.sleep(LOOK_SECONDS)
        os.utime(path)
        yield


def _is_taken(file: TextIO) -> bool:
    """Return whether the lock is this process's now; False where another one holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _evict(root: Path, n_bytes: int) -> None:
    """Remove indexes that were not opened for a day, or that ``n_bytes`` need the space of, and that nobody copies.

    Workers that have one mapped keep it.
    """
    for lock in left_over(root, "*.lock", n_bytes):
        # The lock file stays: removing it would let two builders hold two different files of one name.
        for folder in (lock.with_suffix(""), lock.with_suffix(".building")):
            shutil.rmtree(folder, ignore_errors=True)
