"""Errors: one that a task raised is told with all its problems, of which Spark passes on the text; values as text."""

from __future__ import annotations

import traceback
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from dvspark.errors import ComputeError, DvsparkError, InputError, Problem, told_by_task, written

PROBLEMS = (Problem("here", "this", "that", "do so"), Problem("there: 2 problems", "a", "b"))


def _of_spark(raised: BaseException) -> Exception:
    """Return what the driver sees of an error in a task: the text of its trace, in a text of Spark's."""
    text = "".join(traceback.format_exception(raised))
    return RuntimeError(f"Job aborted: Lost task 0.0 in stage 3.0\n{text}\n\tat org.apache.spark.api.python.Runner\n")


@pytest.mark.parametrize("kind", [ComputeError, InputError])
def test_told_by_task__is_the_error_with_all_its_problems(kind: type[DvsparkError]) -> None:
    told = told_by_task(_of_spark(kind(PROBLEMS)))
    assert type(told) is kind
    assert told.problems == PROBLEMS


def test_told_by_task__an_error_nobody_expected_stays_one() -> None:
    assert told_by_task(_of_spark(ValueError("expected: a\n    got: b"))) is None
    assert told_by_task(_of_spark(DvsparkError(PROBLEMS))) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal(-5), "-5"),
        (np.float64(0.5), "0.5"),
        (np.int8(3), "3"),
        (Fraction(1, 3), "1/3"),
        (-5, "-5"),
        ("-5", "'-5'"),
        (np.str_("a"), "'a'"),
        (True, "True"),
        (None, "None"),
    ],
)
def test_written__is_what_a_person_wrote(value: object, text: str) -> None:
    assert written(value) == text


def test_written__python_does_not_write_the_longest_numbers() -> None:
    assert written(10**5000) == "a number of thousands of digits"
