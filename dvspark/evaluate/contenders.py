"""Contenders: methods with their options, as an evaluation sets them side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from dvspark.arguments import choice_problems
from dvspark.arrays.array_values import value_arrays
from dvspark.errors import ConfigError, DataWarning, Problem, close_matches
from dvspark.evaluate.labeled import LabeledRows
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Float64s

# Those of `value_arrays` that are no data and do not change what it returns.
FURTHER = ("k", "n_classes", "metric", "precision", "ties", "ranking", "tolerance")


@dataclass(frozen=True)
class Contender:
    """A method and its ``options``, those of `dvspark.value_arrays`; ``name`` is what tables call it."""

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def values(self, train: LabeledRows, validation: LabeledRows) -> Float64s:
        """Return the value of each training row, float64 (n_train,). Cost and errors: those of `value_arrays`."""
        arrays = (train.x, train.y) if METHODS[self.method].self_validates else _arrays(train, validation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # spoiled rows are meant to look odd
            return value_arrays(*arrays, method=self.method, **self.options)

    def timed_values(self, train: LabeledRows, validation: LabeledRows) -> tuple[Float64s, float]:
        """Return the values, and the seconds of the clock that they took."""
        begun = time.perf_counter()
        values = self.values(train, validation)
        return values, time.perf_counter() - begun

    def problems(self) -> list[Problem]:
        """Return what is wrong with the method or its options."""
        where = f"method {self.name!r}"
        if found := choice_problems(where, self.method, sorted(METHODS)):
            return found
        method = METHODS[self.method]
        known = {*FURTHER, *(parameter.name for parameter in method.parameters)}
        strange = [name for name in self.options if name not in known]
        problems = [
            Problem(where, "options of the method", name, close_matches(name, sorted(known))) for name in strange
        ]
        if strange:
            return problems
        if method.players != "rows" or method.target != "label":
            hint = "take a method that gives each row a value by its label"
            problems.append(Problem(where, "values of rows by labels", f"{method.players}, {method.target}s", hint))
        options = {name: value for name, value in self.options.items() if name not in ("k", "n_classes")}
        further = {name: options.pop(name) for name in FURTHER if name in options}
        asked = ValueOptions.of(
            self.method, self.options.get("k", 10), self.options.get("n_classes"), options, **further
        )
        found = asked.problems()
        if not found and asked.asks:
            hint = "an evaluation has embeddings and labels only"
            found = [Problem(where, f"no {' or '.join(asked.asks)}", self.method, hint)]
        return problems + [Problem(f"{where}, {one.where}", one.expected, one.got, one.hint) for one in found]


def contenders_of(words: Sequence[str], common: Mapping[str, Any] | None = None) -> list[Contender]:
    """Return the contenders that words name: METHOD, or METHOD:OPTION=VALUE:OPTION=VALUE, such as knn_shapley:k=5.

    ``common`` options hold for the methods that know them, where a word does not say otherwise.
    Raises: ConfigError with everything that is wrong.
    """
    found, problems = [], []
    for word in words:
        method, *given = word.split(":")
        pairs = [pair.partition("=") for pair in given]
        problems += [
            Problem(f"method {word!r}", "METHOD:OPTION=VALUE", pair[0], "such as knn_shapley:k=5")
            for pair in pairs
            if not pair[1] or not pair[2]
        ]
        names = [name for name, _, _ in pairs]
        again = sorted({name for name in names if names.count(name) > 1})
        problems += [Problem(f"method {word!r}", "each option once", name, "leave one of them out") for name in again]
        own = {name: _read(value) for name, _, value in pairs if value}
        contender = Contender(word, method, {**_known(method, common or {}), **own})
        problems += contender.problems()
        found.append(contender)
    twice = sorted({one.name for one in found if [other.name for other in found].count(one.name) > 1})
    problems += [Problem("methods", "each once", name, "leave one of them out") for name in twice]
    if problems or not found:
        raise ConfigError(problems or Problem("methods", "at least one method", "none", "such as knn_shapley"))
    return found


def _read(text: str) -> Any:
    """Return an option's value: a number as Python writes it (1e-5 too, which YAML takes for a word), else as YAML.

    What is no YAML is a text.
    """
    if "e" in text.lower():
        with suppress(ValueError):
            return float(text)
    with suppress(ValueError, yaml.YAMLError):
        return yaml.safe_load(text)
    return text


def _known(method: str, common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the common options that the method knows."""
    if method not in list(METHODS):
        return dict(common)
    declared = METHODS[method]
    known = {parameter.name for parameter in declared.parameters} | {"precision", "ranking", "tolerance"}
    known |= {"metric"} if declared.compares else set()
    return {name: value for name, value in common.items() if name in known}


def _arrays(train: LabeledRows, validation: LabeledRows) -> tuple[Any, Any, Any, Any]:
    return train.x, train.y, validation.x, validation.y
