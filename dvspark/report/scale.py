"""Scale: the one unit in which a report writes all values, so that they line up and none is written as 1.5e-03."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
ABSENT = "–"

# Values up to here are written as they are; smaller and larger ones as multiples of a power of ten.
SMALLEST, LARGEST = 1e-2, 1e6
# Digits of the largest value.
N_DIGITS = 5
# Powers beyond the range of a float64 would overflow; such values are shown as the zeros they are.
SMALLEST_EXPONENT = -300


@dataclass(frozen=True)
class Scale:
    """All values are shown as multiples of 10 to the ``exponent``, with as many ``decimals``."""

    exponent: int
    decimals: int

    @property
    def unit(self) -> str:
        """Return the power of ten for the head of a column, or nothing where values are shown as they are."""
        if not self.exponent:
            return ""
        return power_of_ten(self.exponent)

    def multiple(self, value: float) -> float:
        """Return a value as a multiple of the unit."""
        if self.exponent < SMALLEST_EXPONENT:
            return 0.0
        return value / 10.0**self.exponent if self.exponent else value

    def show(self, value: float | None) -> str:
        """Return a value as text. Only a value that is zero is written "0"."""
        if value is None or math.isnan(value):
            return ABSENT
        if math.isinf(value):
            return "∞" if value > 0 else f"{MINUS}∞"
        if value == 0:
            return "0"
        return f"{self.multiple(value):.{self.decimals}f}".replace("-", MINUS)


def power_of_ten(exponent: int) -> str:
    """Return "× 10⁻⁴" for -4."""
    return "× 10" + str(exponent).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))


def scale_of(lowest: float, highest: float) -> Scale:
    """Return the scale for values between two ends, either of which may be missing (NaN)."""
    largest = max((abs(end) for end in (lowest, highest) if math.isfinite(end)), default=0.0)
    digits = math.floor(math.log10(largest)) if largest else 0
    exponent = 0 if not largest or SMALLEST <= largest < LARGEST else digits
    return Scale(exponent, max(0, N_DIGITS - 1 - digits) if not exponent else N_DIGITS - 1)
