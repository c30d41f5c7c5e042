"""Which columns a table is asked for, and under which type each is used; whole tables are read on Spark."""

from __future__ import annotations

from typing import Any

import pytest

from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import OWNED
from dvspark.tables.sources.canonical import EXPECTED_TYPES, HINTS, canonical_type
from dvspark.tables.sources.reference import TableReference

NUMBERS = ["tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10,2)"]
OTHERS = ["string", "boolean", "date", "array<double>", "vector", "binary", "struct<a:int>"]


@pytest.mark.parametrize("role", ["weight", "target"])
@pytest.mark.parametrize("given", [*NUMBERS, *OTHERS])
def test_canonical_type__weights_and_targets_are_any_numbers_used_as_double(role: str, given: str) -> None:
    assert canonical_type(role, given) == ("double" if given in NUMBERS else None)


@pytest.mark.parametrize("role", ["owner", "id"])
@pytest.mark.parametrize(
    ("given", "used"),
    [("string", "string"), ("varchar(9)", "string"), ("int", "bigint"), ("double", None), ("array<string>", None)],
)
def test_canonical_type__owners_are_words_or_whole_numbers_like_ids(role: str, given: str, used: str | None) -> None:
    assert canonical_type(role, given) == used


def test_canonical_type__a_label_is_no_target() -> None:
    assert canonical_type("label", "double") is None
    assert "knn_regression_shapley" in HINTS["label"]
    assert set(HINTS) == set(EXPECTED_TYPES)


@pytest.mark.parametrize(
    ("method", "parameters", "columns"),
    [
        ("knn_shapley", {}, (None, None)),
        ("owner_sum_of_points", {}, ("owner", None)),
        ("weighted_knn_shapley", {}, (None, "weight")),
        ("weighted_knn_shapley", {"weight": "given"}, (None, "weight")),
        ("weighted_knn_shapley", {"weight": "rbf"}, (None, None)),
    ],
)
def test_table_reference__is_asked_for_what_the_method_needs(
    method: str, parameters: dict[str, Any], columns: tuple[str | None, str | None]
) -> None:
    asks = ValueOptions(method, parameters).asks
    found = TableReference(path="t").asked(asks)
    assert (found.owner, found.weight) == columns
    named = TableReference(path="t", owner="who", weight="w").asked(asks)
    assert (named.owner, named.weight) == ("who", "w")
    assert named.of_rows_alone() == TableReference(path="t")


def test_methods__ask_for_columns_that_tables_may_have() -> None:
    asked = {name for method in METHODS.values() for name in method.asks({})}
    assert asked - {OWNED.name} == {"owners", "weights"}  # owned rows are a table of their own
