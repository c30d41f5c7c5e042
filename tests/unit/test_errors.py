"""An error that a task raised is told with its problems and its exit code, though Spark passes on its text alone."""

from __future__ import annotations

import traceback

import pytest

from dvspark.errors import ComputeError, DvsparkError, InputError, Problem, told_by_task

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
