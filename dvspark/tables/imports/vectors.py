"""Vectors: columns that hold numbers in lists of lists, in structs, or as ml vectors, as rows of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas import Bools

# What Spark calls the fields of an ml vector; type 0 is sparse.
ML_VECTOR = {"type", "size", "indices", "values"}


def vector_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type of the numbers of a column of vectors, float32 or float64; None for a column of others.

    float16 and integers of at most 16 bits become float32, which has them all; wider integers become float64.
    """
    kind = _stored_type(kind)
    if pa.types.is_struct(kind):
        field = _field(kind, ML_VECTOR)
        return None if field is None else vector_type(kind.field(field).type)
    if not _is_list(kind):
        return None
    while _is_list(kind):
        kind = _stored_type(kind.value_type)
        if pa.types.is_struct(kind):
            kind = kind.field(0).type if kind.num_fields == 1 else pa.null()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return (
            pa.float64() if kind in (pa.float64(), pa.int32(), pa.int64(), pa.uint32(), pa.uint64()) else pa.float32()
        )
    return None


def vectors_of(column: pa.Array) -> tuple[pa.ListArray, Bools]:
    """Return all numbers of each row in one list, in order, and which rows, or something in them, are null, (n,).

    Lists of lists are flattened, of structs with one field this field is taken, sparse ml vectors get their zeros.
    The column's type is one for which `vector_type` is not None.
    """
    kind, n_rows = vector_type(column.type), len(column)
    column = _stored(column)
    is_odd = pc.is_null(column).to_numpy(zero_copy_only=False).copy()
    if pa.types.is_struct(column.type):
        names = {column.type.field(place).name for place in range(column.type.num_fields)}
        column = _dense(column) if names >= ML_VECTOR else pc.struct_field(column, str(_field(column.type, ML_VECTOR)))
    lengths, values = np.ones(n_rows, np.int64), column
    while True:
        rows = np.repeat(np.arange(n_rows), lengths)
        is_odd[rows[pc.is_null(values).to_numpy(zero_copy_only=False)]] = True
        if not _is_list(values.type):
            break
        inner = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        lengths = np.bincount(rows, weights=inner, minlength=n_rows).astype(np.int64)
        values = _stored(values.flatten())
        if pa.types.is_struct(values.type):
            values = pc.struct_field(values, [0])
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    # An unsafe cast, which rounds integers that a double cannot hold, as a job does.
    return pa.ListArray.from_arrays(offsets, values.cast(kind, safe=False)), is_odd


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _field(kind: pa.DataType, ml_vector: set[str]) -> str | None:
    """Return the field of a struct that has the numbers: `values` of an ml vector, or the only one."""
    names = [kind.field(place).name for place in range(kind.num_fields)]
    return "values" if set(names) >= ml_vector else names[0] if len(names) == 1 else None


def _stored_type(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _stored(column: Any) -> Any:
    """Return a column of an extension type, such as a matrix of fixed shape, as what it is stored as."""
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


def _dense(column: pa.StructArray) -> pa.Array:
    """Return ml vectors as lists of their numbers; sparse ones with the zeros that they leave out."""
    values = pc.struct_field(column, "values")
    is_sparse = pc.fill_null(pc.equal(pc.struct_field(column, "type"), 0), False)
    if not pc.any(is_sparse).as_py():
        return values
    rows = [
        _filled(row) if row is not None and row["type"] == 0 else row and row["values"] for row in column.to_pylist()
    ]
    return pa.array(rows, pa.list_(pa.float64()))


def _filled(row: dict[str, Any]) -> list[float] | None:
    if row["values"] is None or row["indices"] is None or row["size"] is None:
        return None
    x = np.zeros(row["size"])
    x[row["indices"]] = row["values"]
    return x.tolist()
