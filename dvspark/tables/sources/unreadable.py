"""Unreadable: Spark's errors about tables and files that it cannot read, told as problems of dvspark."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from dvspark.errors import ComputeError, ConfigError, DvsparkError, InputError, Problem

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference

P = ParamSpec("P")
R = TypeVar("R")

# Names by which Spark reports that it could not read a file of a table. The text of a Java exception includes its
# causes, one of which may be the one that reports it.
_FAILED_READ = re.compile(r"\[FAILED_READ_FILE\.(\w+)\] (.*)")


# Names of Spark's errors for a format without connector, and for a table name that none of its catalogs can have.
MISSING = ("DATA_SOURCE_NOT_FOUND", "CATALOG_NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")

# Spark's messages may hold a whole plan.
LONGEST_LINE = 500


@contextmanager
def readable() -> Iterator[None]:
    """Turn Spark's errors about unreadable files into InputErrors while the block runs.

    Spark looks into most files only while it works.
    Raises: InputError with the file's name; any other error as it is.
    """
    try:
        yield
    except spark_errors() as error:
        said = _FAILED_READ.search(str(error))
        if said is None:
            raise
        if said[1] != "PARQUET_COLUMN_DATA_TYPE_MISMATCH":
            raise unreadable_file(said[2]) from error
        expected, hint = "files with columns of one type each", "write this file again as the others are"
        raise InputError(Problem("a table's files", expected, said[2], hint)) from error


def own_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that raises errors of dvspark alone.

    Raises: ConfigError for arguments that the function does not take, InputError for others' errors about the tables,
    ComputeError for the rest of them.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        name = function.__name__
        try:
            signature(function).bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(Problem(name, "the arguments that it takes", str(error), f"see help({name})")) from error
        try:
            return function(*args, **kwargs)
        except DvsparkError:
            raise
        except Exception as error:
            raise _own_error(name, error) from error

    return run


def _own_error(where: str, error: Exception) -> DvsparkError:
    """Return the error of dvspark for an error of others."""
    said = next((line for line in str(error).splitlines() if line.strip()), "without a word")
    got = f"{type(error).__name__}: {said[:LONGEST_LINE]}"
    if _is_of_analysis(error):
        hint = "check the DataFrames: names, types, and whether what they were made of is still there"
        return InputError(Problem(where, "DataFrames that Spark understands", got, hint))
    hint = "check that the session is not stopped and its cluster answers; then start again"
    return ComputeError(Problem(where, "a computation that ends", got, hint))


def _is_of_analysis(error: Exception) -> bool:
    return any(kind.__name__ == "AnalysisException" for kind in type(error).__mro__)


def unreadable_file(said: str) -> InputError:
    """Return the error for a file that a reader reported as unreadable."""
    hint = "write this file again, or take it away"
    if "CSV conversion error" in said:
        hint = "write a number in this cell, or leave it empty: a row with an empty cell can be set aside"
    elif "Expected all lists to be of size" in said:  # which pyarrow before 26 says of each null in such a column
        hint = "install pyarrow 26 or later, which reads nulls among lists of a fixed size, or write it as plain lists"
    return InputError(Problem("a table's files", "files that can be read", said, hint))


def spark_errors() -> tuple[type[Exception], ...]:
    """Return the exception classes of Spark: its own, and Java errors without a translation; none without Spark."""
    if "pyspark" not in sys.modules:
        return ()
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - an extra
    from pyspark.errors import PySparkException  # noqa: PLC0415

    return PySparkException, Py4JJavaError


def is_missing(error: Exception) -> bool:
    """Return whether an error of Spark says that a connector or catalog is missing."""
    return any(condition in str(error) for condition in MISSING)


def unreadable(side: str, reference: TableReference, error: Any) -> Problem:
    """Return the problem that kept Spark from reading a table, with what to do about known causes."""
    condition, said = condition_of(error)
    if "FLOAT16" in said:
        return half_problem(f"{side} table {reference}", said)
    if condition in ("PATH_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND"):
        expected, hint = "a table that exists", "check the spelling; a path is seen from the cluster"
    elif condition == "UNABLE_TO_INFER_SCHEMA":
        expected, hint = "files with rows", "check the path; of a stream without files yet, set stream.schema_ddl"
    elif (out_of_reach := _storage_hint(said)) is not None:
        expected, hint = "storage that this Spark reaches", out_of_reach
    else:
        expected, hint = f"a readable {reference.format} table", f"set {side}.format to what it is, or repair the file"
    return Problem(f"{side} table {reference}", expected, said, hint)


def half_problem(where: str, got: str) -> Problem:
    """Return the problem of a Parquet column of float16, which Arrow reads and Spark does not."""
    hint = "Spark cannot read float16: rewrite the column as float32, as `dvspark import table` does"
    return Problem(where, "float32 or float64 embeddings", got, hint)


def _storage_hint(said: str) -> str | None:
    """Return what to do so that Spark reaches a table's storage, None if its error is about something else."""
    if "No FileSystem for scheme" in said or ("FileSystem" in said and "not found" in said):
        packages = "of s3a: by spark-submit --packages org.apache.hadoop:hadoop-aws:VERSION, the version of its Hadoop"
        spelled = "write s3a: in place of s3:, and " if '"s3"' in said else ""
        return f"{spelled}start Spark with the connector of this storage, {packages}"
    if "Incomplete HDFS URI" in said:
        return "name the host, hdfs://HOST/PATH, or set HADOOP_CONF_DIR to the cluster's settings"
    if re.search(r"[Cc]redential|AccessDenied|Forbidden|Status Code: 403", said):
        return "give Spark access to this storage, by spark.hadoop.* or by the environment"
    return None


def condition_of(error: Any) -> tuple[str | None, str]:
    """Return the name of a Spark exception's condition, if it has one, and what its message says, in a line."""
    if (java := getattr(error, "java_exception", None)) is not None:
        return None, str(java.getMessage()).split("\n", 1)[0]
    return error.getCondition(), _said(str(error).splitlines() or [""])


def _said(lines: list[str]) -> str:
    """Return the first line of a message; of one with Python's traceback what stands at the traceback's end."""
    if not lines[0].endswith("(most recent call last):"):
        return lines[0]
    begin = next((n for n, line in enumerate(lines[1:], 1) if line and not line.startswith(" ")), 0)
    told = takewhile(lambda line: line.strip() and not line.startswith(("\t", "JVM")), lines[begin:])
    return " ".join(line.strip() for line in told)[:LONGEST_LINE]
