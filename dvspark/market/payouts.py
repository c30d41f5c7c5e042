"""Payouts: a budget split in proportion to values, in whole units such as cents that add up to it exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np
import numpy.typing as npt

from dvspark.arguments import is_number
from dvspark.arrays.array_guises import ERRORS, numbers_of
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.schemas import Float64s

# A float64 tells all decimal numbers of 15 digits apart, and not all of 16.
MOST_UNITS = 10**15
MOST_DECIMALS = 12
# The largest power of ten that can be paid, in whole amounts.
LARGEST_POWER = 15
FIRST = 5


def payout(values: npt.ArrayLike, budget: Any, floor: bool = True, decimals: Any = 2) -> Float64s:
    """Return what each value earns of the budget, float64 (n,), in the order given; the payouts add up to it exactly.

    ``values`` (n,): finite numbers, such as those of owners. ``budget``: an amount of money from 0, an integer, a
    float, which stands for the decimal number that it prints, or a `decimal.Decimal`. It is paid in units of
    10**-``decimals``: cents with 2, whole amounts with 0.
    - ``floor=True``: a negative value earns 0, and the others share the budget in proportion to their values.
    - ``floor=False``: shares are in proportion to all values, whose sum must be positive. A negative value owes money.

    Each payout is the float64 nearest to a whole number of units and less than one unit from its exact share. Shares
    are rounded down to units; the units that are left go to the largest remainders, of equal ones to the earlier. So
    a higher value never earns less, and equal values differ by one unit at most. A sum of float64 amounts rounds; a
    sum of units, as whole numbers or as `decimal.Decimal(str(payout))`, does not.
    Cost: O(n log n) time, about 200 n bytes; shares are computed in whole numbers, without rounding.
    Raises: ConfigError for an unusable budget, floor or decimals, InputError for values that share nothing; each names
    all problems.
    Source: Hamilton's method of apportionment (largest remainders), Balinski & Young, Fair Representation, 1982.
    """
    units, problems = _units(budget, decimals)
    if problems := problems + _floor_problems(floor):
        raise ConfigError(problems)
    weights = _weights(_numbers(values), floor=bool(floor), free=units == 0)
    paid = largest_remainders(weights, units) if units else [0] * len(weights)
    if max(map(abs, paid)) > MOST_UNITS:
        got, hint = (
            "values that nearly cancel out",
            "pay in larger units, or floor=True, which pays positive values alone",
        )
        expected = f"payouts of at most 10^15 units of 10^-{decimals}, with floor=False"
        raise InputError(Problem("values", expected, got, hint))
    return np.array([amount / 10 ** int(decimals) for amount in paid], np.float64)


def largest_remainders(weights: Sequence[int], units: int) -> list[int]:
    """Return ``units`` split in proportion to whole ``weights``, whose sum is positive; ties go to the earlier."""
    total = sum(weights)
    shares = [divmod(weight * units, total) for weight in weights]
    left = units - sum(whole for whole, _ in shares)
    # A share without a remainder gets none of what is left: less than one unit is left for each remainder.
    order = sorted(range(len(shares)), key=lambda place: -shares[place][1])
    paid = [whole for whole, _ in shares]
    for place in order[:left]:
        paid[place] += 1
    return paid


def whole_weights(values: Float64s) -> list[int]:
    """Return whole numbers in the exact proportion of finite float64 ``values``."""
    pairs = [value.as_integer_ratio() for value in values.tolist()]
    most = max((below for _, below in pairs), default=1)  # all are powers of two
    return [above * (most // below) for above, below in pairs]


def _units(budget: Any, decimals: Any) -> tuple[int, list[Problem]]:
    """Return the budget in units, and what is wrong with it."""
    problems = []
    if isinstance(decimals, bool) or not isinstance(decimals, int | np.integer) or not 0 <= decimals <= MOST_DECIMALS:
        hint = "2 pays in cents, 0 in whole amounts"
        problems.append(Problem("decimals", f"a whole number from 0 to {MOST_DECIMALS}", written(decimals), hint))
    exact = _exact(budget)
    if exact is None or exact < 0:
        hint = "give an amount of 0 or more"
        problems.append(Problem("budget", "an amount of money, finite and from 0", written(budget), hint))
    if problems or exact is None:
        return 0, problems
    units = exact * 10 ** int(decimals)
    if units > MOST_UNITS:
        hint = "pay in larger units: fewer decimals, or a budget in thousands"
        expected = f"at most 10^15 units of 10^-{decimals}, which float64 amounts tell apart"
        problems.append(Problem("budget", expected, written(budget, str), hint))
    elif units.denominator != 1:
        hint = f"round the budget to {decimals} decimals, or pay with more decimals"
        expected = f"whole units of 10^-{decimals}, so that payouts can add up to it"
        problems.append(Problem("budget", expected, written(budget, str), hint))
    return math.floor(units), problems


def _floor_problems(floor: object) -> list[Problem]:
    if isinstance(floor, bool | np.bool_):
        return []
    return [
        Problem("floor", "True or False", written(floor), "True gives negative values 0; False lets them owe money")
    ]


def _exact(budget: Any) -> Fraction | None:
    """Return the number that a budget stands for, or None if it is none.

    A decimal number that is too large or too small for any unit stands for a shorter one that is so, too.
    """
    if isinstance(budget, Decimal):
        if not budget.is_finite():
            return None
        power = budget.adjusted()
        if budget and not -MOST_DECIMALS <= power <= LARGEST_POWER:
            # A fraction has all digits: those of 1e99999999 take minutes and 40 MB.
            power = LARGEST_POWER + 1 if power > 0 else -MOST_DECIMALS - 1
            return Fraction(Decimal((int(budget.is_signed()), (1,), power)))
        return Fraction(budget) if budget else Fraction(0)
    if isinstance(budget, Rational) and is_number(budget):
        return Fraction(budget)
    if not is_number(budget) or not math.isfinite(budget):
        return None
    return Fraction(str(budget))  # of a float32, too, what it prints


def _numbers(values: npt.ArrayLike) -> Float64s:
    """Return the values as float64. Raises: InputError with everything that is wrong."""
    hint = "give one finite number for each who is paid"
    try:
        array = numbers_of(values)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"dtype {array.dtype}")
    except ERRORS as error:
        raise InputError(Problem("values", "an array of numbers", str(error), hint)) from None
    if array.ndim == 2 and array.shape[1] == 1:  # a table of one column
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        raise InputError(Problem("values", "shape (n,), n from 1", f"shape {array.shape}", hint))
    array = array.astype(np.float64)
    if len(bad := np.flatnonzero(~np.isfinite(array))):
        got = f"{len(bad)} NaN, infinite or missing; the first: {', '.join(map(str, bad[:FIRST]))}"
        raise InputError(Problem("values", "finite numbers", got, "find out why they have no value before you pay"))
    return array


def _weights(values: Float64s, *, floor: bool, free: bool) -> list[int]:
    """Return by what the values share, as whole numbers; ``free``: there is nothing to share.

    Raises: InputError if their sum is not positive.
    """
    weights = whole_weights(np.maximum(values, 0.0) if floor else values)
    if free or sum(weights) > 0:
        return weights
    if floor:
        hint = "look at the rows and the validation rows before you pay, or pay equal shares, by values of 1"
        raise InputError(Problem("values", "one above 0 at least", f"none of {len(values)}", hint))
    hint = "shares are undefined; floor=True pays the positive values alone"
    raise InputError(Problem("values", "a positive sum, with floor=False", repr(math.fsum(values)), hint))
