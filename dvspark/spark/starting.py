"""Starting: why Spark does not start, or Java does not live, with advice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvspark.errors import ComputeError, ConfigError, DvsparkError, Problem
from dvspark.spark.exhausted import LONGEST_LINE, java_ended
from dvspark.spark.processes import LOOK_SECONDS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OLDEST_PYSPARK = 4
JAVA_MEMORY = "spark.driver.memory"
# Where PySpark repeats what it called, and how Java's own error begins there.
CALLED = re.compile(r"An error occurred while calling|^\s*$")
JAVA_CLASS = re.compile(r"^[\w.$]+(?:Exception|Error): ")
NOT_STARTED_HINT = "see spark.master and spark.conf, and Spark's own lines, if there are any above"
NO_JAVA_HINT = (
    f"what Java said is above: see JAVA_HOME, {JAVA_MEMORY}, JAVA_TOOL_OPTIONS and _JAVA_OPTIONS; dvspark needs little "
    "memory of Java's: 2g is what it asks for"
)


def require_pyspark() -> None:
    """Raise ConfigError unless pyspark is installed, is new enough, and accepts its own dependencies."""
    hint = "pip install 'dvspark[spark]', or set engine: local; spark-submit brings its own pyspark, of Spark 4.x"
    try:
        import pyspark  # noqa: PLC0415 - an extra; its absence has an answer

        found = f"pyspark {pyspark.__version__} in {Path(str(pyspark.__file__)).parent}"
        too_old = int(pyspark.__version__.partition(".")[0]) < OLDEST_PYSPARK
        if not too_old:
            from pyspark.sql import SparkSession  # noqa: PLC0415, F401
            from pyspark.sql.pandas.utils import require_minimum_pyarrow_version  # noqa: PLC0415

            require_minimum_pyarrow_version()
    except Exception as error:  # one that is too old for this Python fails in any way
        raise ConfigError(Problem("pyspark", "pyspark 4.x", f"{type(error).__name__}: {error}", hint)) from error
    if too_old:
        raise ConfigError(Problem("pyspark", "pyspark 4.x", found, hint))


def started(start: Callable[[], SparkSession], conf: dict[str, str]) -> SparkSession:
    """Return the session that ``start`` makes. Raises: ConfigError with the reason why it did not start."""
    try:
        spark = start()
    except DvsparkError:
        raise
    except Exception as error:
        if "JAVA_GATEWAY_EXITED" in str(error):
            got = f"it ended at once: {_said_by_java(conf.get(JAVA_MEMORY))}"
            raise ConfigError(Problem("Java", "a Java that starts", got, NO_JAVA_HINT)) from error
        lines = (
            line.strip(": ") for line in str(error).partition("\n\tat ")[0].splitlines() if not CALLED.search(line)
        )
        said = " ".join(lines)
        said = JAVA_CLASS.sub("", said)[:LONGEST_LINE] or type(error).__name__
        raise ConfigError(Problem("spark", "a session that starts", said, NOT_STARTED_HINT)) from error
    with suppress(Exception):  # Connect has no context, another version may have no such server
        # It would write a trace when Java is gone, which we tell ourselves.
        server: Any = spark.sparkContext._accumulatorServer
        server.handle_error = lambda *_: None
    return spark


def _said_by_java(memory: str | None) -> str:
    """Return what Java says when it is started again with so much memory; its first message cannot be read."""
    command = [str(Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java"), *([f"-Xmx{memory}"] if memory else [])]
    try:
        said = subprocess.run([*command, "-version"], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "; ".join(said.stderr.splitlines()[:3]) if said.returncode else "for another reason than its memory"


def java_gone(processes: Iterable[int], seconds: float = 0.0) -> ComputeError | None:
    """Return how the session's Java, a child of this process, has ended; None if it has not ended in ``seconds``."""
    deadline = time.monotonic() + seconds
    while (gone := _ended(processes)) is None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return gone


def _ended(processes: Iterable[int]) -> ComputeError | None:
    for process in processes:
        try:
            status = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return java_ended("it is gone")
        if status is not None:
            killed = status.si_code != os.CLD_EXITED
            how = f"signal {signal.Signals(status.si_status).name}" if killed else f"exit code {status.si_status}"
            return java_ended(f"it ended by {how}")
    return None
