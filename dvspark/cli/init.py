"""`dvspark init`: writes a settings file in which each setting is explained, the one that the package carries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words
from dvspark.cli.writing import write_new
from dvspark.host.printing import tell
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
    write_new(path, settings_file().encode(), force="--force" in options)
    tell(NEXT.format(path=visible(str(path))))
    return 0


def settings_file() -> str:
    """Return the text of the settings file; `conf/jobs/value.yaml` is the same."""
    return files("dvspark.config").joinpath("value.yaml").read_text(encoding="utf-8")
