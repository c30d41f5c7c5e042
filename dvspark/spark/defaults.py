"""Defaults: the master that Spark itself would take where nobody names one."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

DEFAULTS = "spark-defaults.conf"
# A line of Java's properties: key and value, between them blanks, an equals sign or a colon.
LINE = re.compile(r"^[ \t]*spark\.(?:master|remote)(?:[ \t]*[=:][ \t]*|[ \t]+)(\S+)", re.MULTILINE)
# The same among the words of spark-submit.
WORDS = ("--master", "--remote")
CONF = re.compile(r"spark\.(?:master|remote)=(.+)")


def default_master() -> tuple[str, str] | None:
    """Return the master, or the address of a Connect server, that Spark's own settings name, and which of them does.

    First come PYSPARK_SUBMIT_ARGS, then spark-defaults.conf in SPARK_CONF_DIR or below SPARK_HOME or pyspark, then
    MASTER, as in Spark. None where nothing names one, or no pyspark is installed that could use it.
    """
    home = _pyspark()
    return None if home is None else next(_named(home), None)


def _named(home: Path) -> Iterator[tuple[str, str]]:
    words = shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", ""))
    for word, value in itertools.pairwise(words):
        found = CONF.fullmatch(value) if word in ("--conf", "-c") else None
        if word in WORDS or found is not None:
            yield (found[1] if found is not None else value), "PYSPARK_SUBMIT_ARGS"
    folder = os.environ.get("SPARK_CONF_DIR") or Path(os.environ.get("SPARK_HOME") or home) / "conf"
    path = Path(folder) / DEFAULTS
    try:
        names = LINE.findall(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        names = []
    if names:
        yield names[-1], str(path)  # of two lines Java keeps the last
    if os.environ.get("MASTER"):
        yield os.environ["MASTER"], "MASTER"


def _pyspark() -> Path | None:
    """Return where pyspark is, which is not loaded for the question."""
    try:
        found = find_spec("pyspark")
    except ImportError:
        return None
    return None if found is None or found.origin is None else Path(found.origin).parent
