"""Arguments: what is wrong with a choice, a number or frames that were given; nothing is, where the list is empty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard

from dvspark.errors import Problem, close_matches, written


def choice_problems(where: str, value: object, valid: Sequence[str]) -> list[Problem]:
    """Return a problem, with the closest valid words, unless the value is one of them."""
    if value in valid:
        return []
    expected = f"one of {', '.join(map(repr, valid))}"
    return [Problem(where, expected, written(value), close_matches(written(value, str), list(valid)))]


def count_problems(where: str, value: object, hint: str) -> list[Problem]:
    """Return a problem unless the value is a whole number from 1."""
    return [] if is_count(value) else [Problem(where, "a whole number from 1", written(value), hint)]


def positive_problems(where: str, value: object, hint: str) -> list[Problem]:
    """Return a problem unless the value is positive and finite."""
    if is_finite(value) and value > 0:
        return []
    return [Problem(where, "a positive finite number", written(value), hint)]


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value is a real number, and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_finite(value: object) -> TypeGuard[float]:
    """Return whether the value is a number that float64 holds; a whole number of 400 digits is none."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def is_count(value: object) -> TypeGuard[int]:
    """Return whether the value is a whole number from 1, and no truth value."""
    return isinstance(value, Integral) and is_number(value) and value >= 1


def feature_names(x: Any) -> list[str]:
    """Return the names of a frame's columns, if there are several and all are words; else none."""
    for word in ("columns", "column_names"):  # Arrow has the columns themselves under the first
        names = getattr(x, word, None)
        listed = list(names) if isinstance(names, Iterable) else []
        if len(listed) > 1 and all(isinstance(name, str) for name in listed):
            return listed
    return []


def name_problems(of_train: str, x: Any, of_other: str, other: Any) -> list[Problem]:
    """Return why the features of one frame are not those of another, by what the two arguments are called."""
    names, others = feature_names(x), feature_names(other)
    if not names or not others or names == others:
        return []
    differ = [f"{one!r} for {another!r}" for one, another in zip(others, names, strict=False) if one != another]
    got = f"{differ[0]} first" if differ else f"{len(others)}"
    hint = "select the same columns in the same order; or give arrays, which have no names"
    return [Problem(of_other, f"the {len(names)} features of {of_train}, in its order", got, hint)]
