"""Numbers and foreign text made fit to be shown: short, aligned, and without invisible characters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dvspark.logs.redact import visible
from dvspark.report.scale import ABSENT, MINUS, power_of_ten

SHOWN_CHARACTERS = 80
TITLE_CHARACTERS = 400

EMPTY = '""'

_JOINERS = "\u200d\ufe0f"


@dataclass(frozen=True)
class Clipped:
    """A text as shown, and in full for its tooltip; ``title`` is empty if nothing was cut."""

    shown: str
    title: str


def clip(value: Any, limit: int = SHOWN_CHARACTERS) -> Clipped:
    """Return foreign text on one line of at most ``limit`` characters; lists are joined by commas.

    Control and reordering characters are written as escapes, and a text without letters as "", which is a label like
    any other. Cost O(1) in the length of the text.
    """
    if value is None or (isinstance(value, list | tuple) and not value):
        return Clipped(ABSENT, "")
    longest = max(limit, TITLE_CHARACTERS) + 1
    text = visible(_joined(value, longest))[:longest] or EMPTY
    if len(text) <= limit:
        return Clipped(text, "")
    return Clipped(_cut(text, limit), _cut(text, TITLE_CHARACTERS) if len(text) > TITLE_CHARACTERS else text)


def significant(number: float | None, digits: int = 6) -> str:
    """Return a lone number to so many significant digits."""
    return _formatted(number, f"{{:.{digits}g}}")


def distance(number: float | None) -> str:
    """Return a distance to four significant digits, trailing zeros kept so that neighbors compare."""
    return _formatted(number, "{:#.4g}")


def count(number: int | None) -> str:
    """Return a whole number with its thousands set apart."""
    return ABSENT if number is None else f"{number:,}"


def share(part: float | None) -> str:
    """Return a share in [0, 1] as a percentage that is 0 or 100 only when it really is."""
    if part is None or math.isnan(part):
        return ABSENT
    if 0 < part < 0.001:
        return "<0.1%"
    if 0.999 < part < 1:
        return ">99.9%"
    return f"{100 * part:.1f}%"


def seconds(number: float | None) -> str:
    """Return a duration in the unit a person would use."""
    if number is None or not math.isfinite(number):
        return ABSENT
    if number < 59.95:
        return f"{number:.1f} s" if number >= 0.1 or number == 0 else f"{1000 * number:.0f} ms"
    minutes, rest = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _formatted(number: float | None, pattern: str) -> str:
    if number is None or math.isnan(number):
        return ABSENT
    if math.isinf(number):
        return "∞" if number > 0 else f"{MINUS}∞"
    digits, _, exponent = pattern.format(number + 0.0).partition("e")
    return digits.replace("-", MINUS) + (f" {power_of_ten(int(exponent))}" if exponent else "")


def _joined(value: Any, longest: int) -> str:
    if isinstance(value, str):
        return value[:longest]
    if not isinstance(value, Iterable):
        return str(value)[:longest]
    # A list of a million labels is cut before it is joined: each item takes at least its comma.
    return ", ".join(str(item)[:longest] for item in itertools.islice(value, longest))[:longest]


def _cut(text: str, limit: int) -> str:
    # An emoji cut at its joiner would leave the joiner to glue the ellipsis.
    return text[: limit - 1].rstrip(_JOINERS) + "…"
