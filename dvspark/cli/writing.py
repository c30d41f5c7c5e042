"""Writing: a file that a command makes for its user goes where nothing is, unless it is told to overwrite."""

from __future__ import annotations

from pathlib import Path

from dvspark.errors import ConfigError, OutputConflictError, Problem


def write_new(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file; ``force``: over one that is there.

    Raises: OutputConflictError if something is there already, ConfigError if the file cannot be written.
    """
    try:
        with path.open("wb" if force else "xb") as file:
            file.write(content)
    except FileExistsError:
        hint = "give another path, or --force to overwrite it"
        raise OutputConflictError(Problem(str(path), "a path where nothing is", "a file or folder", hint)) from None
    except (OSError, ValueError) as error:
        got = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(Problem(str(path), "a path that can be written", got, "give another path")) from None
