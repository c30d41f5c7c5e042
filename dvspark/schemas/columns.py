"""From Arrow columns to arrays: embeddings become matrices, labels become codes; also tables as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas import Float64s, Floats, Int32s, TrainLabels

# Beyond these limits a squared distance, up to four times a squared norm, would overflow on the way.
LARGEST_SQUARED_NORM = {"default": 8e37, "float64": 4e307}
# Below this limit squares have lost bits, or vanished, so cosine would not know the direction.
SMALLEST_SQUARED_NORM = 1e-290
# Values are squares of targets, and are squared themselves for the standard error; weights add up.
LARGEST_NUMBER = 1e60


def embedding_matrix(column: pa.Array, dtype: np.dtype[np.floating]) -> Floats:
    """Return an Arrow column of equally long embeddings as (n, n_features) of ``dtype``.

    ``column`` holds lists of floats, or binary float32 little-endian. A list column of the right dtype without nulls is
    returned as a view.
    """
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        flat = np.frombuffer(b"".join(column.to_pylist()), "<f4")
    else:
        flat = column.flatten().to_numpy(zero_copy_only=False)
    matrix: Floats = flat.reshape(len(column), -1).astype(dtype, copy=False)
    return matrix


def canonical_labels(labels: pa.Array) -> pa.Array:
    """Return labels as int64 or string, or lists of either.

    Raises: pyarrow.ArrowInvalid for values that a cast would change, such as 1.5; TypeError for other types.
    """
    if is_multi_label(labels) or pa.types.is_fixed_size_list(labels.type):
        return labels.cast(pa.list_(_canonical_type(labels.type.value_type)))
    return labels.cast(_canonical_type(labels.type))


def is_target(labels: pa.Array) -> bool:
    """Return whether labels are numbers to predict. Such labels count as one class."""
    return bool(pa.types.is_floating(labels.type))


def target_numbers(labels: pa.Array) -> Float64s | None:
    """Return the numbers to predict, (n,) float64, or None if labels are classes."""
    return np.asarray(labels, np.float64) if is_target(labels) else None


def is_multi_label(labels: pa.Array) -> bool:
    """Return whether each row has an array of labels."""
    return pa.types.is_list(labels.type) or pa.types.is_large_list(labels.type)


def label_vocabulary(labels: pa.Array) -> pa.Array:
    """Return the distinct labels, ascending; for multi-label rows those in the arrays; none for numbers to predict."""
    if is_target(labels):
        return pa.array([], pa.float64())
    flat = pc.list_flatten(labels) if is_multi_label(labels) else labels
    distinct = pc.unique(flat)
    return distinct.take(pc.sort_indices(distinct))


def codes_of(labels: pa.Array, words: pa.Array) -> Int32s:
    """Return the places of labels in the vocabulary ``words``, (n,) int32; -1 for unknown labels."""
    if labels.type != words.type:  # an integer never equals a string, so no row matches
        return np.full(len(labels), -1, np.int32)
    found = pc.fill_null(pc.index_in(labels, value_set=words), -1)
    return np.asarray(found, np.int32)


def encode_labels(labels: pa.Array, words: pa.Array) -> list[Int32s]:
    """Return for each row the codes of its labels in the vocabulary ``words``. Unknown labels have no code.

    A label that is repeated in a row counts once.
    """
    if is_target(words):
        return [np.zeros(1, np.int32)] * len(labels)
    if not is_multi_label(labels):
        return [codes[codes >= 0] for codes in codes_of(labels, words)[:, None]]
    codes = codes_of(pc.list_flatten(labels), words)
    parents = np.asarray(pc.list_parent_indices(labels), np.int64)
    ends = np.searchsorted(parents, np.arange(len(labels)), side="right")
    rows = np.split(codes, ends[:-1]) if len(labels) else []
    return [np.unique(row[row >= 0]) for row in rows]


def encode_train_labels(labels: pa.Array, words: pa.Array) -> TrainLabels:
    """Return the labels of all training rows as codes, or as postings if rows have arrays of labels."""
    if is_target(labels):
        return TrainLabels(np.zeros(len(labels), np.int32))
    if not is_multi_label(labels):
        return TrainLabels(codes_of(labels, words))
    rows = np.asarray(pc.list_parent_indices(labels), np.int32)
    pairs = np.unique(np.stack([codes_of(pc.list_flatten(labels), words), rows]), axis=1)
    offsets = np.searchsorted(pairs[0], np.arange(len(words) + 1)).astype(np.int64)
    return TrainLabels(None, offsets, np.ascontiguousarray(pairs[1]))


def unmasked(numbers: Any) -> Float64s:
    """Return numbers as float64, NaN where they are masked: what NumPy keeps below a mask is no number."""
    found: Float64s = np.asarray(np.ma.filled(np.ma.asarray(numbers, np.float64), np.nan))
    return found


def from_ipc(stream: bytes | bytearray) -> pa.Table:
    """Return the rows of an Arrow IPC stream."""
    return pa.ipc.open_stream(pa.py_buffer(stream)).read_all()


def to_ipc(batch: pa.RecordBatch) -> bytes:
    """Return a batch as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _canonical_type(given: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(given) or pa.types.is_boolean(given) or pa.types.is_floating(given):
        return pa.int64()
    if pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return pa.string()
    raise TypeError(f"labels of type {given}")
