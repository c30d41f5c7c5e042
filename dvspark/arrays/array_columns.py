"""Labels, targets, weights, owners and ids that are given as arrays: read, checked, and brought to one type each.

Each ``read_…`` function adds what is wrong to the list ``problems`` and raises nothing, so one message can name all
problems. ``name`` says in a problem which argument it is about.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.arrays.array_guises import ERRORS, is_missing, labels_of, names_of, numbers_of
from dvspark.errors import Problem
from dvspark.schemas import Float64s, Int32s, Int64s, columns
from dvspark.schemas.columns import LARGEST_NUMBER
from dvspark.schemas.labels import ListForm, indicator_problem, rows_by_label

FIRST_ROWS = 5


def first_rows(bad: npt.NDArray[np.bool_]) -> str:
    """Return the positions of the first True places of ``bad`` as text, for a message."""
    return ", ".join(map(str, np.flatnonzero(bad)[:FIRST_ROWS]))


def read_labels(name: str, y: Any, n_rows: int, problems: list[Problem]) -> pa.Array:
    """Return labels as an Arrow array of int64, of string, or of lists of either."""
    expected = "one label a row: an integer, a string, or a sequence of either"
    try:
        array = columns.canonical_labels(labels_of(y))
    except ERRORS as error:
        hint = "use one kind of label for all rows; for shares of classes take the largest: y.argmax(axis=1)"
        problems.append(Problem(name, expected, str(error), hint))
        return pa.array([], pa.int64())
    several = columns.is_multi_label(array)
    missing = np.asarray(array.is_null())
    if several:
        rows, given = np.flatnonzero(~missing), array.drop_null()
        places = pc.list_parent_indices(given).filter(pc.list_flatten(given).is_null())
        missing[rows[np.asarray(places)]] = True
    if missing.any():
        got = f"{np.count_nonzero(missing)} without; the first: {first_rows(missing)}"
        problems.append(Problem(name, "a label in every row", got, "drop unlabelled rows"))
    elif n_rows and len(array) != n_rows:
        problems.append(Problem(name, f"{n_rows} labels, one a row", str(len(array)), "align labels and rows"))
    elif several and (found := indicator_problem(name, rows_by_label(array), ListForm.of(array))):
        problems.append(found)
    return array


def read_numbers(name: str, values: Any, problems: list[Problem]) -> Float64s | None:
    """Return finite float64 numbers of any shape, or None if there is a problem."""
    try:
        array = numbers_of(values)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"dtype {array.dtype}")
        array = array.astype(np.float64)
    except ERRORS as error:
        problems.append(Problem(name, "numbers", str(error), "give an array of numbers"))
        return None
    bad = ~np.isfinite(array)
    if bad.any():
        rows = np.asarray(bad.any(axis=tuple(range(1, bad.ndim))), np.bool_)
        got = f"{np.count_nonzero(bad)} that are NaN or infinite, or missing; the first rows: {first_rows(rows)}"
        problems.append(Problem(name, "finite numbers", got, "drop these rows"))
        return None
    return array


def read_small_numbers(name: str, values: Any, problems: list[Problem]) -> Float64s | None:
    """Return finite float64 numbers whose fourth powers float64 can hold, or None if there is a problem."""
    array = read_numbers(name, values, problems)
    if array is None or not (n_large := int(np.count_nonzero(np.abs(array) > LARGEST_NUMBER))):
        return array
    problems.append(Problem(name, f"numbers up to {LARGEST_NUMBER:.0e}", f"{n_large} larger", "scale them down"))
    return None


def read_targets(name: str, y: Any, n_rows: int, problems: list[Problem]) -> pa.Array:
    """Return the numbers to predict as an Arrow array of float64."""
    found = read_small_numbers(name, y, problems)
    if found is not None and found.shape not in ((n_rows,), (n_rows, 1)) and n_rows:
        problems.append(Problem(name, f"{n_rows} numbers, one a row", f"shape {found.shape}", "align them with rows"))
    return pa.array(np.zeros(0) if found is None else found.ravel())


def read_weights(weights: Any, shape: tuple[int, int], problems: list[Problem]) -> Float64s | None:
    """Return the weights, float64 (n_train,) or (n_validation, n_train), or None if there are none or a problem."""
    array = None if weights is None else read_small_numbers("weights", weights, problems)
    if array is None:
        return None
    if array.shape == (shape[1], 1) != shape:  # a table of one column
        array = array[:, 0]
    if array.shape not in (shape, shape[1:]):
        expected, got = f"shape {shape[1:]} or {shape}", f"shape {array.shape}"
        problems.append(Problem("weights", expected, got, "one a training row, or one a point and training row"))
    elif array.size and array.min() < 0:
        got = f"{int(np.count_nonzero(array < 0))} negative ones"
        problems.append(Problem("weights", "weights of at least 0", got, "weights say how much a neighbor counts"))
    return array


def read_validation_weights(weights: Any, n_rows: int, problems: list[Problem]) -> Float64s | None:
    """Return the weights of validation rows, float64 (n_validation,), or None if there are none or a problem."""
    where, hint = "validation_weights", "weights say how much a validation row counts; one above 0 at least"
    array = None if weights is None else read_small_numbers(where, weights, problems)
    if array is None:
        return None
    if array.shape == (n_rows, 1):  # a table of one column
        array = array[:, 0]
    if array.shape != (n_rows,):
        hint = "one a validation row"
        problems.append(Problem(where, f"shape ({n_rows},)", f"shape {array.shape}", hint))
    elif n_negative := int(np.count_nonzero(array < 0)):
        problems.append(Problem(where, "weights of at least 0", f"{n_negative} negative ones", hint))
    elif not array.any():
        problems.append(Problem(where, "a weight above 0", f"{n_rows} zeros", hint))
    return array


def read_owners(owners: Any, n_rows: int, problems: list[Problem]) -> Int32s | None:
    """Return each training row's owner as a position among all owners in ascending order, int32 (n_train,)."""
    names = None if owners is None else _names("owners", "owner", owners, n_rows, problems)
    if names is None:
        return None
    kinds = sorted({_kind(one) for one in names.ravel().tolist()})
    if names.shape != (n_rows,) or kinds not in (["integer"], ["string"]):
        got = f"shape {names.shape} of kind {', '.join(kinds)}"
        problems.append(Problem("owners", f"{n_rows} integers or strings", got, "one owner a training row"))
        return None
    return np.unique(names, return_inverse=True)[1].astype(np.int32)


def id_order(train_ids: Any, n_rows: int, problems: list[Problem], where: str = "train_ids") -> Int64s:
    """Return the positions of the training rows in ascending order of their ids, int64 (n_train,)."""
    as_given = np.arange(n_rows)
    ids = None if train_ids is None else _names(where, "id", train_ids, n_rows, problems)
    if ids is None:
        return as_given
    if ids.shape != (n_rows,) or ids.dtype.kind not in "iuUSO":
        got = f"shape {ids.shape}, dtype {ids.dtype}"
        problems.append(Problem(where, f"{n_rows} integers or strings", got, "one id a training row"))
        return as_given
    kinds = sorted({_kind(one) for one in ids}) if ids.dtype == object else ["integer"]
    if kinds not in (["integer"], ["string"]):
        got = f"ids of kind {', '.join(kinds)}"
        problems.append(Problem(where, "ids of one kind", got, "all integers or all strings"))
        return as_given
    order = np.argsort(ids, kind="stable")
    twice = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(twice):
        first = ", ".join(repr(i) for i in ids[order][twice][:FIRST_ROWS].tolist())
        got = f"{len(twice)} repeated; the first: {first}"
        problems.append(Problem(where, "unique ids", got, "make the ids unique: they decide ties"))
    return order


def _names(where: str, what: str, given: Any, n_rows: int, problems: list[Problem]) -> npt.NDArray[Any] | None:
    """Return ids or owners as given, or None if one is missing or they are unusable."""
    try:
        names = names_of(given)
    except ERRORS as error:
        problems.append(Problem(where, f"{n_rows} integers or strings", str(error), f"one {what} a training row"))
        return None
    if names.ndim != 1 or names.dtype.kind not in "Of":
        return names
    missing = np.array([is_missing(one) for one in names.tolist()], np.bool_)
    if not missing.any():
        return names
    got = f"{np.count_nonzero(missing)} without; the first: {first_rows(missing)}"
    problems.append(Problem(where, f"an {what} in every row", got, "all integers or all strings, none missing"))
    return None


def _kind(one: Any) -> str:
    """Return "integer", "string", or the name of a type that cannot be an id: NaN, for instance, has no order."""
    if isinstance(one, str):
        return "string"
    if isinstance(one, bool):  # in Python, bool is a kind of int
        return "bool"
    return "integer" if isinstance(one, Integral) else type(one).__name__
