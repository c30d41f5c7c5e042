"""Not local: the refusal of what a job with Spark can do, and one without cannot."""

from __future__ import annotations

from dvspark.errors import ConfigError, Problem

# Of a job without Spark.
LOCAL = ", under engine: local"
SPARK_HINT = "set engine: spark, or leave it out (pip install 'dvspark[spark]', and Java or its extra `java`)"


class NotLocalError(ConfigError):
    """Raised for what a job with Spark can do, and one without cannot."""


def not_local_problem(where: str, expected: str, got: str) -> Problem:
    """Return what is wrong with something, where a job has no Spark."""
    return Problem(where, expected + LOCAL, got, SPARK_HINT)


def not_local(where: str, expected: str, got: str) -> NotLocalError:
    """Return the refusal of what a job without Spark cannot do."""
    return NotLocalError(not_local_problem(where, expected, got))
