"""`dvspark pack`: writes the package as a zip for `spark-submit --py-files`, without the demo's data."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from dvspark.cli.declared import COMMANDS
from dvspark.cli.printing import tell
from dvspark.cli.words import own_words
from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.logs.redact import visible

PATH = "dvspark.zip"

# Nine tenths of the package's bytes are the demo's tables, which no executor asks for.
LEFT_OUT = (".parquet", ".pyc")

# Zips of the same files have the same bytes. A zip knows no earlier time.
TIME = (1980, 1, 1, 0, 0, 0)

NEXT = """\
wrote {path}, {n_bytes:,} bytes

next:
  spark-submit --py-files {path} value.py value.yaml

value.py is jobs/value.py of the repository, or these lines:
  import sys
  from dvspark.__main__ import main
  sys.exit(main(["value", *sys.argv[1:]]))
"""


def run(words: Sequence[str]) -> int:
    """Write the zip and say how it is used.

    Raises: OutputConflictError if something is there already, ConfigError if the file cannot be written.
    """
    operands, options = own_words(COMMANDS["pack"], words)
    path = Path(operands[0] if operands else PATH)
    if "--force" not in options and (path.exists() or path.is_symlink()):
        hint = "give another path, or --force to overwrite it"
        raise OutputConflictError(Problem(str(path), "a path where nothing is", "a file or folder", hint))
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(part, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, content in packed_files():
                archive.writestr(zipfile.ZipInfo(name, TIME), content, zipfile.ZIP_DEFLATED)
        part.replace(path)
    except (OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        got = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(Problem(str(path), "a path that can be written", got, "give another path")) from None
    tell(NEXT.format(path=visible(str(path)), n_bytes=path.stat().st_size))
    return 0


def packed_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name in the zip and the content of each file of the package, in order of their names."""
    yield from _below(files("dvspark"), "dvspark")


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _below(entry, f"{name}/{entry.name}")
        elif not entry.name.endswith(LEFT_OUT):
            yield f"{name}/{entry.name}", entry.read_bytes()
