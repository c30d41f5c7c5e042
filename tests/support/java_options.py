"""How tests start Java: for a short life, from an archive of Spark's classes: `python tests/support/java_options.py`.

A test's Java lives for seconds, and half of that is loading classes (docs/decisions/0043). `make test-all` has the
archive written before; without one the tests take longer.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dvspark.cli.warm import run_small_job
from dvspark.spark.class_data import CLASS_DATA_VARIABLE, class_data_options, end_java, writing_archive
from dvspark.spark.java import find_java_home
from dvspark.spark.session import DEFAULTS

# The second compiler and a parallel collector cost more than they give in a short life.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Not the user's own archives, which are for another collector.
ARCHIVES = Path(__file__).parents[2] / "build" / "class-data"


def java_options(java_home: Path) -> str:
    """Return the options of every Java that tests start."""
    before = os.environ.get(CLASS_DATA_VARIABLE)
    os.environ[CLASS_DATA_VARIABLE] = str(ARCHIVES)
    try:
        return f"{SHORT_LIVED} {class_data_options(java_home)}".strip()
    finally:
        if before is None:
            del os.environ[CLASS_DATA_VARIABLE]
        else:
            os.environ[CLASS_DATA_VARIABLE] = before


def write_archive() -> None:
    """Write the archive, of what a small job loads."""
    os.environ |= {CLASS_DATA_VARIABLE: str(ARCHIVES), "JAVA_TOOL_OPTIONS": SHORT_LIVED}
    with writing_archive(find_java_home()) as options:
        try:
            with tempfile.TemporaryDirectory(prefix="dvspark-class-data-") as folder:
                run_small_job(Path(folder), {DEFAULTS: options})
        finally:
            end_java()


if __name__ == "__main__":
    write_archive()
