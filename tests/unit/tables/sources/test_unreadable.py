"""Errors of others become errors of ours, with their first line; ours stay what they are."""

from __future__ import annotations

from typing import Any

import pytest

from dvspark.errors import ComputeError, ConfigError, DvsparkError, InputError, Problem
from dvspark.tables.sources.unreadable import own_errors


class AnalysisException(Exception):  # noqa: N818 - Spark's name
    """What Spark raises for columns that it cannot resolve; Connect's has the name, too."""


class ConnectAnalysisException(AnalysisException):
    """That of a client."""


@own_errors
def value_table(raised: BaseException) -> None:
    """Raise an error, as a function may that Spark does not serve."""
    raise raised


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (AnalysisException("\n[AMBIGUOUS] label\nplan"), InputError),
        (ConnectAnalysisException("[AMBIGUOUS] label"), InputError),
        (AttributeError("'NoneType' object has no attribute 'sc'"), ComputeError),
        (ConnectionRefusedError(111, "Connection refused"), ComputeError),
        (RuntimeError("x" * 10_000), ComputeError),
        (ValueError(), ComputeError),
    ],
)
def test_own_errors__tell_of_others(raised: Exception, kind: type[DvsparkError]) -> None:
    with pytest.raises(kind) as told:
        value_table(raised)
    assert told.value.__cause__ is raised
    (problem,) = told.value.problems
    assert type(raised).__name__ in problem.got
    assert len(problem.got) < 700
    assert "\n" not in problem.got


@pytest.mark.parametrize("raised", [ConfigError(Problem("a", "b", "c")), KeyboardInterrupt()])
def test_own_errors__leave_ours_and_interrupts(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as told:
        value_table(raised)
    assert told.value is raised


@pytest.mark.parametrize(("args", "options"), [((), {}), ((1, 2), {}), ((1,), {"colums": {}})])
def test_own_errors__tell_of_arguments_that_a_function_does_not_take(args: Any, options: Any) -> None:
    """They were told as a computation that did not end, with a word on the session."""
    with pytest.raises(ConfigError, match=r"1\. value_table\n +expected: the arguments that it takes"):
        value_table(*args, **options)
