"""Arrays that cannot be valued are refused with everything that is wrong; those that can, are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dvspark
from dvspark import ConfigError, DvsparkError, InputError

X = np.arange(1.0, 13.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])
DATA = {"x_train": X, "y_train": Y, "x_validation": X[:3], "y_validation": Y[:3]}
WITHOUT_VALIDATION = {"x_validation": None, "y_validation": None}


def changed(array: Any, position: Any, value: Any) -> np.ndarray:
    """Return a copy of the array with one element, or row, replaced."""
    copy = np.array(array)
    copy[position] = value
    return copy


def refusal(**changes: Any) -> DvsparkError:
    """Return the error that valuing the data with these changes raises."""
    with pytest.raises(DvsparkError) as caught:
        dvspark.value_arrays(**{**DATA, **changes})
    return caught.value


def value(**changes: Any) -> np.ndarray:
    return dvspark.value_arrays(**{**DATA, **changes})


# --- what is refused --------------------------------------------------------------------------------------

# Each row: what is changed, where the problem is said to be, words of what was found or what to do.
UNUSABLE_DATA = {
    "a number": ({"x_train": 3.0}, "x_train", "shape ()"),
    "a vector": ({"x_train": np.arange(6.0)}, "x_train", "shape (6,)"),
    "a cube": ({"x_train": X[None]}, "x_train", "shape (1, 6, 2)"),
    "no array": ({"x_train": None}, "x_train", "shape ()"),
    "ragged rows": ({"x_train": [[1.0, 2.0], [3.0]]}, "x_train", "rows of equal length"),
    "words": ({"x_train": [["a", "b"]] * 6}, "x_train", "dtype <U1"),
    "words as objects": ({"x_train": X.astype(str).astype(object)}, "x_train", "elements of type str"),
    "complex numbers": ({"x_train": X.astype(complex)}, "x_train", "dtype complex128"),
    "dates": ({"x_train": X.astype("M8[s]")}, "x_train", "dtype datetime64"),
    "no rows": ({"x_train": np.zeros((0, 2)), "y_train": []}, "x_train", "shape (0, 2)"),
    "no features": ({"x_train": np.zeros((6, 0))}, "x_train", "shape (6, 0)"),
    "no validation rows": ({"x_validation": np.zeros((0, 2)), "y_validation": []}, "x_validation", "shape (0, 2)"),
    "NaN": ({"x_train": changed(X, (4, 1), np.nan)}, "x_train", "NaN or infinity in 1 rows; the first: 4"),
    "infinity": ({"x_validation": changed(X[:3], (2, 0), -np.inf)}, "x_validation", "NaN or infinity in 1 rows"),
    "too large to square": ({"x_train": changed(X, (1, 0), 1e19)}, "x_train", "precision='float64'"),
    "too large for float64": (
        {"x_train": changed(X, (1, 0), 1e155), "precision": "float64"},
        "x_train",
        "scale the embeddings down",
    ),
    "no direction": ({"x_train": changed(X, 3, 0.0), "metric": "cosine"}, "x_train", "all zeros in 1 rows"),
    "too short for a direction": (
        {"x_train": changed(X, 3, 1e-170), "metric": "cosine"},
        "x_train",
        "smaller in 1 rows; the first: 3",
    ),
    "a validation row without direction": (
        {"x_validation": changed(X[:3], 0, 0.0), "metric": "cosine"},
        "x_validation",
        "all zeros in 1 rows; the first: 0",
    ),
    "other features": ({"x_validation": X[:3, :1]}, "x_validation", "2 in x_train, 1 in x_validation"),
    "a label too few": ({"y_train": Y[:5]}, "y_train", "align labels and rows"),
    "a label too many": ({"y_validation": Y[:4]}, "y_validation", "align labels and rows"),
    "no labels": ({"y_train": None}, "y_train", "one kind of label"),
    "one label for all": ({"y_train": 3}, "y_train", "one kind of label"),
    "a null label": ({"y_train": [0, None, 1, 1, 1, 1]}, "y_train", "1 without"),
    "a null among words": ({"y_train": np.array(["a", None] * 3, dtype=object)}, "y_train", "3 without"),
    "a null within a row": ({"y_train": [[0], [None], [1], [1], [0], [0]]}, "y_train", "1 without"),
    "a null for a row": ({"y_train": [[0], None, [1], [1], [0], [0]]}, "y_train", "1 without"),
    "a fraction as label": ({"y_train": Y + 0.5}, "y_train", "0.5"),
    "NaN as label": ({"y_train": changed(Y.astype(float), 2, np.nan)}, "y_train", "1 without; the first: 2"),
    "infinity as label": ({"y_train": changed(Y.astype(float), 2, np.inf)}, "y_train", "inf"),
    "words and numbers as labels": ({"y_train": [0, "a", 0, 1, 0, 1]}, "y_train", "one kind of label"),
    "words and numbers as objects": (
        {"y_train": np.array([0, "a", 0, 1, 0, 1], dtype=object)},
        "y_train",
        "one kind of label",
    ),
    "words and numbers in a set": ({"y_train": [{0, "a"}] * 6}, "y_train", "one kind of label"),
    "bytes as labels": ({"y_train": np.array([b"a"] * 6)}, "y_train", "binary"),
    "dates as labels": ({"y_train": Y.astype("M8[D]")}, "y_train", "date32"),
    "structures as labels": ({"y_train": [{"a": 1}] * 6}, "y_train", "struct"),
    "a label beyond int64, unsigned": ({"y_train": np.full(6, 2**63, dtype=np.uint64)}, "y_train", "not in range"),
    "a label beyond any int64": ({"y_train": [2**70] * 6}, "y_train", "one kind of label"),
    "ids too few": ({"train_ids": [1, 2]}, "train_ids", "shape (2,)"),
    "ids in a table": ({"train_ids": X}, "train_ids", "shape (6, 2)"),
    "ids in ragged rows": ({"train_ids": [[1], [2, 3], 1, 2, 3, 4]}, "train_ids", "integer, list"),
    "fractions as ids": ({"train_ids": np.arange(6) / 2}, "train_ids", "dtype float64"),
    "fractions as ids in a list": ({"train_ids": [0.5, 1, 2, 3, 4, 5]}, "train_ids", "float"),
    "flags as ids": ({"train_ids": Y > 0}, "train_ids", "dtype bool"),
    "words and numbers as ids": ({"train_ids": [1, "a", 2, 3, 4, 5]}, "train_ids", "all integers or all strings"),
    "words and numbers as object ids": (
        {"train_ids": np.array([1, "a", 2, 3, 4, 5], dtype=object)},
        "train_ids",
        "all integers or all strings",
    ),
    "a null id": ({"train_ids": [1, None, 2, 3, 4, 5]}, "train_ids", "all integers or all strings"),
    "NaN as id": (
        {"train_ids": np.array([1, float("nan"), 2, 3, 4, 5], dtype=object)},
        "train_ids",
        "all integers or all strings",
    ),
    "an id twice": ({"train_ids": ["b", "a", "b", "c", "d", "e"]}, "train_ids", "1 repeated; the first: 'b'"),
}


@pytest.mark.parametrize(("changes", "where", "said"), UNUSABLE_DATA.values(), ids=UNUSABLE_DATA)
def test_value_arrays__refuses_unusable_data(changes: dict[str, Any], where: str, said: str) -> None:
    error = refusal(**changes)
    assert isinstance(error, InputError)
    assert error.exit_code == 3
    mine = [problem for problem in error.problems if problem.where == where]
    assert len(mine) == 1
    assert said in str(mine[0])
    assert mine[0].hint


UNUSABLE_OPTIONS = {
    "unknown method": ({"method": "knn_shaply"}, "method", "did you mean 'knn_shapley'"),
    "a method that is no word": ({"method": ["knn_shapley"]}, "method", "one of"),
    "unknown metric": ({"metric": "cosin"}, "metric", "did you mean 'cosine'?"),
    "no metric": ({"metric": None}, "metric", "one of 'euclidean'"),
    "unknown ties": ({"ties": "averge"}, "ties", "did you mean 'average'?"),
    "unknown precision": ({"precision": "float46"}, "precision", "did you mean 'float64'?"),
    "nothing like a precision": ({"precision": "xyz"}, "precision", "known: 'default', 'float64'"),
    "unknown aggregate": ({"aggregate": "meen"}, "aggregate", "did you mean 'mean'?"),
    "unknown ranking": ({"ranking": "sort"}, "ranking", "did you mean 'sorted'?"),
    "tolerance below zero": ({"tolerance": -1e-9}, "tolerance", "from 0 to below 1"),
    "bins in exact order": ({"tolerance": 0, "ranking": "binned"}, "tolerance, ranking", "above 0 for bins"),
    "tolerance NaN": ({"tolerance": float("nan")}, "tolerance", "from 0 to below 1"),
    "error bound a word": ({"error_bound": "yes"}, "error_bound", "True or False"),
    "tolerance a word": ({"tolerance": "small"}, "tolerance", "from 0 to below 1"),
    "self-validation a word": ({"self_validation": "no"} | WITHOUT_VALIDATION, "self_validation", "True or False"),
    "k beyond float64": ({"method": "truncated_knn_shapley", "k": 2**70, "k_star": 9}, "parameter 'k'", "up to 2^53"),
    "k_star beyond float64": ({"method": "truncated_knn_shapley", "k_star": 2**70}, "parameter 'k_star'", "up to 2^53"),
    "k of 5,000 digits": ({"k": 10**5000}, "parameter 'k'", "thousands of digits"),
    "a method of 5,000 digits": ({"method": 10**5000}, "method", "thousands of digits"),
    "a metric of 5,000 digits": ({"metric": 10**5000}, "metric", "thousands of digits"),
    "alpha of 400 digits": ({"method": "knn_beta", "alpha": 10**400}, "parameter 'alpha'", "up to 10000"),
    "beta that rounds chances away": ({"method": "knn_beta", "beta": 1e-300}, "parameter 'beta'", "above 1e-10"),
    "a utility whose square overflows": (
        {"method": "knn_regression_shapley", "empty_utility": 1e308},
        "parameter 'empty_utility'",
        "up to 1e+60",
    ),
    "k zero": ({"k": 0}, "parameter 'k'", "at least 1"),
    "k negative": ({"k": -3}, "parameter 'k'", "at least 1"),
    "k a fraction": ({"k": 2.5}, "parameter 'k'", "whole number"),
    "k a whole float": ({"k": 2.0}, "parameter 'k'", "whole number"),
    "k a flag": ({"k": True}, "parameter 'k'", "whole number"),
    "k a word": ({"k": "3"}, "parameter 'k'", "whole number"),
    "k NaN": ({"k": float("nan")}, "parameter 'k'", "whole number"),
    "no classes": ({"method": "soft_knn_shapley", "n_classes": 0}, "parameter 'n_classes'", "at least 1"),
    "unknown parameter": (
        {"method": "soft_knn_shapley", "n_clases": 3},
        "parameter 'n_clases'",
        "did you mean 'n_classes'?",
    ),
    "owners for a method of rows": ({"owners": [1] * 6}, "owners", "no owners, for knn_shapley"),
    "weights for a method without": ({"weights": np.ones(6)}, "weights", "no weights, for knn_shapley"),
    "no validation arrays": (WITHOUT_VALIDATION, "x_validation and y_validation", "self_validation=True"),
    "no validation labels": ({"y_validation": None}, "y_validation", "give both"),
    "no validation embeddings": ({"x_validation": None}, "x_validation", "give both"),
    "validation arrays and self-validation": (
        {"self_validation": True},
        "x_validation and y_validation",
        "leave them out",
    ),
    "validation labels and self-validation": (
        {"self_validation": True, "x_validation": None},
        "y_validation",
        "leave them out",
    ),
}


@pytest.mark.parametrize(("changes", "where", "said"), UNUSABLE_OPTIONS.values(), ids=UNUSABLE_OPTIONS)
def test_value_arrays__refuses_unusable_options(changes: dict[str, Any], where: str, said: str) -> None:
    error = refusal(**changes)
    assert isinstance(error, ConfigError)
    assert error.exit_code == 2
    assert [problem.where for problem in error.problems] == [where]
    assert said in str(error)


def test_value_arrays__names_all_problems_of_the_data_at_once() -> None:
    error = refusal(
        x_train=changed(changed(X, 1, np.nan), 2, 0.0),
        y_train=Y + 0.5,
        x_validation=X[0],
        y_validation=[0, "a", 1],
        train_ids=[1, 1, 2, 3, 4, 5],
        metric="cosine",
    )
    assert isinstance(error, InputError)
    found = [problem.where for problem in error.problems]
    assert found == ["x_train", "x_train", "y_train", "train_ids", "x_validation", "y_validation"]
    assert "6 problems" in str(error)
    assert all(f"  {n}. " in str(error) for n in range(1, 7))


def test_value_arrays__names_all_problems_of_the_options_at_once() -> None:
    error = refusal(
        method="soft_knn_shapley", k=0, n_classes=-1, metric="l2", ties="x", y_validation=None, colour="red"
    )
    assert isinstance(error, ConfigError)
    found = {problem.where for problem in error.problems}
    parameters = {"parameter 'k'", "parameter 'n_classes'", "parameter 'colour'"}
    assert found == {"metric", "ties", "y_validation", *parameters}


def test_value_arrays__counts_repeated_ids_and_names_the_first_five() -> None:
    x, y = np.repeat(X, 4, axis=0), np.repeat(Y, 4)
    ids = [8, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, *range(10, 21)]
    error = refusal(x_train=x, y_train=y, train_ids=ids)
    assert error.problems[0].got == "7 repeated; the first: 3, 4, 5, 6, 7"


def test_value_arrays__names_the_first_five_bad_rows_and_counts_all() -> None:
    error = refusal(x_train=np.full((6, 2), np.nan))
    assert "NaN or infinity in 6 rows; the first: 0, 1, 2, 3, 4" in str(error)
    assert "5" not in str(error).rsplit("first:", maxsplit=1)[-1]


def test_value_arrays__inputs_are_left_as_they_were() -> None:
    given = {name: array.copy() for name, array in DATA.items()}
    value(train_ids=[5, 4, 3, 2, 1, 0], metric="cosine")
    for name, array in DATA.items():
        np.testing.assert_array_equal(array, given[name])


# --- what is legal ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["knn_shapley", "soft_knn_shapley"])
def test_value_arrays__k_may_exceed_the_rows(method: str) -> None:
    values = value(k=100, method=method, n_classes=2)
    # U(N) = (matches among all six) / max(k, 6), or their share; 3 of 6 match any point.
    total = 3 / 100 if method == "knn_shapley" else 3 / 6 - 1 / 2
    assert values.sum() == pytest.approx(total, abs=1e-15)


@pytest.mark.parametrize("k", [np.int64(3), np.uint8(3), np.int32(3)])
def test_value_arrays__k_may_be_a_numpy_integer(k: Any) -> None:
    np.testing.assert_array_equal(value(k=k), value(k=3))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int32, np.uint8, np.int64, np.uint64, "list"])
def test_value_arrays__embeddings_of_any_number_type_are_the_numbers(dtype: Any) -> None:
    arrays = {
        name: DATA[name].tolist() if dtype == "list" else DATA[name].astype(dtype) for name in DATA if "x" in name
    }
    np.testing.assert_allclose(value(**arrays, k=2), value(k=2), rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, ">i8"])
def test_value_arrays__whole_numbers_that_float64_would_round_are_refused(dtype: Any) -> None:
    x = np.array([[2**53], [2**53 + 1], [2**53 + 2]], dtype)
    with pytest.raises(InputError, match=r"beyond 2\^53"):
        dvspark.value_arrays(x, [0, 1, 0], x[1:2], [1], k=1)
    assert dvspark.value_arrays(x[::2], [0, 1], x[2:], [1], k=1).tolist() == [0.0, 1.0]


def test_value_arrays__flags_are_zeros_and_ones() -> None:
    flags = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 1], [1, 1]])
    as_flags = value(x_train=flags.astype(bool), x_validation=flags[:3].astype(bool), k=2)
    np.testing.assert_array_equal(as_flags, value(x_train=flags, x_validation=flags[:3], k=2))


def test_value_arrays__views_that_are_not_contiguous_are_the_numbers() -> None:
    wide = np.zeros((12, 4))
    wide[::2, 1:3] = X
    np.testing.assert_array_equal(value(x_train=wide[::2, 1:3], k=2), value(k=2))
    np.testing.assert_array_equal(value(x_train=np.asfortranarray(X), k=2), value(k=2))


NAMES = np.array(["no", "yes"])
LABELS = {
    "words": (NAMES[Y], NAMES[Y[:3]]),
    "objects": (NAMES[Y].astype(object), NAMES[Y[:3]].tolist()),
    "a list of words": (NAMES[Y].tolist(), NAMES[Y[:3]].tolist()),
    "whole floats": (Y.astype(float), Y[:3].astype(np.float32)),
    "flags": (Y > 0, (Y[:3] > 0).tolist()),
    "small integers": (Y.astype(np.int8), Y[:3].astype(np.uint16)),
    "numpy integers in a list": ([np.int32(y) for y in Y], [np.int64(y) for y in Y[:3]]),
    "sets of one": ([{int(y)} for y in Y], [frozenset([int(y)]) for y in Y[:3]]),
    "sets against single labels": ([{int(y)} for y in Y], Y[:3]),
    "single labels against lists": (Y, [[int(y)] for y in Y[:3]]),
    "lists with repetitions": ([[int(y)] * 3 for y in Y], [[int(y), int(y)] for y in Y[:3]]),
    "arrays in a list": ([np.array([y]) for y in Y], [np.array([y, y]) for y in Y[:3]]),
    "a column": (Y[:, None], Y[:3, None]),
    "a label nobody else has": ([{int(y), 10 + row} for row, y in enumerate(Y)], [[int(y), 99] for y in Y[:3]]),
}


@pytest.mark.parametrize(("y_train", "y_validation"), LABELS.values(), ids=LABELS)
def test_value_arrays__labels_of_any_kind_match_alike(y_train: Any, y_validation: Any) -> None:
    labelled = value(y_train=y_train, y_validation=y_validation, k=2)
    np.testing.assert_allclose(labelled, value(k=2), rtol=0, atol=1e-15)


def test_value_arrays__sets_match_where_they_meet() -> None:
    y_train = [{"a"}, {"b", "c"}, set(), {"c"}, {"a", "b"}, {"d"}]
    values = value(y_train=y_train, x_validation=X[:1], y_validation=[{"a", "c"}], k=6)
    # k rows or fewer: each match is worth 1 / k.
    np.testing.assert_allclose(values, np.array([1, 1, 0, 1, 1, 0]) / 6, rtol=0, atol=1e-15)


def test_value_arrays__ids_decide_ties_as_integers_or_as_words() -> None:
    same = {"x_train": np.ones((6, 2)), "x_validation": np.ones((1, 2)), "y_validation": [0], "k": 1}
    ids = [10, 9, 8, 7, 6, 5]
    by_number, by_word = value(**same, train_ids=ids), value(**same, train_ids=[str(one) for one in ids])
    # The first of all rows by id carries the whole of a match at rank 1: "10" is the first word, 5 the least number.
    by_rank = dvspark.value_arrays(np.arange(6.0)[:, None], Y[::-1], np.array([[-1.0]]), [0], k=1)[::-1]
    np.testing.assert_allclose(by_number, by_rank, rtol=0, atol=1e-15)
    assert by_word[0] > max(by_word[1:])
    assert by_number[4] == max(by_number)
    numpy_words = value(**same, train_ids=np.array([str(one) for one in ids]))
    np.testing.assert_array_equal(by_word, numpy_words)


def test_value_arrays__n_classes_is_no_matter_for_a_method_that_does_not_count_them() -> None:
    np.testing.assert_array_equal(value(n_classes=5), value())


def test_value_arrays__labels_of_two_kinds_are_refused_since_nothing_would_match() -> None:
    with pytest.raises(InputError, match="int64 in y_train, string in y_validation"):
        dvspark.value_arrays(np.zeros((2, 1)), [0, 1], np.zeros((1, 1)), ["0"])
