"""Exhausted: memory or disk that ran out while Spark worked, or a Java process that is gone, with advice."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from dvspark.errors import ComputeError, DvsparkError, Problem, told_by_task
from dvspark.spark.unready import lacking

# Messages of file systems; the third is about a limit on the size of a file.
DISK = re.compile(r"No space left on device|[Qq]uota ?[Ee]xceeded|File too large")
# Words of Python, Java and the C library; then what is seen of a process that the system, or the cluster, has killed.
MEMORY = re.compile(
    r"MemoryError|[Cc]annot allocate memory|failed to map segment"
    r"|Python worker exited unexpectedly|ExecutorLostFailure|exceeding .*memory limits"
)
# Where Spark's writer was, which the line with the cause does not say.
WRITING = re.compile(r"Task failed while writing rows to (\S+)\.(?:\s|$)")
DISK_HINT = (
    "free space, or lift the limit, where it was written: output, work_dir, spark.local.dir or the host's cache; "
    "started again, the run goes on after its last wave"
)
MEMORY_HINT = (
    "dvspark plan tells what a task takes: let fewer run at once (spark.executor.cores), or give Python more "
    "(spark.executor.memoryOverhead), Java more (spark.driver.memory, spark.executor.memory); leave "
    "spark.executor.pyspark.memory unset, which counts the mapped index; started again, the run goes on after its last "
    "wave"
)
JAVA_HINT = (
    "the system may have killed it for memory: see the host's log (dmesg); leave the host more, or ask for less "
    "(spark.driver.memory, fewer tasks at once); started again, the run goes on after its last wave"
)
LONGEST_LINE = 300
# Whose connections end with Java.
OF_JAVA = re.compile(r"[/\\](?:py4j|pyspark)[/\\]")


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of tasks, and errors about memory or disk that ran out, into errors of dvspark.

    Raises: the task's DvsparkError, or ComputeError; any other error as it is.
    """
    try:
        yield
    except DvsparkError:
        raise
    except Exception as error:
        if (told := told_by_task(error) or lacking(error) or ran_out(error)) is None:
            raise
        raise told from error


def ran_out(error: Exception) -> ComputeError | None:
    """Return the error that says what ran out, with Spark's line and advice; None for another error."""
    text = f"{type(error).__name__}: {error}"
    if line := _line(DISK, text):
        place = f" ({found[0].strip()})" if (found := WRITING.search(text)) else ""
        return ComputeError(Problem("disk", "storage that takes what is written", line + place, DISK_HINT))
    if line := _line(MEMORY, text):
        expected = "processes that have the memory they ask for"
        return ComputeError(Problem("memory", expected, line, MEMORY_HINT))
    return java_ended(text.splitlines()[0][:LONGEST_LINE]) if is_cut_off(error) else None


def java_ended(got: str) -> ComputeError:
    """Return the error for a run whose Java process is gone; ``got`` is the evidence."""
    return ComputeError(Problem("Java", "a Java that lives as long as the run", got, JAVA_HINT))


def is_cut_off(error: BaseException | None) -> bool:
    """Return whether this error, or what caused it, is that Spark's connection to Java broke.

    Errors of Java itself arrive whole.
    """
    if error is None:
        return False
    if type(error).__name__ == "Py4JNetworkError":
        return True
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ConnectionError | EOFError) and any(OF_JAVA.search(frame.filename) for frame in frames):
        return True
    return is_cut_off(error.__cause__)


def _line(pattern: re.Pattern[str], text: str) -> str:
    return next((line.strip()[:LONGEST_LINE] for line in text.splitlines() if pattern.search(line)), "")
