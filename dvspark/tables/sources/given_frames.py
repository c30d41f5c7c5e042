"""Given frames: checks of the DataFrames and column names that a caller passes, before Spark sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.arguments import choice_problems
from dvspark.errors import Problem, close_matches, written
from dvspark.methods.options import ValueOptions, group_problems
from dvspark.tables.sources.typed_bytes import DTYPES


def frame_problems(frames: dict[str, Any]) -> list[Problem]:
    """Return why arguments are not DataFrames of one session."""
    from pyspark.sql import DataFrame  # noqa: PLC0415 - an extra

    problems = []
    for name, frame in frames.items():
        if not isinstance(frame, DataFrame):
            kind = f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
            hint = "make one: spark.createDataFrame(...); or give arrays to dvspark.value_arrays"
            problems.append(Problem(name, "a Spark DataFrame", kind, hint))
        elif frame.isStreaming:
            problems.append(Problem(name, "a DataFrame with an end", "a stream", "use dvspark stream"))
    if not problems and len({type(frame) for frame in frames.values()}) > 1:
        got = "one of Spark Connect, one of a classic session"
        problems.append(Problem(", ".join(frames), "DataFrames of one session", got, "read both with one session"))
    return problems


def column_problems(columns: Any) -> list[Problem]:
    """Return what is wrong with the names of columns."""
    if columns is None:
        return []
    known = ("id", "embedding", "label", "owner", "weight", "loss", "epoch", "embedding_dtype")
    if not isinstance(columns, dict):
        expected = f"a dict with some of {', '.join(known)}"
        return [Problem("columns", expected, type(columns).__name__, "columns={'embedding': 'vector'}")]
    problems = [
        Problem(f"columns[{name!r}]", f"one of {', '.join(known)}", written(name), close_matches(str(name), known))
        for name in columns
        if name not in known
    ]
    problems += [
        Problem(f"columns[{name!r}]", "the name of a column", written(column), "a column's name is a string")
        for name, column in columns.items()
        if not isinstance(column, str)
    ]
    dtype = columns.get("embedding_dtype", "float32")
    return problems + choice_problems("embedding_dtype", dtype, tuple(DTYPES))


def told_apart_problems(told_apart: Mapping[str, Any], options: ValueOptions) -> list[Problem]:
    """Return what is wrong with the columns that are the weight and the task of validation rows."""
    given = {f"validation_{role}s": column for role, column in told_apart.items()}
    problems = [
        Problem(where, "the name of a column of validation_df", type(column).__name__, "a column's name is a string")
        for where, column in given.items()
        if column is not None and not isinstance(column, str)
    ]
    if options.self_validation:
        hint = "give validation_df: training rows count alike where they validate themselves"
        expected = "None with self_validation"
        problems += [Problem(where, expected, written(one), hint) for where, one in given.items() if one is not None]
    return problems or group_problems(options, given)
