"""What one batch of rows looks like to the checks; the whole of validation is tested on Spark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.tables.row_checks import ALL_ROWS, ROW_HASH, RowChecks, mark_rows, row_problems, tally_rows

ANY_HASH = st.integers(-(2**63), 2**63 - 1)


def _batch(x: list[list[float | None] | None], hashes: list[int] | None = None) -> pa.RecordBatch:
    columns = {"id": range(len(x)), "embedding": pa.array(x, pa.list_(pa.float64())), "label": ["a"] * len(x)}
    return pa.RecordBatch.from_pydict({**columns, ROW_HASH: pa.array(hashes or [0] * len(x), pa.int64())})


@given(st.lists(ANY_HASH, min_size=1) | st.sampled_from([[2**63 - 1] * 3, [-(2**63)] * 3]))
def test_tally_rows__sums_hashes_beyond_64_bits(hashes: list[int]) -> None:
    batch = _batch([[1.0]] * len(hashes), hashes)
    found = [row for tally in tally_rows(iter([batch]), RowChecks("euclidean", "default")) for row in tally.to_pylist()]
    assert [(row["detail"], row["n_rows"]) for row in found if row["aspect"] == ALL_ROWS] == [
        (str(sum(hashes)), len(hashes))
    ]


@pytest.mark.parametrize("rest", [[], [[1.0]], [None], [[None, 1.0]]], ids=["", "one shorter", "a null", "null inside"])
def test_row_problems__numbers_whose_squares_overflow_are_large_not_infinite(rest: list[list[float | None]]) -> None:
    x = [[1.0, 2.0], [1e200, 1.0], [1e200, np.inf], [np.nan, 1.0], [0.0, 0.0], [1.0, -np.inf]]
    problems, _ = row_problems(_batch([*x, *rest]), RowChecks("cosine", "float64"))
    found = {aspect: np.flatnonzero(bad[: len(x)]).tolist() for aspect, bad in problems.items() if bad[: len(x)].any()}
    assert found == {
        "embedding holds NaN or infinity": [2, 3, 5],
        "embedding is too large to square": [1],
        "embedding is all zeros, without direction": [4],
    }


EXTREMES = [0.0, -0.0, 1e-45, 1e-30, 1e-15, 1.0, 1e15, 1e18, 9e18, 1e19, 3e38, float("inf"), float("nan")]


@given(st.lists(st.lists(st.sampled_from(EXTREMES), min_size=3, max_size=3), min_size=1))
def test_row_problems__of_float32_are_those_of_the_same_numbers_as_doubles(x: list[list[float]]) -> None:
    singles = np.array(x, np.float32)
    flat = pa.array(singles.ravel())
    as_singles = pa.ListArray.from_arrays(np.arange(0, 3 * len(x) + 1, 3, dtype=np.int32), flat)
    found = []
    for embedding in (as_singles, as_singles.cast(pa.list_(pa.float64()))):
        problems, _ = row_problems(_columns_of(len(x), embedding=embedding), RowChecks("cosine", "default"))
        found.append({aspect: bad.tolist() for aspect, bad in problems.items()})
    assert found[0] == found[1]


def test_row_problems__of_targets_and_weights_whose_sums_or_squares_overflow_are_named() -> None:
    numbers = [1.0, -1e61, np.inf, None, 1e60, 1e300]
    batch = _batch([[1.0]] * len(numbers))
    batch = batch.set_column(2, "label", pa.array(numbers, pa.float64()))
    batch = batch.append_column("weight", pa.array(numbers, pa.float64()))
    problems, _ = row_problems(batch, RowChecks("euclidean", "default"))
    for aspect in ("label is too large to square", "weight is too large to add up"):
        assert np.flatnonzero(problems[aspect]).tolist() == [1, 5]


def _columns_of(n: int, **columns: pa.Array) -> pa.RecordBatch:
    plain = {"id": pa.array(range(n)), "embedding": pa.array([[1.0]] * n), "label": pa.array(["a"] * n)}
    return pa.RecordBatch.from_pydict({**plain, **columns})


def _bad_rows(batch: pa.RecordBatch, *, with_owners: bool = False) -> dict[str, list[int]]:
    problems, _ = row_problems(batch, RowChecks("euclidean", "default", with_owners))
    return {aspect: np.flatnonzero(bad).tolist() for aspect, bad in problems.items() if bad.any()}


def test_row_problems__weights_are_finite_and_not_negative() -> None:
    weights = pa.array([0.0, 3.5, -1.0, np.nan, np.inf, -np.inf, None, -0.0, -1e-300])
    assert _bad_rows(_columns_of(9, weight=weights)) == {
        "weight is null": [6],
        "weight is negative, NaN or infinity": [2, 3, 4, 5, 8],
    }


def test_row_problems__numbers_to_predict_are_finite() -> None:
    targets = pa.array([0.0, -1e59, np.nan, np.inf, -np.inf, None])
    found = _bad_rows(_columns_of(6, label=targets))
    assert found == {"label is null": [5], "label is NaN or infinity": [2, 3, 4]}


@pytest.mark.parametrize("with_owners", [False, True])
@pytest.mark.parametrize("owners", [["a", None, ""], [1, None, 0]])
def test_row_problems__owners_are_asked_for_where_values_are_theirs(owners: list[object], with_owners: bool) -> None:
    found = _bad_rows(_columns_of(3, owner=pa.array(owners)), with_owners=with_owners)
    assert found == ({"owner is null": [1]} if with_owners else {})


def test_mark_rows__tells_all_that_is_wrong_with_a_row() -> None:
    columns = {"weight": pa.array([1.0, -1.0]), "owner": pa.array(["a", None]), "label": pa.array([1.0, np.nan])}
    checks = RowChecks("euclidean", "default", with_owners=True)
    (marked,) = mark_rows(iter([_columns_of(2, **columns)]), checks)
    good, bad = marked.column("reason").to_pylist()
    assert good is None
    assert bad.split("; ") == ["label is NaN or infinity", "weight is negative, NaN or infinity", "owner is null"]
