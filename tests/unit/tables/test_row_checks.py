"""What one batch of rows looks like to the checks; the whole of validation is tested on Spark."""

from __future__ import annotations

import _hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.kernels import loops
from dvspark.tables import row_digests
from dvspark.tables.row_checks import RowChecks, mark_rows, row_problems
from dvspark.tables.row_digests import sum_of_hashes


def _batch(x: list[list[float | None] | None]) -> pa.RecordBatch:
    columns = {"id": range(len(x)), "embedding": pa.array(x, pa.list_(pa.float64())), "label": ["a"] * len(x)}
    return pa.RecordBatch.from_pydict(columns)


@pytest.mark.parametrize("other", [{"id": [2, 1]}, {"label": ["b", "a"]}, {"embedding": [[1.0, 2.0], [0.0, 3.0]]}])
def test_sum_of_hashes__tells_rows_apart_whose_columns_hold_the_same(other: dict[str, list[object]]) -> None:
    rows = {"id": [1, 2], "label": ["a", "b"], "embedding": [[1.0, 3.0], [0.0, 2.0]]}
    found = {sum_of_hashes(pa.RecordBatch.from_pydict(columns)) for columns in (rows, {**rows, **other})}
    assert len(found) == 2


def test_sum_of_hashes__a_null_hides_numbers_that_lie_behind_it() -> None:
    offsets, hidden = np.array([0, 1, 3, 4], np.int32), pa.array([False, True, False])
    behind = pa.ListArray.from_arrays(offsets, pa.array([1.0, 7.0, 8.0, 2.0]), mask=hidden)
    plain = pa.array([[1.0], None, [2.0]])
    assert sum_of_hashes(_columns_of(3, embedding=behind)) == sum_of_hashes(_columns_of(3, embedding=plain))


@pytest.mark.parametrize("rest", [[], [[1.0]], [None], [[None, 1.0]]], ids=["", "one shorter", "a null", "null inside"])
def test_row_problems__numbers_whose_squares_overflow_or_vanish_are_neither_infinite_nor_zero(
    rest: list[list[float | None]],
) -> None:
    x = [[1.0, 2.0], [1e200, 1.0], [1e200, np.inf], [np.nan, 1.0], [0.0, -0.0], [1.0, -np.inf]]
    x += [[1e-170, 0.0], [1e-146, 0.0], [1e-144, 0.0], [5e-324, np.nan]]
    problems, _ = row_problems(_batch([*x, *rest]), RowChecks("cosine", "float64"))
    found = {aspect: np.flatnonzero(bad[: len(x)]).tolist() for aspect, bad in problems.items() if bad[: len(x)].any()}
    assert found == {
        "embedding holds NaN or infinity": [2, 3, 5, 9],
        "embedding is too large to square": [1],
        "embedding is too small to square": [6, 7],
        "embedding is all zeros, without direction": [4],
    }


@pytest.mark.skipif(not loops.is_compiled() or not hasattr(_hashlib, "__file__"), reason="Numba calls a library")
def test_sum_of_hashes__is_compiled_where_numba_finds_the_library_of_hashlib() -> None:
    assert row_digests.compiled_loop() is not None


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
