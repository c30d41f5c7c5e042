"""Unready: workers that lack something a run needs, recognized by the text that Spark passes on."""

from __future__ import annotations

import re

from dvspark.errors import ConfigError, Problem
from dvspark.version import __version__

# A package that a worker lacks, or has in another version; then an interpreter that is another one, or none at all.
PACKAGE = re.compile(
    r"ModuleNotFoundError: No module named|ImportError: |(?:PACKAGE_NOT_INSTALLED|UNSUPPORTED_PACKAGE_VERSION)"
    r"|Can't get attribute .* on <module 'dvspark"
)
INTERPRETER = re.compile(r'PYTHON_VERSION_MISMATCH|Cannot run program "')
PACKAGE_HINT = (
    f"install dvspark {__version__}, NumPy, SciPy and PyArrow for the Python of every worker; dvspark may travel with "
    "the job: spark-submit --py-files dvspark.zip (see deploy/README.md)"
)
INTERPRETER_HINT = (
    "set PYSPARK_PYTHON, or spark.pyspark.python, to one Python that is on every host, the driver's version"
)


def lacking(error: Exception) -> ConfigError | None:
    """Return what a worker or the driver lacks, with Spark's line and advice; None for another error."""
    lines = f"{type(error).__name__}: {error}".splitlines()
    for pattern, expected, hint in (
        (PACKAGE, "packages that a run needs, on every worker", PACKAGE_HINT),
        (INTERPRETER, "one Python on all hosts", INTERPRETER_HINT),
    ):
        if line := next((line.strip()[:300] for line in lines if pattern.search(line)), ""):
            return ConfigError(Problem("workers", expected, line, hint))
    return None
