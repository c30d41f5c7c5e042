"""Payouts: amounts that add up exactly, each next to its share; judged in whole numbers by rules of apportionment."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import dvspark
from dvspark.errors import ConfigError, DvsparkError, InputError

finite = st.floats(allow_nan=False, allow_infinity=False)
modest = st.floats(-1.0, 1.0) | st.sampled_from([0.0, 0.25, 1 / 3, -0.1, 5e-324])
values_of_some = st.lists(finite | modest, min_size=1, max_size=12)
# Budgets of up to 15 digits, in any number of decimals.
budgets = st.builds(
    lambda units, decimals: (Decimal(units).scaleb(-decimals), decimals), st.integers(1, 10**15), st.integers(0, 12)
)


def exact(payouts: np.ndarray, decimals: int) -> list[Fraction]:
    """Return amounts as the decimal numbers that they print, each a whole number of units."""
    amounts = [Fraction(Decimal(repr(one))) for one in payouts.tolist()]
    assert all((amount * 10**decimals).denominator == 1 for amount in amounts)
    return amounts


def shares(values: list[float], budget: Decimal, *, floor: bool) -> list[Fraction]:
    """Return the real shares of the budget."""
    kept = [Fraction(max(one, 0.0) if floor else one) for one in values]
    assume(sum(kept) > 0)
    return [Fraction(budget) * one / sum(kept) for one in kept]


@given(values_of_some, budgets)
def test_payout__adds_up_exactly_each_within_one_unit_of_its_share(values: list[float], budget: Any) -> None:
    amount, decimals = budget
    due = shares(values, amount, floor=True)
    paid = exact(dvspark.payout(values, amount, decimals=decimals), decimals)
    assert sum(paid) == Fraction(amount)
    assert all(abs(one - share) < Fraction(1, 10**decimals) for one, share in zip(paid, due, strict=True))
    assert all(one >= 0 for one in paid)


@given(st.lists(modest, min_size=1, max_size=12), st.integers(1, 10**7))
def test_payout__without_a_floor_adds_up_too(values: list[float], cents: int) -> None:
    budget = Decimal(cents).scaleb(-2)
    due = shares(values, budget, floor=False)
    assume(max(map(abs, due)) < 10**12)
    paid = exact(dvspark.payout(values, budget, floor=False), 2)
    assert sum(paid) == Fraction(budget)
    assert all(abs(one - share) < Fraction(1, 100) for one, share in zip(paid, due, strict=True))


@given(values_of_some, st.integers(1, 10**6))
def test_payout__never_pays_less_for_more(values: list[float], cents: int) -> None:
    assume(max(values) > 0)
    paid = dvspark.payout(values, Decimal(cents).scaleb(-2))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(paid[order][np.diff(np.array(values)[order], prepend=-np.inf) > 0]) >= 0)
    assert np.all(paid[np.array(values) <= 0] == 0)


@given(st.lists(modest, min_size=1, max_size=12), st.integers(1, 10**6), st.randoms(use_true_random=False))
def test_payout__does_not_depend_on_the_order_but_for_equal_values(values: list[float], cents: int, order: Any) -> None:
    assume(max(values) > 0)
    places = list(range(len(values)))
    order.shuffle(places)
    budget = Decimal(cents).scaleb(-2)
    paid, again = dvspark.payout(values, budget), dvspark.payout([values[place] for place in places], budget)
    for value in set(values):
        mine = sorted(one for one, of in zip(paid.tolist(), values, strict=True) if of == value)
        theirs = sorted(one for one, place in zip(again.tolist(), places, strict=True) if values[place] == value)
        assert mine == theirs


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(-30, 30), st.integers(1, 10**6))
def test_payout__does_not_depend_on_the_unit_of_values(values: list[float], power: int, cents: int) -> None:
    assume(max(values) > 1e-3)
    values = [one if one > 1e-6 else 0.0 for one in values]  # a power of two scales these without rounding
    scaled = [one * 2.0**power for one in values]
    budget = Decimal(cents).scaleb(-2)
    assert dvspark.payout(values, budget).tolist() == dvspark.payout(scaled, budget).tolist()


@pytest.mark.parametrize(
    ("values", "budget", "options", "paid"),
    [
        ([1, 1, 1], 100, {}, [33.34, 33.33, 33.33]),  # a tie goes to the earlier
        ([1, 1, 1], 100, {"decimals": 0}, [34.0, 33.0, 33.0]),
        ([0.5, -0.25, 0.5], 10, {}, [5.0, 0.0, 5.0]),
        ([0.5, -0.25, 0.5], 9, {"floor": False}, [6.0, -3.0, 6.0]),
        ([0.1, 0.2], 0.3, {}, [0.1, 0.2]),  # a float budget is the number that it prints
        ([0.1, 0.2], np.float32(0.3), {}, [0.1, 0.2]),
        ([2, 1], 0.01, {}, [0.01, 0.0]),
        ([-1, 0], 0, {}, [0.0, 0.0]),  # nothing to pay, nothing to share by
        ([7], 12.34, {}, [12.34]),
        ([7], Decimal("0e99999999"), {}, [0.0]),
        ([7], Decimal("1e15"), {"decimals": 0}, [1e15]),
        ([7], Decimal("1e-12"), {"decimals": 12}, [1e-12]),
        ([1e308, 1e308, 1e308], 3, {}, [1.0, 1.0, 1.0]),
        (np.array([3, 1], np.float32), np.int64(4), {}, [3.0, 1.0]),
    ],
)
def test_payout__of_some_cases(values: Any, budget: Any, options: dict[str, Any], paid: list[float]) -> None:
    found = dvspark.payout(values, budget, **options)
    assert found.dtype == np.float64
    assert found.tolist() == paid


@pytest.mark.parametrize(
    ("values", "budget", "options", "kind", "words"),
    [
        ([1, 2], -5, {}, ConfigError, "budget.*from 0.*-5"),
        ([1, 2], float("nan"), {}, ConfigError, "budget.*nan"),
        ([1, 2], float("inf"), {}, ConfigError, "budget.*inf"),
        ([1, 2], Decimal("NaN"), {}, ConfigError, "budget.*NaN"),
        ([1, 2], "100", {}, ConfigError, "budget.*'100'"),
        ([1, 2], True, {}, ConfigError, "budget.*True"),
        ([1, 2], 10.005, {}, ConfigError, "budget.*whole units of 10\\^-2.*10.005.*round"),
        ([1, 2], 0.5, {"decimals": 0}, ConfigError, "budget.*whole units"),
        ([1, 2], 2**53, {}, ConfigError, "budget.*10\\^15 units.*fewer decimals"),
        ([1, 2], Decimal("10000000000000.01"), {}, ConfigError, "budget.*10\\^15 units"),
        ([1, 2], 1, {"decimals": -1}, ConfigError, "decimals.*from 0 to 12.*-1"),
        ([1, 2], 1, {"decimals": 2.0}, ConfigError, "decimals.*2.0"),
        ([1, 2], 1, {"floor": "yes"}, ConfigError, "floor.*True or False.*yes"),
        ([1, 2], -1, {"floor": 0, "decimals": None}, ConfigError, "decimals.*budget.*floor"),
        ([0, -1], 1, {}, InputError, "values.*above 0.*none of 2"),
        ([1, -1], 1, {"floor": False}, InputError, "values.*positive sum.*0.0"),
        ([1, np.nan, np.inf], 1, {}, InputError, "values.*finite.*2 NaN.*1, 2"),
        ([1, None], 1, {}, InputError, "values.*finite.*1 NaN"),
        (np.ma.array([1, 2], mask=[False, True]), 1, {}, InputError, "values.*finite.*1 NaN.*first: 1"),
        (pa.array([1, None]), 1, {}, InputError, "values.*finite.*1 NaN.*first: 1"),
        ([], 1, {}, InputError, "values.*n from 1.*\\(0,\\)"),
        ([[1, 2]], 1, {}, InputError, "values.*\\(1, 2\\)"),
        (["a", "b"], 1, {}, InputError, "values.*numbers"),
        ([1, 2], Decimal("1e99999999"), {}, ConfigError, "budget.*10\\^15 units.*1E\\+99999999"),
        ([1, 2], Decimal("1e-99999999"), {}, ConfigError, "budget.*whole units.*1E-99999999"),
        ([1, 2], Decimal("-1e99999999"), {}, ConfigError, "budget.*from 0.*-1E\\+99999999"),
        ([1, 2], 10**400, {}, ConfigError, "budget.*10\\^15 units"),
        pytest.param(
            [1, 2], 10**5000, {}, ConfigError, "budget.*10\\^15 units.*thousands of digits", id="thousands of digits"
        ),
        ([1, 2], Decimal("9e15"), {"decimals": 0}, ConfigError, "budget.*10\\^15 units"),
        ([10**400, 1], 1, {}, InputError, "values.*an array of numbers.*too large"),
        ([1e308, -1e308, 5e-324], 1, {"floor": False}, InputError, "values.*10\\^15 units.*nearly cancel"),
    ],
)
def test_payout__tells_what_is_wrong(
    values: Any, budget: Any, options: dict[str, Any], kind: type[DvsparkError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        dvspark.payout(values, budget, **options)
    assert re.search(words, str(caught.value), re.DOTALL)
    assert all(problem.hint for problem in caught.value.problems)
