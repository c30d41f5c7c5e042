"""Selections: sizes, covered groups, the highest values in each, costs within the budget, weights; what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import ConfigError, InputError
from dvspark.market.selection import select_rows, select_within


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.lists(st.tuples(st.sampled_from("aaab"), st.integers(-3, 3)), min_size=1, max_size=14))
    labels, values = zip(*rows, strict=True)
    return pa.table({"id": range(len(rows)), "label": labels, "value": [v / 4 for v in values]})


@given(table=tables(), data=st.data(), by=st.sampled_from([None, "label"]))
def test_select_rows__keeps_the_highest_values_of_each_group(
    table: pa.Table, data: st.DataObject, by: str | None
) -> None:
    labels, values = np.array(table["label"]), table["value"].to_numpy()
    groups = labels if by else np.zeros(len(labels))
    n_rows = data.draw(st.integers(len(set(groups.tolist())), len(table)))
    found = select_rows(table, n_rows, by)
    rows = found["id"].to_numpy()
    assert len(set(rows.tolist())) == n_rows
    assert np.all(np.diff(found["value"].to_numpy()) <= 0)
    for group in set(groups.tolist()):
        inside = np.flatnonzero(groups == group)
        kept = np.isin(inside, rows)
        share = len(inside) * n_rows / len(table)
        assert kept.sum() >= 1
        assert abs(kept.sum() - share) < 1 or kept.sum() == 1 or by
        if not kept.all():
            assert values[inside[kept]].min() >= values[inside[~kept]].max()
    weights = found["weight"].to_numpy()
    assert weights.mean() == pytest.approx(1.0)
    if by:  # each label weighs what it weighed
        for label in set(labels.tolist()):
            assert weights[labels[rows] == label].sum() / n_rows == pytest.approx(np.mean(labels == label))


def test_select_rows__keeps_the_proportions_of_groups() -> None:
    table = pa.table({"id": range(100), "label": ["a"] * 70 + ["b"] * 29 + ["c"], "value": np.arange(100) / 100})
    found = select_rows(table, 10, "label")
    assert {label: found["label"].to_pylist().count(label) for label in "abc"} == {"a": 6, "b": 3, "c": 1}
    assert set(select_rows(table, 10)["label"].to_pylist()) == {"b", "c"}


@given(table=tables(), data=st.data(), by=st.sampled_from([None, "label"]))
def test_select_within__stays_in_the_budget_and_covers(table: pa.Table, data: st.DataObject, by: str | None) -> None:
    n = len(table)
    costs = np.array(data.draw(st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=n, max_size=n)))
    budget = data.draw(st.sampled_from([1.0, 4.0, 12.0, 100.0]))
    try:
        found = select_within(table, costs, budget, by)
    except ConfigError:
        return
    rows = found["id"].to_numpy()
    assert found["cost"].to_pylist() == costs[rows].tolist()
    assert costs[rows].sum() <= budget
    left = budget - costs[rows].sum()
    values = table["value"].to_numpy()
    others = np.setdiff1d(np.arange(n), rows)
    assert not np.any((values[others] > 0) & (costs[others] <= left))  # nothing of value that fits is left
    n_covering = len(set(table["label"].to_pylist())) if by else 0
    assert np.count_nonzero(values[rows] <= 0) <= n_covering  # bought for coverage alone
    if by:
        assert set(found["label"].to_pylist()) == set(table["label"].to_pylist())


TABLE = pa.table({"id": [1, 2, 3], "label": ["a", "a", "b"], "value": [0.5, 0.4, -0.1], "owner": ["x", None, "y"]})


@pytest.mark.parametrize(
    ("n_rows", "by", "kind", "said"),
    [
        (0, None, ConfigError, "from 1 to 3"),
        (4, None, ConfigError, "from 1 to 3"),
        (1, "label", ConfigError, "a row of each of 2 groups"),
        (2, "owner", InputError, "an owner in every row(.|\n)*1 nulls"),
    ],
)
def test_select_rows__tells_what_cannot_be(n_rows: int, by: str | None, kind: Any, said: str) -> None:
    with pytest.raises(kind, match=said):
        select_rows(TABLE, n_rows, by)


def test_select_rows__needs_no_labels_unless_it_goes_by_them() -> None:
    table = TABLE.drop_columns(["label"])
    found = select_rows(table, 2)
    assert (found.column_names, found["id"].to_pylist()) == (["id", "owner", "value", "weight"], [1, 2])
    with pytest.raises(InputError, match=r"one label in every row(.|\n)*no such column"):
        select_rows(table, 2, "label")
    with pytest.raises(InputError, match="a column 'id'"):
        select_rows(table.drop_columns(["id"]), 2)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", "b", "c"], "numbers(.|\n)*string"),
        ([True, False, True], "numbers(.|\n)*bool"),
        ([1.0, np.nan, np.inf], "finite numbers(.|\n)*2 NaN, infinite or missing; the first: 1, 2"),
        ([1.0, None, 2.0], "1 NaN, infinite or missing; the first: 1"),
    ],
)
def test_select__refuses_values_that_are_no_finite_numbers(values: list[Any], said: str) -> None:
    table = TABLE.set_column(2, "value", pa.array(values))
    with pytest.raises(InputError, match=said):
        select_rows(table, 2)
    with pytest.raises(InputError, match=said):
        select_within(table, np.ones(3), 2.0)


@pytest.mark.parametrize("budget", [np.nan, np.inf, -1.0])
def test_select_within__refuses_a_budget_that_is_no_amount(budget: float) -> None:
    with pytest.raises(ConfigError, match="finite and from 0"):
        select_within(TABLE, np.ones(3), budget)


def test_select_within__tells_what_cannot_be() -> None:
    with pytest.raises(InputError, match="a finite cost above 0"):
        select_within(TABLE, np.array([1.0, 0.0, 1.0]), 5)
    with pytest.raises(ConfigError, match="a row of each of 2 groups by label: 2"):
        select_within(TABLE, np.ones(3), 1.5, "label")
    with pytest.raises(ConfigError, match="enough for one row"):
        select_within(TABLE, np.ones(3), 0.5)
    with pytest.raises(InputError, match="one label in every row"):
        select_rows(TABLE.set_column(1, "label", pa.array([["a"], ["a"], ["b"]])), 2, "label")


@pytest.mark.parametrize("by", [None, "label"])
def test_select_within__spends_a_budget_in_decimals_to_the_last_cent(by: str | None) -> None:
    table = pa.table({"id": range(3), "label": ["a"] * 3, "value": [0.3, 0.2, 0.1]})
    assert len(select_within(table, np.full(3, 0.1), 0.3, by)) == 3
    assert len(select_within(table, np.full(3, 0.1), np.nextafter(0.3, 0), by)) == 2
