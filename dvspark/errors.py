"""One tree of errors: every error says what was expected, what was found and what to do, and has an exit code."""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

from dvspark.logs.redact import redacted, visible

# An id or a label may have a megabyte, which no message should repeat.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what was expected, what was found, what to do about it."""

    where: str
    expected: str
    got: str
    hint: str = ""

    def __str__(self) -> str:
        where, expected, got, hint = (visible(redacted(text)) for text in dataclasses.astuple(self))
        last = f"\n    what to do: {hint}" if hint else ""
        return f"{where}\n    expected: {expected}\n    got: {got}{last}"


class DvsparkError(Exception):
    """Base of all errors that are raised on purpose; it has all problems found, not only the first."""

    exit_code = 1
    title = "dvspark stopped"

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(str(self))

    def __reduce__(self) -> tuple[type[DvsparkError], tuple[tuple[Problem, ...]]]:
        # Spark pickles worker exceptions; the default would call __init__ with the message.
        return type(self), (self.problems,)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.title}: {count} problem{'s' if count != 1 else ''}"
        return "\n".join([head, *(f"  {n}. {problem}" for n, problem in enumerate(self.problems, 1))])


class ConfigError(DvsparkError):
    """Raised if the configuration, an argument or a parameter is unusable."""

    exit_code = 2
    title = "Unusable configuration"


class InputError(DvsparkError):
    """Raised if the train or validation data cannot be valued as it is."""

    exit_code = 3
    title = "Unusable input data"


class OutputConflictError(DvsparkError):
    """Raised if publishing would overwrite another run's output, or mix with it."""

    exit_code = 4
    title = "Output conflict"


class ComputeError(DvsparkError):
    """Raised if a computation was lost, repeated or damaged on its way."""

    exit_code = 5
    title = "Computation failed"


class AuditError(DvsparkError):
    """Raised if the finished values fail their audit; nothing is published."""

    exit_code = 6
    title = "Audit failed"


class DataWarning(UserWarning):
    """Warns of data that can be valued, but says less than it seems to. A job writes the same into its record."""


def taken_run_id(where: str, own: str, got: str, hint: str) -> OutputConflictError:
    """Return the error for a run id under which something else is stored; ``own`` is the fingerprint of this run."""
    expected = f"fingerprint {own[:12]}: these inputs, options and version"
    return OutputConflictError(Problem(where, expected, got, hint))


def _plain(value: object) -> str:
    """Return a value as its user wrote it: -5, and not Decimal('-5') or np.float64(-5.0)."""
    if isinstance(value, str):
        return str.__repr__(value)
    return str(value) if isinstance(value, Number) else repr(value)


def written(value: object, write: Callable[[Any], str] = _plain) -> str:
    """Return a value as text, for a message. Python writes no whole number of more than 4,300 digits."""
    try:
        return write(value)
    except ValueError:
        return "a number of thousands of digits"


def shown(values: Iterable[object]) -> str:
    """Return ids or labels as text for a message: quoted, on one line, with the middle of long ones left out."""
    return ", ".join(map(_SHORT.repr, values))


# What Python writes of an error that a task raised: its class, then its problems as `DvsparkError` shows them.
OF_TASK = re.compile(r"dvspark\.errors\.(\w+): .*: \d+ problems?\n((?: +.*\n?)+)")
OF_PROBLEM = re.compile(r"^  \d+\. (.*)\n    expected: (.*)\n    got: (.*)(?:\n    what to do: (.*))?", re.MULTILINE)


def told_by_task(error: Exception) -> DvsparkError | None:
    """Return the error that a task raised on purpose, from the text that Spark passes on; None for any other error."""
    found = OF_TASK.search(str(error))
    kinds = {kind.__name__: kind for kind in DvsparkError.__subclasses__()}
    if found is None or found[1] not in kinds:
        return None
    return kinds[found[1]](Problem(*fields) for fields in OF_PROBLEM.findall(found[2]))


def close_matches(name: str, known: Sequence[str], *, all_known: bool = True) -> str:
    """Return a hint that names the known words closest to ``name``, or else all of them, or none."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(word) for word in close)}?"
    return "" if not all_known else f"known: {', '.join(repr(word) for word in known)}"
