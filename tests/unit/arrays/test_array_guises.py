"""Arrays in every common guise have the values of the plain ones; what is missing in any of them is missing."""

from __future__ import annotations

import decimal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

import dvspark
from dvspark import DataWarning, InputError
from dvspark.arrays.array_guises import is_missing, labels_of, names_of, numbers_of

RNG = np.random.default_rng(31)
N, M, D = 20, 6, 3
# Quarters, which halves hold.
X, Z = (RNG.integers(-8, 8, (n, D)).astype(np.float32) / 4 for n in (N, M))
Y, Y_Z = RNG.integers(0, 3, N), RNG.integers(0, 3, M)
WORDS = np.array(["ash", "birch", "cedar"])
WEIGHTS = RNG.integers(0, 5, N) / 2
# pandas 2.2 does not know them.
PANDAS_3_WORDS = pd.StringDtype("python", **({} if pd.__version__.startswith("2.2.") else {"na_value": np.nan}))
OWNERS, IDS = RNG.integers(0, 4, N), RNG.permutation(N)


class Stream:
    """What Polars and others show of a column: nothing but Arrow's C stream."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.data.__arrow_c_stream__(requested_schema)


class CArray:
    """The same with nothing but Arrow's C array."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.data.__arrow_c_array__(requested_schema)


class Tensor:
    """What libraries of tensors show: an array when asked, and elements that are tensors too."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)
        self.shape = self.array.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.array, dtype)

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Any:
        return map(Tensor, self.array)

    def item(self) -> Any:
        return self.array.item()


def read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def fixed(x: np.ndarray, kind: Any = None) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(x.ravel(), kind), x.shape[1])


def tensors(x: np.ndarray) -> pa.Array:
    kind = pa.fixed_shape_tensor(pa.float32(), (x.shape[1],))
    return pa.ExtensionArray.from_storage(kind, fixed(x, pa.float32()))


MATRICES: dict[str, Callable[[np.ndarray], Any]] = {
    "big-endian": lambda x: x.astype(">f4"),
    "big-endian doubles": lambda x: x.astype(">f8"),
    "halves": lambda x: x.astype(np.float16),
    "big-endian halves": lambda x: x.astype(">f2"),
    "Fortran order": np.asfortranarray,
    "strides": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "read-only": read_only,
    "a matrix": np.matrix,
    "masked nowhere": np.ma.array,
    "objects": lambda x: x.astype(object),
    "objects of NumPy": lambda x: np.array([[*row] for row in x], object),
    "decimals": lambda x: [[decimal.Decimal(float(one)) for one in row] for row in x],
    "a list of lists": lambda x: x.tolist(),
    "tuples": lambda x: tuple(map(tuple, x.tolist())),
    "a list of arrays": list,
    "a generator": lambda x: (row for row in x),
    "a list of masked arrays": lambda x: [np.ma.array(row) for row in x],
    "a list of Series": lambda x: [pd.Series(row) for row in x],
    "a list of Arrow arrays": lambda x: [pa.array(row) for row in x],
    "a list of Arrow scalars": lambda x: list(pa.array(x.tolist(), pa.list_(pa.float32()))),
    "an array of arrays": lambda x: pd.Series(list(x)).to_numpy(),
    "a Series of arrays": lambda x: pd.Series(list(x)),
    "a Series of lists": lambda x: pd.Series(x.tolist(), index=RNG.permutation(len(x))),
    "a Series of Arrow lists": lambda x: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(x.tolist()))),
    "a Series of fixed-size lists": lambda x: pd.Series(pd.arrays.ArrowExtensionArray(fixed(x))),
    "a frame": pd.DataFrame,
    "a frame of objects": lambda x: pd.DataFrame(x.astype(object)),
    "a nullable frame": lambda x: pd.DataFrame(x).convert_dtypes(),
    "a frame of Arrow's types": lambda x: pd.DataFrame(x).astype("double[pyarrow]"),
    "lists of Arrow": lambda x: pa.array(x.tolist(), pa.list_(pa.float32())),
    "large lists": lambda x: pa.array(x.tolist(), pa.large_list(pa.float64())),
    "list views": lambda x: pa.array(x.tolist(), pa.list_view(pa.float32())),
    "fixed-size lists": fixed,
    "fixed-size lists of halves": lambda x: fixed(x.astype(np.float16)),
    "fixed-size lists, a slice": lambda x: fixed(np.vstack([x, x]))[len(x) :],
    "tensors of Arrow": tensors,
    "chunks": lambda x: pa.chunked_array([fixed(x[:2]), fixed(x[2:])]),
    "a table": lambda x: pa.table(dict(zip("abc", x.T.copy(), strict=True))),
    "a table of lists": lambda x: pa.table({"embedding": fixed(x)}),
    "a batch": lambda x: pa.record_batch(dict(zip("abc", x.T.copy(), strict=True))),
    "a C stream": lambda x: Stream(pa.chunked_array([fixed(x[:2]), fixed(x[2:])])),
    "a C stream of a table": lambda x: Stream(pa.table(dict(zip("abc", x.T.copy(), strict=True)))),
    "a C array": lambda x: CArray(fixed(x)),
    "tensors": Tensor,
    "a list of tensors": lambda x: [Tensor(row) for row in x],
}


def values(**changes: Any) -> np.ndarray:
    given = {"x_train": X, "y_train": Y, "x_validation": Z, "y_validation": Y_Z, "k": 3, **changes}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return dvspark.value_arrays(**given)


@pytest.mark.parametrize("guise", MATRICES.values(), ids=MATRICES)
def test_value_arrays__embeddings_in_any_guise_are_the_numbers(guise: Any) -> None:
    np.testing.assert_array_equal(numbers_of(guise(X)), X)
    np.testing.assert_allclose(values(x_train=guise(X), x_validation=guise(Z)), values(), rtol=0, atol=1e-15)


def test_value_arrays__memory_maps_are_the_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(values(x_train=mapped), values())


COLUMNS: dict[str, Callable[[np.ndarray], Any]] = {
    "big-endian": lambda y: y.astype(y.dtype.newbyteorder(">")),
    "read-only": read_only,
    "masked nowhere": np.ma.array,
    "objects": lambda y: y.astype(object),
    "a list": lambda y: y.tolist(),
    "a list of NumPy's": list,
    "a tuple": lambda y: tuple(y.tolist()),
    "a generator": lambda y: (one for one in y),
    "a Series": lambda y: pd.Series(y, index=RNG.permutation(len(y))),
    "a nullable Series": lambda y: pd.Series(y).convert_dtypes(),
    "a Series of Arrow's": lambda y: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(y.tolist()))),
    "a nullable array": lambda y: pd.array(y.tolist()),
    "an index": pd.Index,
    "an Arrow array": lambda y: pa.array(y.tolist()),
    "a list of Arrow's": lambda y: list(pa.array(y.tolist())),
    "chunks": lambda y: pa.chunked_array([y[:2].tolist(), y[2:].tolist()]),
    "a dictionary": lambda y: pa.array(y.tolist()).dictionary_encode(),
    "a C stream": lambda y: Stream(pa.chunked_array([y[:2].tolist(), y[2:].tolist()])),
    "a C array": lambda y: CArray(pa.array(y.tolist())),
}
NUMBERS = {"tensors": Tensor, "a list of tensors": lambda y: [Tensor(one) for one in y]}
TABLES = {
    "a matrix of one column": lambda y: y[:, None],
    "a frame of one column": lambda y: pd.DataFrame({"y": y}),
    "a table of one column": lambda y: pa.table({"y": y.tolist()}),
    "a table of a dictionary": lambda y: pa.table({"y": pa.array(y.tolist()).dictionary_encode()}),
}
OF_WORDS = {
    "pandas 3 words": lambda y: pd.Series(y, dtype=PANDAS_3_WORDS),
    "Arrow words": lambda y: pd.Series(y, dtype="string[pyarrow]"),
    "categories": lambda y: pd.Series(pd.Categorical(y)),
    "large strings": lambda y: pa.array(y.tolist(), pa.large_string()),
    "string views": lambda y: Stream(pa.chunked_array([pa.array(y.tolist(), pa.string_view())])),
    "a dictionary of string views": lambda y: pa.DictionaryArray.from_arrays(
        pa.array(np.unique(y, return_inverse=True)[1], pa.uint32()), pa.array(np.unique(y).tolist(), pa.string_view())
    ),
}
if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
    OF_WORDS["NumPy's words of any length"] = lambda y: y.astype(np.dtypes.StringDType())


@pytest.mark.parametrize("guise", (COLUMNS | NUMBERS | TABLES).values(), ids=COLUMNS | NUMBERS | TABLES)
def test_value_arrays__labels_in_any_guise_are_the_labels(guise: Any) -> None:
    assert labels_of(guise(Y)).to_pylist() == Y.tolist()
    np.testing.assert_array_equal(values(y_train=guise(Y), y_validation=guise(Y_Z)), values())


@pytest.mark.parametrize("guise", (COLUMNS | TABLES | OF_WORDS).values(), ids=COLUMNS | TABLES | OF_WORDS)
def test_value_arrays__words_in_any_guise_are_the_words(guise: Any) -> None:
    np.testing.assert_array_equal(values(y_train=guise(WORDS[Y]), y_validation=guise(WORDS[Y_Z])), values())


@pytest.mark.parametrize("guise", (COLUMNS | NUMBERS).values(), ids=COLUMNS | NUMBERS)
def test_value_arrays__owners_and_ids_in_any_guise_are_what_they_are(guise: Any) -> None:
    options = {"method": "owner_knn_shapley", "k": 3}
    expected = values(owners=OWNERS, train_ids=IDS, **options)
    np.testing.assert_array_equal(values(owners=guise(OWNERS), train_ids=guise(IDS), **options), expected)


@pytest.mark.parametrize("guise", (COLUMNS | OF_WORDS).values(), ids=COLUMNS | OF_WORDS)
def test_value_arrays__owners_and_ids_of_words_in_any_guise_are_what_they_are(guise: Any) -> None:
    names, ids = np.array(list("wxyz"))[OWNERS], np.array([f"row {one}" for one in IDS])
    options = {"method": "owner_knn_shapley", "k": 3}
    expected = values(owners=names.tolist(), train_ids=ids.tolist(), **options)
    np.testing.assert_array_equal(values(owners=guise(names), train_ids=guise(ids), **options), expected)


@pytest.mark.parametrize("guise", (COLUMNS | NUMBERS | TABLES).values(), ids=COLUMNS | NUMBERS | TABLES)
def test_value_arrays__weights_and_targets_in_any_guise_are_the_numbers(guise: Any) -> None:
    weighted = {"method": "weighted_knn_shapley"}
    np.testing.assert_array_equal(values(weights=guise(WEIGHTS), **weighted), values(weights=WEIGHTS, **weighted))
    predicted = {"method": "knn_regression_shapley"}
    as_guise = values(y_train=guise(Y * 0.5), y_validation=guise(Y_Z * 0.5), **predicted)
    np.testing.assert_array_equal(as_guise, values(y_train=Y * 0.5, y_validation=Y_Z * 0.5, **predicted))


@pytest.mark.parametrize("guise", MATRICES.values(), ids=MATRICES)
def test_value_arrays__weights_of_pairs_in_any_guise_are_the_numbers(guise: Any) -> None:
    weights = np.abs(Z)
    given = {"x_train": X[:3], "y_train": [0, 1, 2], "method": "weighted_knn_shapley"}
    np.testing.assert_array_equal(values(weights=guise(weights), **given), values(weights=weights, **given))


SETS = {
    "tuples": lambda rows: [tuple(row) for row in rows],
    "sets": lambda rows: [set(row) for row in rows],
    "arrays": lambda rows: [np.array(row) for row in rows],
    "big-endian arrays": lambda rows: [np.array(row, ">i8") for row in rows],
    "Series of lists": pd.Series,
    "Arrow": pa.array,
    "Arrow in pandas": lambda rows: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(rows))),
    "large lists": lambda rows: pa.array(rows, pa.large_list(pa.int32())),
    "list views": lambda rows: pa.array(rows, pa.list_view(pa.int16())),
    "lists of dictionaries": lambda rows: pa.array(rows, pa.list_(pa.dictionary(pa.int8(), pa.int64()))),
    "a C stream": lambda rows: Stream(pa.chunked_array([rows])),
    "tensors": lambda rows: [Tensor(row) for row in rows],
}


@pytest.mark.parametrize("guise", SETS.values(), ids=SETS)
def test_value_arrays__sets_of_labels_in_any_guise_are_the_sets(guise: Any) -> None:
    y, y_z = ([[int(one)] + [7] * int(one == 2) for one in side] for side in (Y, Y_Z))
    np.testing.assert_array_equal(values(y_train=guise(y), y_validation=guise(y_z)), values())


# --- missing ----------------------------------------------------------------------------------------------

# Two rows, the second without: a label, an id or an owner.
WITHOUT: dict[str, Any] = {
    "None": [1, None],
    "NaN": [1.0, float("nan")],
    "NaN of NumPy": np.array([1.0, np.nan]),
    "NaN, big-endian": np.array([1.0, np.nan], ">f4"),
    "NaN of halves": np.array([1.0, np.nan], np.float16),
    "None among objects": np.array([1, None], object),
    "NaN among words": np.array(["a", float("nan")], object),
    "NaN in a list of words": ["a", np.nan],
    "NA": [1, pd.NA],
    "NA among words": ["a", pd.NA],
    "NaT": ["a", pd.NaT],
    "NumPy's NaT": ["a", np.datetime64("NaT")],
    "a decimal that is none": [decimal.Decimal(1), decimal.Decimal("NaN")],
    "masked": np.ma.array([1, 0], mask=[False, True]),
    "masked words": np.ma.array(["a", "b"], mask=[False, True]),
    "masked objects": np.ma.array(["a", "b"], object, mask=[False, True]),
    "masked in a list": [1, np.ma.masked],
    "a null": pa.array([1, None]),
    "a null of words": pa.array(["a", None]),
    "a null in chunks": pa.chunked_array([["a"], [None]]),
    "a null in a dictionary": pa.array(["a", None]).dictionary_encode(),
    "NaN in Arrow": pa.array([1.0, float("nan")]),
    "a null scalar": [pa.scalar(1), pa.scalar(None)],
    "a null in a C stream": Stream(pa.chunked_array([["a", None]])),
    "a null in a C array": CArray(pa.array(["a", None])),
    "nullable integers": pd.Series([1, None], dtype="Int64"),
    "nullable numbers": pd.array([1.0, None], dtype="Float64"),
    "nullable words": pd.Series(["a", None], dtype="string"),
    "pandas 3 words": pd.Series(["a", None], dtype=PANDAS_3_WORDS),
    "pandas objects": pd.Series(["a", None]),
    "a category": pd.Series(pd.Categorical(["a", None])),
    "Arrow in pandas": pd.Series(["a", None], dtype="string[pyarrow]"),
    "a column of a frame": pd.DataFrame({"y": [1, None]}),
}
NO_NAME = ("a decimal that is none", "a column of a frame")


@pytest.mark.parametrize("y", [WITHOUT[key] for key in WITHOUT if "decimal" not in key])
def test_value_arrays__a_label_that_is_missing_in_any_guise_is_missing(y: Any) -> None:
    with pytest.raises(InputError) as refused:
        values(x_train=[[0.0], [1.0]], y_train=y, x_validation=[[0.0]], y_validation=["a"])
    (problem,) = refused.value.problems
    assert (problem.expected, problem.got) == ("a label in every row", "1 without; the first: 1")


@pytest.mark.parametrize("names", [WITHOUT[key] for key in WITHOUT if key not in NO_NAME])
def test_value_arrays__an_id_or_owner_that_is_missing_in_any_guise_is_missing(names: Any) -> None:
    given = {"x_train": [[0.0], [1.0]], "y_train": [0, 1], "x_validation": [[0.0]], "y_validation": [0]}
    with pytest.raises(InputError) as refused:
        values(**given, owners=names, train_ids=names, method="owner_knn_shapley")
    assert sorted((p.where, p.expected, p.got) for p in refused.value.problems) == [
        ("owners", "an owner in every row", "1 without; the first: 1"),
        ("train_ids", "an id in every row", "1 without; the first: 1"),
    ]


SETS_WITHOUT = {
    "a row": [[1], None, [2, 3]],
    "NaN for a row": [[1], float("nan"), [2, 3]],
    "NA for a row": pd.Series([[1], pd.NA, [2, 3]]),
    "in a row": [[1], [4, None], [2, 3]],
    "NaN in a row": [[1], [4, float("nan")], [2, 3]],
    "NaN in a row's array": [np.array([1]), np.array([4.0, np.nan]), np.array([2])],
    "masked in a row": [[1], np.ma.array([4, 5], mask=[False, True]), [2]],
    "a null row": pa.array([[1], None, [2, 3]]),
    "a null in a row": pa.array([["a"], ["b", None], ["c"]]),
    "a fixed-size row": pa.array([[1, 2], None, [2, 3]], pa.list_(pa.int64(), 2)),
    "a matrix": np.array([[1, 2], [3, np.nan], [4, 5]]),
}


@pytest.mark.parametrize("y", SETS_WITHOUT.values(), ids=SETS_WITHOUT)
def test_value_arrays__sets_that_miss_a_label_in_any_guise_are_told(y: Any) -> None:
    with pytest.raises(InputError) as refused:
        values(x_train=[[0.0], [1.0], [2.0]], y_train=y, x_validation=[[0.0]], y_validation=[1])
    assert [problem.got for problem in refused.value.problems] == ["1 without; the first: 1"]


def masked(x: np.ndarray, of: Any = np.float64) -> Any:
    return np.ma.array(x.astype(of), mask=np.isnan(x))


def with_none(x: np.ndarray) -> list[list[Any]]:
    return [[None if np.isnan(one) else float(one) for one in row] for row in x]


MATRICES_WITHOUT: dict[str, Callable[[np.ndarray], Any]] = {
    "NaN": lambda x: x,
    "None": with_none,
    "None among objects": lambda x: np.array(with_none(x), object),
    "NA among objects": lambda x: np.where(np.isnan(x), pd.NA, x.astype(object)),
    "a row that is none": lambda x: [row if np.isfinite(row).all() else None for row in x],
    "a row that is NaN": lambda x: pd.Series([row if np.isfinite(row).all() else np.nan for row in x]),
    "masked": lambda x: masked(np.nan_to_num(x) * 1.0 + 0 * x),
    "masked where a number is": lambda x: np.ma.array(np.nan_to_num(x), mask=np.isnan(x)),
    "masked integers": lambda x: np.ma.array(np.nan_to_num(x).astype(int), mask=np.isnan(x)),
    "rows that are masked": lambda x: [np.ma.array(np.nan_to_num(row), mask=np.isnan(row)) for row in x],
    "a nullable frame": lambda x: pd.DataFrame(x).convert_dtypes(),
    "rows of nullable arrays": lambda x: [pd.array(row.tolist(), "Float64") for row in with_na(x)],
    "a null": lambda x: pa.array(with_none(x)),
    "a null of integers": lambda x: pa.array(with_none(np.round(x)), pa.list_(pa.int32())),
    "a null row": lambda x: pa.array([row if None not in row else None for row in with_none(x)]),
    "a null fixed-size row": lambda x: pa.array(
        [row if None not in row else None for row in with_none(x)], pa.list_(pa.float32(), D)
    ),
    "a null in a table": lambda x: pa.table([pa.array(column) for column in with_none(x.T)], list("abc")),
    "a null in a C stream": lambda x: Stream(pa.chunked_array([pa.array(with_none(x))])),
}


def with_na(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x), None, x.astype(object))


@pytest.mark.parametrize("guise", MATRICES_WITHOUT.values(), ids=MATRICES_WITHOUT)
def test_value_arrays__numbers_that_are_missing_in_any_guise_are_missing(guise: Any) -> None:
    x = X.astype(np.float64)
    x[4, 1] = np.nan
    with pytest.raises(InputError) as refused:
        values(x_train=guise(x))
    (problem,) = refused.value.problems
    assert (problem.where, problem.expected) == ("x_train", "finite numbers")
    assert "missing numbers, NaN or infinity in 1 rows; the first: 4" in problem.got


@pytest.mark.parametrize("weights", [WITHOUT[key] for key in WITHOUT if "words" not in key and key[:1] != "a"])
def test_value_arrays__weights_and_targets_that_are_missing_in_any_guise_are_missing(weights: Any) -> None:
    given = {"x_train": [[0.0], [1.0]], "y_train": [0, 1], "x_validation": [[0.0]], "y_validation": [0]}
    if any(isinstance(one, str) for one in names_of(weights)):
        return  # words are no numbers, whatever is missing beside them
    for changes in ({"weights": weights, "method": "weighted_knn_shapley"}, {"y_train": weights, "method": REGRESSION}):
        with pytest.raises(InputError, match="or missing; the first rows: 1"):
            values(**{**given, **changes})


REGRESSION = "knn_regression_shapley"


def test_is_missing__zeros_empty_words_and_flags_are_not() -> None:
    assert not any(map(is_missing, [0, 0.0, "", "nan", "None", False, np.float32(0), np.nan_to_num(1.0), [], ()]))


# --- what is refused --------------------------------------------------------------------------------------

ONE_HOT: dict[str, Callable[[np.ndarray], Any]] = {
    "a matrix": lambda y: np.eye(3)[y],
    "integers": lambda y: np.eye(3, dtype=np.int8)[y],
    "flags": lambda y: np.eye(3)[y] > 0,
    "lists": lambda y: np.eye(3)[y].tolist(),
    "lists of integers": lambda y: np.eye(3, dtype=int)[y].tolist(),
    "a list of arrays": lambda y: list(np.eye(3)[y]),
    "objects": lambda y: np.eye(3)[y].astype(object),
    "minus one and one": lambda y: 2 * np.eye(3)[y] - 1,
    "several classes": lambda y: np.maximum(np.eye(3)[y], np.eye(3)[(y + 1) % 3]),
    "sparse": lambda y: sparse.csr_matrix(np.eye(3)[y]),
    "a sparse array": lambda y: sparse.coo_array(np.eye(3)[y]),
    "a frame of dummies": lambda y: pd.get_dummies(pd.Series(WORDS[y])),
    "sparse dummies": lambda y: pd.get_dummies(pd.Series(WORDS[y]), sparse=True),
    "a Series": lambda y: pd.Series(list(np.eye(3)[y])),
    "Arrow": lambda y: pa.array(np.eye(3)[y].tolist()),
    "fixed-size lists": lambda y: fixed(np.eye(3)[y]),
    "an Arrow table": lambda y: pa.table(list(np.eye(3)[y].T), list("abc")),
    "a C stream": lambda y: Stream(pa.chunked_array([pa.array(np.eye(3, dtype=int)[y].tolist())])),
    "shares": lambda y: np.eye(3)[y] * 0.9 + 0.1 / 3,
}


@pytest.mark.parametrize("guise", ONE_HOT.values(), ids=ONE_HOT)
def test_value_arrays__one_hot_labels_in_any_guise_are_refused(guise: Any) -> None:
    for changes in ({"y_train": guise(Y)}, {"y_validation": guise(Y_Z)}):
        with pytest.raises(InputError, match="argmax") as refused:
            values(**changes)
        assert [problem.where for problem in refused.value.problems] == list(changes)


def test_value_arrays__one_hot_labels_of_two_classes_are_refused() -> None:
    with pytest.raises(InputError, match="argmax"):
        values(y_train=np.eye(2)[Y % 2], y_validation=np.eye(2)[Y_Z % 2])


NO_COLUMN = {
    "a word": "ab" * 10,
    "a set": set(range(N)),
    "a dict": dict.fromkeys(range(N), 1),
    "bytes": bytes(N),
    "sparse": sparse.csr_matrix(np.ones((N, 2))),
}


@pytest.mark.parametrize("column", NO_COLUMN.values(), ids=NO_COLUMN)
@pytest.mark.parametrize("where", ["x_train", "y_train", "weights", "owners", "train_ids"])
def test_value_arrays__what_has_no_rows_in_order_is_refused(where: str, column: Any) -> None:
    method = {"weights": "weighted_knn_shapley", "owners": "owner_knn_shapley"}.get(where, "knn_shapley")
    with pytest.raises(InputError) as refused:
        values(**{where: column}, method=method)
    assert [problem.where for problem in refused.value.problems] == [where]


SPANS = {
    "intervals": pd.interval_range(0, N),
    "intervals in a column": pd.Series(pd.interval_range(0, N)),
    "periods": pd.period_range("2020", periods=N, freq="D"),
    "periods in a column": pd.Series(pd.period_range("2020", periods=N, freq="M")),
}


@pytest.mark.parametrize("column", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("where", ["y_train", "owners", "train_ids"])
def test_value_arrays__spans_are_neither_sets_nor_numbers(where: str, column: Any) -> None:
    method = {"owners": "owner_knn_shapley"}.get(where, "knn_shapley")
    with pytest.raises(InputError, match="astype") as refused:
        values(**{where: column}, method=method)
    assert [problem.where for problem in refused.value.problems] == [where]


@pytest.mark.parametrize("guise", TABLES.values(), ids=TABLES)
def test_value_arrays__owners_and_ids_in_a_table_of_one_column_are_that_column(guise: Any) -> None:
    options = {"method": "owner_knn_shapley", "k": 3}
    expected = values(owners=OWNERS, train_ids=IDS, **options)
    np.testing.assert_array_equal(values(owners=guise(OWNERS), train_ids=guise(IDS), **options), expected)


class Elsewhere(Tensor):
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("can't convert a tensor that is on another device")


@pytest.mark.parametrize("where", ["x_train", "y_train", "train_ids"])
def test_value_arrays__what_cannot_be_converted_is_refused_with_the_reason(where: str) -> None:
    with pytest.raises(InputError, match="on another device"):
        values(**{where: Elsewhere(X)})


UNEQUAL = {
    "lists": [[1.0, 2.0]] * 19 + [[1.0]],
    "arrays": [*X[:19], X[0, :2]],
    "a Series": pd.Series([*X[:19], X[0, :2]]),
    "Arrow": pa.array([[1.0, 2.0]] * 19 + [[1.0]]),
    "large lists": pa.array([[1.0, 2.0]] * 19 + [[1.0]], pa.large_list(pa.float32())),
}


@pytest.mark.parametrize("x", UNEQUAL.values(), ids=UNEQUAL)
def test_value_arrays__rows_of_unequal_length_are_refused_in_any_guise(x: Any) -> None:
    with pytest.raises(InputError, match="rows of equal length"):
        values(x_train=x)


# --- findings ---------------------------------------------------------------------------------------------


def test_value_arrays__labels_that_say_nothing_are_warned_of_where_the_call_stands() -> None:
    for changes in ({"y_validation": Y_Z + 7}, {"y_train": [1] * N, "y_validation": [1] * M}):
        with pytest.warns(DataWarning, match="labels") as said:
            dvspark.value_arrays(**{"x_train": X, "y_train": Y, "x_validation": Z, "y_validation": Y_Z, **changes})
        assert [warning.filename for warning in said] == [__file__]
    with pytest.warns(DataWarning, match="one row alone"):
        dvspark.value_arrays(X, np.arange(N), self_validation=True)


def test_value_arrays__numbers_to_predict_have_no_such_findings() -> None:
    assert values(y_train=Y * 1.0, y_validation=Y_Z + 0.5, method=REGRESSION).shape == (N,)


def test_one_table__as_train_and_validation_is_warned_of() -> None:
    x, y = np.random.default_rng(4).standard_normal((30, 2)), np.arange(30) % 3
    ids = np.arange(30)[::-1]
    for given in ({}, {"train_ids": ids}):
        with pytest.warns(DataWarning, match="self_validation=True"):
            dvspark.value_arrays(x, y, x.copy(), y, k=2, **given)
    other = x.copy()
    other[7, 1] += 1e-9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dvspark.value_arrays(x, y, other, y, k=2)
        dvspark.value_arrays(x, y, x[:-1], y[:-1], k=2)
        dvspark.value_arrays(x, y, self_validation=True, k=2)
