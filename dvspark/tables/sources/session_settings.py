"""Session settings under which every session gives the same rows, set as long as a run uses the session."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from dvspark.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

P = ParamSpec("P")
R = TypeVar("R")

# Values that are wrong here, and what is set instead.
RULES: dict[str, tuple[Callable[[str], bool], str]] = {
    # Rows of damaged or missing files would silently be missing.
    "spark.sql.files.ignoreCorruptFiles": (lambda value: value.lower() == "true", "false"),
    "spark.sql.files.ignoreMissingFiles": (lambda value: value.lower() == "true", "false"),
    # A partition's name that does not fit its column's type would become null.
    "spark.sql.sources.validatePartitionColumns": (lambda value: value.lower() == "false", "true"),
    # Batches would arrive in other types than those in which they must leave.
    "spark.sql.execution.arrow.useLargeVarTypes": (lambda value: value.lower() == "true", "false"),
    # Without limit; createDataFrame takes no such batch.
    "spark.sql.execution.arrow.maxRecordsPerBatch": (lambda value: int(value) <= 0, "10000"),
    # Quoted names of columns would be patterns.
    "spark.sql.parser.quotedRegexColumnNames": (lambda value: value.lower() == "true", "false"),
    # These would reserve names that dvspark's own columns have.
    "spark.sql.ansi.enforceReservedKeywords": (lambda value: value.lower() == "true", "false"),
}

_LOCK = threading.Lock()
# By session: how many runs use it, and what it had before the first of them.
_IN_USE: dict[int, tuple[int, dict[str, str]]] = {}


@contextmanager
def own_settings(spark: SparkSession) -> Iterator[None]:
    """Give a session the settings that a run needs, and restore the former ones after the last run that uses it.

    Raises: ConfigError if the session does not let them be set, or is stopped.
    """
    if problems := session_problems("the Spark session", spark):
        raise ConfigError(problems)
    key = id(spark)
    with _LOCK:
        n_users, before = _IN_USE.get(key, (0, {}))
        if n_users == 0:
            before = _set(spark)
        _IN_USE[key] = n_users + 1, before
    try:
        yield
    finally:
        with _LOCK:
            n_users = _IN_USE[key][0] - 1
            _IN_USE[key] = n_users, before
            if n_users == 0:
                del _IN_USE[key]
                _give_back(spark, before)


def in_own_settings(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs under `own_settings` of the session that an argument is, or belongs to."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for given in (*args, *kwargs.values()):
            spark: Any = getattr(given, "sparkSession", given)
            if _is_session(spark):
                with own_settings(spark):
                    return function(*args, **kwargs)
        return function(*args, **kwargs)

    return run


def session_problems(where: str, given: Any) -> list[Problem]:
    """Return why an argument is no Spark session that runs."""
    if not _is_session(given):
        hint = "make one: SparkSession.builder.getOrCreate()"
        return [Problem(where, "a Spark session", type(given).__name__, hint)]
    # A classic session does not say so; the context that it shares with others loses its Java object.
    stopped = given.is_stopped if hasattr(given, "is_stopped") else given.sparkContext._jsc is None
    hint = "start a session, and make its DataFrames anew"
    return [Problem(where, "a Spark session that runs", "one that was stopped", hint)] if stopped else []


def _is_session(given: Any) -> bool:
    """Return whether an argument is a session, a classic one or one of Spark Connect."""
    return hasattr(given, "conf") and hasattr(given, "createDataFrame")


def _set(spark: SparkSession) -> dict[str, str]:
    """Set the settings that are wrong, and return their former values."""
    before: dict[str, str] = {}
    for key, (is_wrong, needed) in RULES.items():
        given = spark.conf.get(key, None)
        if given is None or not is_wrong(given):
            continue
        try:
            spark.conf.set(key, needed)
        except Exception as error:  # a service that keeps some settings to itself
            _give_back(spark, before)
            hint = f"set {key} to {needed} where the session is started"
            raise ConfigError(Problem(f"spark setting {key}", needed, given, hint)) from error
        before[key] = given
    return before


def _give_back(spark: SparkSession, before: dict[str, str]) -> None:
    for key, given in before.items():
        spark.conf.set(key, given)
