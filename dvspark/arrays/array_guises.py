"""The forms in which arrays are given, of NumPy, pandas, Arrow, Polars or `datasets`, read as numbers, labels or names.

In every form these stand for a missing element: None, NaN, pandas' NA and NaT, a masked element, an Arrow null.
"""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Array = npt.NDArray[Any]

# What the libraries raise for data that they cannot read.
ERRORS = (TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError, pa.ArrowException)
# Elements of lists that NumPy can stack as they are. From other types it would lose masks and nulls.
PLAIN = (list, tuple, float, int, np.generic)
# Spans of time and of numbers, of which Arrow stores numbers that mean something else without their type.
SPANS = ("pandas.period", "pandas.interval")
# Types that need no conversion, as for almost all elements. A test by type is 50 times faster than one by one.
WORDS = {int, str, bool}


def numbers_of(given: Any) -> Array:
    """Return an array in native byte order, numeric if it holds any number; NaN stands for a missing element.

    Rows of numbers, each an array or a list, are stacked to a matrix, and so are the columns of a table. dvspark copies
    only where it must.
    Raises: one of ERRORS, if rows are not equally long or elements are not numbers.
    """
    opened = _opened(given)
    if isinstance(opened, list):
        opened = _array_of_list(opened)
    if isinstance(opened, pa.Array):
        return _numbers_of_arrow(opened)
    if np.ma.is_masked(opened):
        data = np.ma.getdata(opened)
        of_missing = data.dtype if data.dtype.kind == "f" else np.float64 if data.dtype.kind in "iub" else object
        filled = data.astype(of_missing)
        filled[np.ma.getmaskarray(opened)] = np.nan
        opened = filled
    array = _native(np.asarray(opened))
    return _numbers_of_objects(array) if array.dtype == object and array.ndim else array


def labels_of(given: Any) -> pa.Array:
    """Return one label, or one list of labels, for each row, in the type that Arrow infers; null where one is missing.

    A matrix with one column counts as that column; a matrix with more columns gives a list for each row. Sets are
    sorted.
    Raises: one of ERRORS, if the labels are of several kinds.
    """
    opened = _opened(given)
    if np.ma.is_masked(opened):
        opened = opened.tolist()
    if isinstance(opened, pa.Array) and pa.types.is_struct(opened.type):
        columns = [_decoded(column) for column in opened.flatten()]
        opened = columns[0] if len(columns) == 1 else [list(row) for row in zip(*map(_listed, columns), strict=True)]
    if isinstance(opened, np.ndarray):
        array = _native(opened)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            opened = _listed(array)
        elif array.dtype.kind == "f":
            opened = array.astype(np.float64, copy=False)
        else:
            opened = array if array.dtype.kind in "iubUS" else _listed(array)
    if isinstance(opened, list) and not WORDS.issuperset(map(type, opened)):
        opened = [_label(row) for row in opened]
    labels = pa.array(opened, from_pandas=True)
    return pc.if_else(pc.is_nan(labels), None, labels) if pa.types.is_floating(labels.type) else labels


def names_of(given: Any) -> Array:
    """Return ids or owners as an array of their own type, or of objects with None where one is missing.

    A table or matrix with one column counts as that column. Raises: one of ERRORS, if they cannot be read.
    """
    opened = _opened(given)
    if isinstance(opened, pa.Array) and pa.types.is_struct(opened.type) and opened.type.num_fields == 1:
        opened = _decoded(opened.flatten()[0])
    if isinstance(opened, np.ndarray) and opened.ndim == 2 and opened.shape[1] == 1:
        opened = opened[:, 0]
    if isinstance(opened, np.ndarray) and opened.dtype.kind not in "OT" and not np.ma.is_masked(opened):
        return _native(opened)
    if isinstance(opened, pa.Array) and pa.types.is_primitive(opened.type) and not opened.null_count:
        return np.asarray(opened.to_numpy(zero_copy_only=False))
    if isinstance(opened, np.ndarray) and opened.ndim != 1:
        return np.asarray(opened)
    # A list stays objects: NumPy would turn the 1 of [1, "a"] into a word.
    listed = _listed(opened)
    return _of_objects(listed if WORDS.issuperset(map(type, listed)) else [_element(one) for one in listed])


def is_missing(one: Any) -> bool:
    """Return whether a single element stands for a missing one."""
    if one is None or one is np.ma.masked or type(one).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(one, numbers.Number) and bool(one != one)  # noqa: PLR0124 - NaN alone is not itself


def _opened(given: Any) -> Any:  # noqa: PLR0911 - one a guise
    """Return the same data as a NumPy array (maybe masked), an Arrow array or a list."""
    if isinstance(given, np.ma.MaskedArray):
        return given
    if isinstance(given, np.ndarray):
        return np.asarray(given)
    if isinstance(given, str | bytes | bytearray | Mapping | Set):
        raise TypeError(f"a {type(given).__name__}, which is no column of rows")
    if hasattr(given, "tocsr"):
        raise TypeError("a sparse matrix; give its toarray(), and of one-hot labels the argmax(axis=1)")
    library = type(given).__module__.partition(".")[0]
    if library in _OF_LIBRARY:
        return _OF_LIBRARY[library](given)
    if hasattr(given, "__arrow_c_array__"):
        return _decoded(pa.array(given))
    if hasattr(given, "__arrow_c_stream__"):
        return _decoded(pa.chunked_array(given).combine_chunks())
    if hasattr(given, "collect"):
        raise TypeError(f"a {type(given).__name__}, whose rows are not here yet; collect() them")
    if hasattr(given, "__array__") or not isinstance(given, Iterable):
        return np.asarray(given)
    return list(given)


def _of_pandas(given: Any) -> Any:
    """Return a pandas column as a NumPy array, or as an Arrow array if NumPy lacks its type; a frame as a matrix."""
    if given.ndim != 1:
        return given.to_numpy()
    if isinstance(given.dtype, np.dtype):
        return np.asarray(given)
    try:
        column = pa.array(given, from_pandas=True)
    except ERRORS:  # Arrow does not know some types, such as pandas' sparse ones
        return np.asarray(given)
    return _decoded(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)


def _of_dataset(given: Any) -> Any:
    """Return a Hugging Face dataset, or a column of one, as it is stored; its own formats may round, and are slower."""
    column = getattr(given, "column_name", None)
    source = given if column is None else given.source
    if type(source).__name__ != "Dataset" or source.format["type"] == "custom":  # rows are not here, or computed
        return list(given)
    table = source.select_columns(source.column_names if column is None else [column]).with_format("arrow")[:]
    return _opened(table if column is None else table[column])


_OF_LIBRARY = {"pandas": _of_pandas, "datasets": _of_dataset}


def _decoded(array: pa.Array) -> pa.Array:
    """Return an Arrow array with plain values: no dictionary, run-end or view encoding."""
    if isinstance(array, pa.ExtensionArray):
        if array.type.extension_name in SPANS:
            raise TypeError(f"a column of type {array.type}; give it as text: astype(str)")
        return _decoded(array.storage)
    if pa.types.is_dictionary(array.type):
        words = _decoded(array.dictionary)
        return pa.DictionaryArray.from_arrays(array.indices, words).dictionary_decode()
    if pa.types.is_string_view(array.type):  # few of Arrow's functions take this type, in which Polars gives text
        return array.cast(pa.large_string())
    if pa.types.is_run_end_encoded(array.type):
        return pc.run_end_decode(array)
    if pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type) or _holds_words_apart(array.type):
        return pa.array(array.to_pylist())  # Arrow can cast only some of these types, and some casts give wrong values
    return array


def _holds_words_apart(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType) and pa.types.is_dictionary(kind.value_type)


def _native(array: Array) -> Array:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _of_objects(elements: list[Any]) -> Array:
    found = np.empty(len(elements), object)
    for place, one in enumerate(elements):  # element by element: in one step, NumPy would split rows of equal length
        found[place] = one
    return found


def _listed(column: Any) -> list[Any]:
    """Return the elements of a column as Python objects."""
    listed: list[Any] = column.to_pylist() if isinstance(column, pa.Array) else getattr(column, "tolist", column.copy)()
    return listed


def _array_of_list(rows: list[Any]) -> Array:
    """Return a list of numbers, or of rows, as a NumPy array; of objects if NumPy would change the elements."""
    if all(isinstance(row, PLAIN) or type(row) is np.ndarray for row in rows):
        try:
            return np.asarray(rows)
        except ValueError:  # rows are not equally long; or one of them is missing
            pass
    return _of_objects(rows)


def _numbers_of_arrow(array: pa.Array) -> Array:
    kind = array.type
    if pa.types.is_struct(kind):
        columns = [_numbers_of_arrow(_decoded(column)) for column in array.flatten()]
        return columns[0] if len(columns) == 1 and columns[0].ndim == 2 else np.column_stack(columns)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = pc.list_value_length(array).unique().drop_null()
        if len(lengths) > 1:
            raise ValueError(f"rows of {lengths[0]} numbers, and of {lengths[1]}")
        flat = _numbers_of_arrow(_decoded(pc.list_flatten(array)))
        given = np.asarray(array.is_valid())
        return _with_missing(flat.reshape(len(array) - array.null_count, -1), given)
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        if not pa.types.is_decimal(kind):
            raise TypeError(f"Arrow's type {kind}")
        array = array.cast(pa.float64())
    if array.null_count and not pa.types.is_floating(kind):
        array = array.cast(pa.float64(), safe=False)
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _numbers_of_objects(array: Array) -> Array:
    """Return numbers, or rows of numbers, that are held in an array of objects."""
    if {float, int}.issuperset(map(type, array.flat)):
        return array.astype(np.float64)
    elements = [_element(one) for one in array.flat]
    is_column = array.ndim == 1 or array.shape[1:] == (1,)  # of a frame of one column, too
    if is_column and any(isinstance(one, Iterable) and not isinstance(one, str | bytes) for one in elements):
        return _stacked(elements)
    kinds = (numbers.Real, decimal.Decimal)
    others = sorted({type(one).__name__ for one in elements if not is_missing(one) and not isinstance(one, kinds)})
    if others:
        raise TypeError(f"elements of type {', '.join(others)}")
    found = [np.nan if is_missing(one) else float(one) for one in elements]
    return np.array(found, np.float64).reshape(array.shape)


def _stacked(rows: list[Any]) -> Array:
    """Return rows of numbers as a matrix; a missing row becomes NaN."""
    given = np.array([not is_missing(row) for row in rows], np.bool_)
    found = [numbers_of(row) for row, is_given in zip(rows, given, strict=True) if is_given]
    shapes = sorted({row.shape for row in found})
    if len(shapes) > 1:
        raise ValueError(f"rows of shape {shapes[0]}, and of {shapes[1]}")
    return _with_missing(np.stack(found), given) if found else np.full((len(rows), 1), np.nan)


def _with_missing(rows: Array, given: npt.NDArray[np.bool_]) -> Array:
    """Return a matrix of all rows: ``rows`` at the places where ``given`` is True, and NaN at the others."""
    if given.all() or rows.dtype.kind not in "iufb":
        return rows
    dtype = rows.dtype if rows.dtype.kind == "f" else np.dtype(np.float64)
    found = np.full((len(given), *rows.shape[1:]), np.nan, dtype)
    found[given] = rows
    return found


def _element(one: Any) -> Any:
    """Return a scalar of NumPy, Arrow or a tensor library as a Python object; any other object as it is."""
    if isinstance(one, np.generic):
        return one.item()
    if isinstance(one, pa.Scalar):
        return one.as_py()
    if getattr(one, "shape", None) == () and one is not np.ma.masked:
        return one.item()
    return one


def _label(row: Any) -> Any:
    """Return a label, or the list of labels of a row, as Python objects; None if it is missing."""
    row = _element(row)
    if type(row) in WORDS:
        return row
    if is_missing(row):
        return None
    if isinstance(row, str | bytes | Mapping) or not isinstance(row, Iterable):
        return row
    labels = list(row)
    if not WORDS.issuperset(map(type, labels)):
        labels = [_label(one) for one in labels]
    return sorted(labels) if isinstance(row, Set) else labels
