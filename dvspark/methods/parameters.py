"""Parameters of methods: their names, meanings, defaults, and the values they accept."""

from __future__ import annotations

import math
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from dvspark.arguments import is_finite
from dvspark.errors import Problem, close_matches, written


@dataclass(frozen=True)
class Parameter(ABC):
    """One parameter. ``default`` is used if it is left out; None means that the inputs or the method decide.

    ``words``: those that it accepts, if any.
    """

    name: str
    meaning: str
    default: Any = None
    words: tuple[str, ...] = ()

    # What stands for a value that is none of the words, in the command line's help.
    placeholder: ClassVar[str] = ""

    @property
    def form(self) -> str:
        """How a value is written, in short."""
        return "|".join(filter(None, [self.placeholder, *self.words]))

    @property
    @abstractmethod
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""

    def read(self, value: Any) -> Any:
        """Return an accepted value as plain data."""
        return value

    def hint(self, value: Any) -> str:  # noqa: ARG002 - words may be near ones
        """Return what to do about a value that is not accepted."""
        return f"give {self.name} as {self.expected}"

    def problem(self, value: Any) -> Problem:
        """Return why a value is not accepted."""
        expected = f"{self.expected} ({self.meaning})"
        return Problem(f"parameter {self.name!r}", expected, written(value, reprlib.repr), self.hint(value))


# The largest whole number that is a parameter: arrays of int64 and float64 hold it, and all smaller ones.
MOST_WHOLE = 2**53


@dataclass(frozen=True)
class Whole(Parameter):
    """A whole number from ``least`` to `MOST_WHOLE`."""

    placeholder = "N"
    least: int = 1

    @property
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""
        return f"a whole number of at least {self.least}"

    def hint(self, value: Any) -> str:
        """Return what to do about a value that is not accepted."""
        is_large = type(value) is not bool and isinstance(value, Integral) and int(value) > MOST_WHOLE
        return f"give {self.name} as a number up to 2^53" if is_large else super().hint(value)

    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""
        return type(value) is not bool and isinstance(value, Integral) and self.least <= int(value) <= MOST_WHOLE

    def read(self, value: Any) -> int:
        """Return an accepted value as plain data."""
        return int(value)


@dataclass(frozen=True)
class Number(Parameter):
    """A finite number above ``above`` and at most ``most``, or one of some ``words``."""

    placeholder = "NUMBER"
    above: float = -math.inf
    most: float = math.inf

    @property
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""
        above = f" above {self.above:g}" if self.above > -math.inf else ""
        most = f" up to {self.most:g}" if self.most < math.inf else ""
        return " or ".join([f"a number{above}{most}", *map(repr, self.words)])

    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""
        if isinstance(value, str):
            return value in self.words
        return is_finite(value) and self.above < float(value) <= self.most

    def read(self, value: Any) -> float | str:
        """Return an accepted value as plain data."""
        return value if isinstance(value, str) else float(value)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of several words."""

    @property
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""
        return f"one of {', '.join(map(repr, self.words))}"

    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""
        return isinstance(value, str) and value in self.words

    def hint(self, value: Any) -> str:
        """Return what to do about a value that is not accepted."""
        return close_matches(written(value, str), self.words)


@dataclass(frozen=True)
class Words(Parameter):
    """Any text that is not empty."""

    placeholder = "TEXT"

    @property
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""
        return "a text"

    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""
        return isinstance(value, str) and bool(value.strip())


@dataclass(frozen=True)
class Flag(Parameter):
    """True or false."""

    words: tuple[str, ...] = ("true", "false")

    @property
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""
        return "true or false"

    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""
        return isinstance(value, bool)


K = Whole("k", "neighbors that vote", 10)
UTILITY = Choice("utility", "jia2019: matches / k; wang2023: matches / neighbors", "jia2019", ("jia2019", "wang2023"))
# Beyond these, float64 would round what the chances of small and of large sets rest on.
MOST_BETA = 1e4
ALPHA = Number("alpha", "the larger, the more small sets of rows count", 16.0, above=1e-10, most=MOST_BETA)
BETA = Number("beta", "the larger, the more large sets of rows count", 1.0, above=1e-10, most=MOST_BETA)
N_CLASSES = Whole("n_classes", "size of the label space; counted in both tables if left out")


def parameter_problems(method: str, known: tuple[Parameter, ...], given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters given to a method; None stands for left out."""
    names, problems = {parameter.name: parameter for parameter in known}, []
    for name, value in given.items():
        if value is None:
            continue
        if name not in names:
            expected = f"a parameter of {method}"
            hint = close_matches(name, [*names]) if names else "leave it out: the method has none"
            problems.append(Problem(f"parameter {name!r}", expected, written(value, reprlib.repr), hint))
        elif not names[name].accepts(value):
            problems.append(names[name].problem(value))
    return problems


def resolved_parameters(known: tuple[Parameter, ...], given: Mapping[str, Any], n_classes: int) -> dict[str, Any]:
    """Return all parameters: the given value, else the default, else what follows from the inputs, else None."""
    found = {}
    for parameter in known:
        value = given.get(parameter.name)
        value = parameter.default if value is None else parameter.read(value)
        found[parameter.name] = n_classes if value is None and parameter is N_CLASSES else value
    return found
