"""How tests start Java: for a short life, from an archive of Spark's classes: `python tests/support/java_options.py`.

A test's Java lives for seconds, and half of that is loading classes (docs/decisions/0043). `make test-all` has the
archive written before; without one the tests take longer.
"""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from dvspark.cli.warm import write_archive
from dvspark.spark.class_data import CLASS_DATA_VARIABLE, class_data_options
from dvspark.spark.java import find_java_home

# The second compiler and a parallel collector cost more than they give in a short life.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Not the user's own archives, which are for another collector.
ARCHIVES = {CLASS_DATA_VARIABLE: str(Path(__file__).parents[2] / "build" / "class-data")}


def java_options(java_home: Path) -> str:
    """Return the options of every Java that tests start."""
    with mock.patch.dict(os.environ, ARCHIVES):
        return f"{SHORT_LIVED} {class_data_options(java_home)}".strip()


if __name__ == "__main__":
    os.environ |= {**ARCHIVES, "JAVA_TOOL_OPTIONS": SHORT_LIVED}
    write_archive(find_java_home())
