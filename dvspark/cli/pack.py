"""`dvspark pack`: writes the package as a zip for `spark-submit --py-files`, without the demo's data."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from dvspark.cli.declared import COMMANDS
from dvspark.cli.packed_files import packed_files
from dvspark.cli.words import own_words
from dvspark.cli.writing import new_file, write_new
from dvspark.host.printing import tell
from dvspark.logs.redact import visible

PATH, ENVIRONMENT_PATH = "dvspark.zip", "environment.tar.gz"

# Zips of the same files have the same bytes. A zip knows no earlier time.
TIME = (1980, 1, 1, 0, 0, 0)

JOB = """
value.py is jobs/value.py of the repository, or these lines:
  import sys
  from dvspark.__main__ import main
  sys.exit(main(["value", *sys.argv[1:]]))
"""
NEXT = """\
wrote {path}, {n_bytes:,} bytes

next:
  spark-submit --py-files {path} value.py value.yaml
"""
NEXT_ENVIRONMENT = """\
wrote {path}, {n_bytes:,} bytes

next:
  spark-submit --archives {path}#environment --conf spark.pyspark.python=./environment/bin/python value.py value.yaml

In client mode add --conf spark.pyspark.driver.python={python}
All hosts must have Python {version} in {home}, which is not in the archive.
"""


def run(words: Sequence[str]) -> int:
    """Write the zip, or the environment, and say how it is used.

    Raises: OutputConflictError if something is there already, ConfigError if the file cannot be written.
    """
    operands, options = own_words(COMMANDS["pack"], words)
    if "--environment" in options:
        from dvspark.cli.packed_environment import write_environment  # noqa: PLC0415 - no zip needs what it imports

        path = Path(operands[0] if operands else ENVIRONMENT_PATH)
        with new_file(path, force="--force" in options) as file:
            home = write_environment(file)
            n_bytes = file.tell()
        version = ".".join(map(str, sys.version_info[:2]))
        told = {"python": sys.executable, "version": version, "home": home}
        shown = {name: visible(value) for name, value in told.items()}
        tell(NEXT_ENVIRONMENT.format(path=visible(str(path)), n_bytes=n_bytes, **shown) + JOB)
        return 0
    path = Path(operands[0] if operands else PATH)
    content = packed()
    write_new(path, content, force="--force" in options)
    tell(NEXT.format(path=visible(str(path)), n_bytes=len(content)) + JOB)
    return 0


def packed() -> bytes:
    """Return the zip, some 1 MB; of the same files the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, of_file in packed_files():
            archive.writestr(zipfile.ZipInfo(name, TIME), of_file, zipfile.ZIP_DEFLATED, compresslevel=9)
    return content.getvalue()
