"""The cache of indexes on a host: one copy for all processes; the first process makes the copy, the others wait.

The cache belongs to one user alone, and every process checks the files that it opens: see `dvspark.host.owned`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dvspark.engine.index.manifest import MANIFEST, damaged_files, has_manifest, read_manifest
from dvspark.engine.index.train_index import IndexReference, TrainIndex, open_index
from dvspark.errors import ComputeError, Problem
from dvspark.host.locks import left_over, take
from dvspark.host.owned import PRIVATE_FOLDER, open_own_file, own_place

# Where a host keeps its copies: on a local disk, so that mapping a copy never goes over the network.
CACHE_VARIABLE = "DVSPARK_CACHE"

# How long other processes wait for the one that copies: far longer than the slowest copy and check of an index takes.
WAIT_SECONDS = 900.0
SLOWEST_BYTES_PER_SECOND = 10e6
LOOK_SECONDS = 0.1

# A damaged copy is made once more. If the second copy is damaged too, the source itself must be.
N_COPIES = 2

# A Python worker runs many tasks, and opens an index only once.
_opened: dict[str, TrainIndex] = {}


def cache_directory() -> Path:
    """Return the host's cache directory, private to the user because its files are trusted once they are checked."""
    default = Path(tempfile.gettempdir()) / f"dvspark-cache-{os.getuid()}"
    return Path(os.environ.get(CACHE_VARIABLE, default))


def open_on_host(reference: IndexReference, source_of: Callable[[str], Path]) -> TrainIndex:
    """Return the index, mapped from the one copy on this host; ``source_of(file)`` tells where to copy a file from.

    Cost: the first caller on a host copies the index, and others wait. Each process reads the copy once to check it, at
    about 1 GB/s, and maps it later.
    Raises: ComputeError if the files are not those that were packed, if no whole copy can be made, if another process
    does not finish its copy in time, or if the cache does not belong to this user alone.
    """
    if reference.digest in _opened:
        return _opened[reference.digest]
    if reference.shipping == "in_place":
        directory = Path(reference.directory)
        if damaged := damaged_files(directory, reference.digest):
            raise _damaged(directory, reference.digest, damaged)
        return _open(directory, reference.digest)
    with own_place(cache_directory(), f"remove it, or set {CACHE_VARIABLE} to another folder") as root:
        directory = _copy_once(root, reference, source_of)
        if damaged_files(directory, reference.digest):
            directory = _copy_once(root, reference, source_of, is_whole=_is_undamaged)
        return _open(directory, reference.digest)


def _open(directory: Path, digest: str) -> TrainIndex:
    _opened.clear()  # one index at a time: an old mapping would keep a removed file's space
    _opened[digest] = open_index(directory)
    return _opened[digest]


def _copy_once(
    root: Path,
    reference: IndexReference,
    source_of: Callable[[str], Path],
    is_whole: Callable[[Path, str], bool] | None = None,
) -> Path:
    """Return the copy below ``root``; make it unless ``is_whole`` says that all files are there in full size."""
    is_whole, target = is_whole or _has_all_files, root / reference.digest
    longest = WAIT_SECONDS + N_COPIES * reference.n_bytes / SLOWEST_BYTES_PER_SECOND
    with _locked(root / f"{reference.digest}.lock", longest):
        if is_whole(target, reference.digest):
            return target
        shutil.rmtree(target, ignore_errors=True)
        _evict(root, reference.n_bytes)
        # The name is that of the index, under its lock. So files that lie here already were left by a killed process.
        staging = root / f"{reference.digest}.building"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=PRIVATE_FOLDER)
        try:
            for _ in range(N_COPIES):
                if not (damaged := _copy(source_of, staging, reference.digest)):
                    break
            else:
                raise _damaged(target, reference.digest, damaged)
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _damaged(where: Path, digest: str, names: list[str]) -> ComputeError:
    where = where.resolve()  # the path may name an open folder by its number
    return ComputeError(Problem(str(where), f"index {digest[:12]}", f"damaged: {', '.join(names)}", "run it again"))


def _copy(source_of: Callable[[str], Path], staging: Path, digest: str) -> list[str]:
    """Copy the files of an index; return the names of those that arrived damaged."""
    _copy_file(source_of(MANIFEST), staging / MANIFEST)
    if not has_manifest(staging, digest):
        return [MANIFEST]
    for name in read_manifest(staging)["files"]:
        _copy_file(source_of(name), staging / name)
    return damaged_files(staging, digest)


def _copy_file(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # of a first attempt
    open_own_file(target, os.O_CREAT | os.O_EXCL).close()
    shutil.copyfile(source, target)


def _has_all_files(directory: Path, digest: str) -> bool:
    """Return whether all files are there with their sizes. Whoever opens them checks the content."""
    if not has_manifest(directory, digest):
        return False
    sizes = read_manifest(directory)["bytes"]
    return all((directory / name).is_file() and (directory / name).stat().st_size == n for name, n in sizes.items())


def _is_undamaged(directory: Path, digest: str) -> bool:
    return not damaged_files(directory, digest)


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold a file's lock while the block runs; the kernel releases the lock if the holder dies.

    Raises: ComputeError if another process holds the lock for longer than ``seconds``.
    """
    try:
        file = open_own_file(path, os.O_CREAT)
    except OSError as error:
        where = str(path.resolve())
        raise ComputeError(
            Problem(where, "a lock of this user alone", str(error), "remove it, and run again")
        ) from error
    with file:
        deadline = time.monotonic() + seconds
        while not take(file):
            if time.monotonic() > deadline:
                expected, got = (
                    "a copy of the index within the time it may take",
                    f"{path.resolve()} held for {seconds:.0f} s",
                )
                hint = "the task that copies seems to hang: end it, or its host, check the storage, and run again"
                raise ComputeError(Problem("the host's copy of the index", expected, got, hint))
            time.sleep(LOOK_SECONDS)
        os.utime(path)
        yield


def _evict(root: Path, n_bytes: int) -> None:
    """Remove indexes that nobody opened for a day, and others as long as there is no space for ``n_bytes``.

    An index that is being copied stays. Workers that have mapped a removed index keep it.
    """
    for lock in left_over(root, "*.lock", n_bytes):
        # The lock file stays: removing it would let two builders hold two different files of one name.
        for folder in (lock.with_suffix(""), lock.with_suffix(".building")):
            shutil.rmtree(folder, ignore_errors=True)
