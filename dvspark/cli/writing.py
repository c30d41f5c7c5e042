"""Writing: a file that a command makes for its user goes where nothing is, unless it is told to overwrite."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.host.locks import is_alone


def write_new(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file, as `new_file` opens it."""
    with new_file(path, force=force) as file:
        file.write(content)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write new files: all of them, or none if one cannot be written. Raises: as `new_file`."""
    with ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(new_file(path, force=False))
            file.write(content)
            file.flush()


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield a file to write to, which is at ``path`` once it is whole; ``force``: in place of one that is there.

    Raises: OutputConflictError if something is there already, or another process is writing the file; ConfigError if it
    cannot be written.
    """
    try:
        with _claimed(path, force=force) as claim:
            # Of two writers at once, each would leave a part of its content.
            if not is_alone(claim):
                expected, hint = "a file that nobody writes", "wait for it, or give another path"
                raise OutputConflictError(Problem(str(path), expected, "one that another process writes", hint))
            mode = os.fstat(claim.fileno()).st_mode
            if stat.S_ISREG(mode):
                yield from _staged(path.resolve(), stat.S_IMODE(mode))
            else:  # a terminal, a pipe: nothing can take its place
                yield claim
    except FileExistsError:
        hint = "give another path, or --force to overwrite it"
        raise OutputConflictError(Problem(str(path), "a path where nothing is", "a file or folder", hint)) from None
    except (OSError, ValueError) as error:
        got = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(Problem(str(path), "a path that can be written", got, "give another path")) from None


@contextmanager
def _claimed(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield the file that is there if ``force`` allows it, else a new one, which goes if the block fails."""
    if force and (path.exists() or path.is_symlink()):
        with open(os.open(path, os.O_WRONLY), "wb") as file:  # noqa: PTH123 - not truncated
            yield file
        return
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _staged(path: Path, mode: int) -> Iterator[BinaryIO]:
    """Yield a file beside ``path`` that takes its place, with its mode; it goes if it is not finished."""
    number, staged = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            yield file
        Path(staged).replace(path)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise
