"""Payout tables: columns by definition, owners' sums, ranks that errors leave open, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dvspark
from dvspark.errors import InputError
from dvspark.market.payout_table import payout_table, ranks

VALUES = pa.table(
    {
        "id": [1, 2, 3, 4],
        "value": [0.5, -0.1, 0.2, 0.2],
        "standard_error": [0.01, 0.02, 0.03, 0.0],
        "owner": ["b", "b", "a", "a"],
    }
)


def test_payout_table__of_rows() -> None:
    found = payout_table(VALUES, 9, by_owner=False).to_pydict()
    assert found["id"] == [1, 2, 3, 4]
    assert found["payout"] == [5.0, 0.0, 2.0, 2.0]
    np.testing.assert_allclose(found["share"], [5 / 9, 0, 2 / 9, 2 / 9])
    assert found["n_rows"] == [None] * 4
    assert (found["rank"], found["rank_low"], found["rank_high"]) == ([1, 4, 2, 3], [1, 4, 2, 2], [1, 4, 3, 3])


def test_payout_table__of_owners_adds_up_their_rows() -> None:
    found = payout_table(VALUES, 80, by_owner=True).to_pydict()
    assert (found["id"], found["n_rows"], found["payout"]) == (["a", "b"], [2, 2], [40.0, 40.0])
    np.testing.assert_allclose(found["value"], [0.4, 0.4])
    np.testing.assert_allclose(found["standard_error"], [0.03, 0.03])
    assert (found["rank_low"], found["rank_high"]) == ([1, 1], [2, 2])


def test_payout_table__pays_owners_alike_whatever_the_order_of_their_rows() -> None:
    values, owners = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 1e17, 1.0, -1e17], list("aaabbbccc")
    table = pa.table({"id": range(9), "value": values, "owner": owners, "standard_error": [0.1, 0.2, 0.3] * 3})
    found = payout_table(table, 2.2, by_owner=True)
    assert found["value"].to_pylist() == [0.6, 0.6, 1.0]
    assert found["payout"].to_pylist() == [0.6, 0.6, 1.0]
    for order in (range(8, -1, -1), [7, 3, 0, 8, 5, 1, 6, 4, 2]):
        assert payout_table(table.take(pa.array(order)), 2.2, by_owner=True).equals(found)


@given(st.lists(st.tuples(st.floats(0.1, 1), st.floats(0, 0.1)), min_size=1, max_size=6), st.data())
def test_payout_table__share_errors_bound_what_a_change_of_values_does(rows: Any, data: st.DataObject) -> None:
    # To first order a share changes by no more than its bound if each value changes by its standard error at most.
    values, errors = (np.array(column) for column in zip(*rows, strict=True))
    signs = np.array(data.draw(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=len(rows), max_size=len(rows))))
    table = pa.table({"id": range(len(rows)), "value": values, "standard_error": errors})
    found = payout_table(table, 100, by_owner=False)
    step = 1e-6
    changed = values + step * signs * errors
    moved = np.abs(changed / changed.sum() - values / values.sum()) / step
    assert np.all(moved <= found["share_standard_error"].to_numpy() * (1 + 1e-3) + 1e-8)


def test_payout_table__share_errors_count_values_that_may_be_above_0() -> None:
    """The second value is as well above 0 as below it; the last one is not."""
    values, errors = np.array([1.0, -0.01, -3.0]), np.array([0.1, 0.2, 0.5])
    table = pa.table({"id": range(3), "value": values, "standard_error": errors})
    found = payout_table(table, 100, by_owner=False)["share_standard_error"].to_numpy()
    drawn = np.maximum(np.random.default_rng(0).normal(values, errors, (20_000, 3)), 0.0)
    spread = (drawn / drawn.sum(axis=1, keepdims=True)).std(axis=0)
    assert np.all(found >= spread)
    np.testing.assert_allclose(found, [0.2, 0.2, 0.0])


@given(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([0.0, 0.4, 1.0])), min_size=1, max_size=8))
def test_ranks__are_those_that_values_within_two_errors_can_have(rows: Any) -> None:
    values, errors = (np.array(column, float) for column in zip(*rows, strict=True))
    rank, low, high = ranks(values, errors)
    assert sorted(rank.tolist()) == list(range(1, len(rows) + 1))
    assert low is not None
    assert high is not None
    for place, value in enumerate(values):
        above = sum(other - 2 * error > value + 2 * errors[place] for other, error in zip(values, errors, strict=True))
        below = sum(other + 2 * error < value - 2 * errors[place] for other, error in zip(values, errors, strict=True))
        assert low[place] == min(rank[place], 1 + above)
        assert high[place] == max(rank[place], len(rows) - below)


def test_payout_table__without_standard_errors_tells_none() -> None:
    found = payout_table(VALUES.drop_columns(["standard_error"]), 9, by_owner=False)
    for name in ("standard_error", "share_standard_error", "rank_low", "rank_high"):
        assert found[name].null_count == 4
    for unknown in (pa.nulls(4, pa.float64()), pa.array([0.1, math.nan, 0.1, 0.1])):
        table = VALUES.set_column(2, "standard_error", unknown)
        assert found.equals(payout_table(table, 9, by_owner=False))


def test_payout_table__takes_whole_numbers_beyond_2_to_the_53() -> None:
    table = pa.table({"id": [1, 2], "value": [2**60 + 1, 0]})
    assert payout_table(table, 9, by_owner=False)["payout"].to_pylist() == [9.0, 0.0]


def test_payout_table__of_nothing_to_pay_pays_nothing() -> None:
    found = payout_table(VALUES.set_column(1, "value", pa.array([-1.0] * 4)), 0, by_owner=False).to_pydict()
    assert (found["payout"], found["share"]) == ([0.0] * 4, [0.0] * 4)


@pytest.mark.parametrize(
    ("table", "by_owner", "said"),
    [
        (VALUES.drop_columns(["owner"]), True, "a column 'owner'"),
        (VALUES.drop_columns(["value"]), False, "a column 'value'"),
        (VALUES.set_column(3, "owner", pa.array(["a", None, "b", "b"])), True, "1 without"),
        (VALUES.set_column(3, "owner", pa.array([1.0, math.nan, 2.0, 2.0])), True, "1 without"),
        (VALUES.set_column(3, "owner", pa.array([["a"], ["a"], ["b"], ["b"]])), True, "0 without, of type list"),
        (VALUES.set_column(3, "owner", pa.array([{"name": "a"}] * 4)), True, "0 without, of type struct"),
        (VALUES.set_column(1, "value", pa.array(["a"] * 4)), False, "numbers"),
        (VALUES.set_column(1, "value", pa.array([1.0, None, 1.0, 1.0])), False, "1 NaN"),
        (VALUES.set_column(1, "value", pa.array([1e308] * 4)), False, "a sum below"),
        (VALUES.set_column(1, "value", pa.array([1e308] * 4)), True, "a sum below"),
        (VALUES.set_column(1, "value", pa.array([math.inf, -math.inf, 1.0, 1.0])), True, "1 NaN"),
        (VALUES.set_column(2, "standard_error", pa.array([0.1, -1.0, math.inf, 0.1])), False, "2 others"),
    ],
)
def test_payout_table__tells_what_is_missing(table: pa.Table, by_owner: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        payout_table(table, 9, by_owner=by_owner)


def test_payout_table__of_owners_needs_no_owners_beside_them() -> None:
    """The message asked for a method whose players are owners, of which the values were."""
    of_owners = pa.table({"id": ["a", "b"], "value": [0.5, 0.1], "label": pa.nulls(2, pa.string())})
    with pytest.raises(InputError, match="leave out --by owner"):
        payout_table(of_owners, 9, by_owner=True)
    assert payout_table(of_owners, 6, by_owner=False)["payout"].to_pylist() == [5.0, 1.0]


def test_payout_table__of_owner_values_is_what_payout_says() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=50)
    table = pa.table({"id": [f"owner {n}" for n in range(50)], "value": values})
    paid = payout_table(table, 12_345.67, by_owner=False)["payout"].to_pylist()
    assert paid == dvspark.payout(values, 12_345.67).tolist()
