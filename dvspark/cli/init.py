"""`dvspark init`: writes a settings file in which each setting is explained, the one that the package carries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from dvspark.cli.declared import COMMANDS
from dvspark.cli.printing import tell
from dvspark.cli.words import own_words
from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.logs.redact import visible

PATH = "value.yaml"

NEXT = """\
wrote {path}

next:
  1. set in it where the tables are (train.path, validation.path) and where results go (output.path)
  2. dvspark plan {path}    what the job would take; writes nothing
  3. dvspark value {path}   values the rows

`dvspark value --help` has the same settings for the command line; `dvspark methods` lists the methods
"""


def run(words: Sequence[str]) -> int:
    """Write the file and say what to do next.

    Raises: OutputConflictError if something is there already, ConfigError if the file cannot be written.
    """
    operands, options = own_words(COMMANDS["init"], words)
    path = Path(operands[0] if operands else PATH)
    try:
        with path.open("w" if "--force" in options else "x", encoding="utf-8") as file:
            file.write(settings_file())
    except FileExistsError:
        hint = "give another path, or --force to overwrite it"
        raise OutputConflictError(Problem(str(path), "a path where nothing is", "a file or folder", hint)) from None
    except (OSError, ValueError) as error:
        got = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(Problem(str(path), "a path that can be written", got, "give another path")) from None
    tell(NEXT.format(path=visible(str(path))))
    return 0


def settings_file() -> str:
    """Return the text of the settings file; `conf/jobs/value.yaml` is the same."""
    return files("dvspark.config").joinpath("value.yaml").read_text(encoding="utf-8")
