"""Writing: a file that a command makes for its user goes where nothing is, unless it is told to overwrite."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.host.locks import is_alone


def write_new(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file, as `new_file` opens it."""
    with new_file(path, force=force) as file:
        file.write(content)


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield a file to write to, which goes if it is not finished; ``force``: over one that is there.

    Raises: OutputConflictError if something is there already, or another process is writing the file; ConfigError if it
    cannot be written.
    """
    try:
        # Emptied only once it is this process's: of two writers at once, each would leave a part of its content.
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | (0 if force else os.O_EXCL), 0o666)
        with os.fdopen(opened, "wb") as file:
            if not is_alone(file):
                expected, hint = "a file that nobody writes", "wait for it, or give another path"
                raise OutputConflictError(Problem(str(path), expected, "one that another process writes", hint))
            if stat.S_ISREG(os.fstat(opened).st_mode):
                file.truncate()
            try:
                yield file
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        hint = "give another path, or --force to overwrite it"
        raise OutputConflictError(Problem(str(path), "a path where nothing is", "a file or folder", hint)) from None
    except (OSError, ValueError) as error:
        got = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(Problem(str(path), "a path that can be written", got, "give another path")) from None
