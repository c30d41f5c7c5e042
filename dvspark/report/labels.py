"""Labels as sets: one label, many labels or none, handled in one place for the whole report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Hashable


def label_set(label: Any) -> frozenset[Hashable]:
    """Return the labels of one row as a set; a missing label is the empty set."""
    if label is None:
        return frozenset()
    if isinstance(label, (list, tuple, set, frozenset, np.ndarray)):
        return frozenset(item for item in label if item is not None)
    return frozenset((label,))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds several labels for each row."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def are_classes(kind: pa.DataType) -> bool:
    """Return whether labels of this type are classes; real-valued ones are targets of a regression."""
    return not (pa.types.is_floating(kind) or pa.types.is_null(kind))


def memberships(
    labels: pa.ChunkedArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[Hashable | None]]:
    """Return which row is in which class, each pair once, and the names of the classes.

    ``labels`` (n,) of scalars or lists. The result has positions of rows (p,) int64, class codes (p,) int64 and the
    class names; a row without a label is in the class None. Cost: O(n log n) for lists, else O(n).
    """
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    column = labels.combine_chunks()
    if not is_list(column.type):
        codes, names = _encoded(column)
        return np.arange(len(codes)), codes, names
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
    codes, names = _encoded(pc.list_flatten(column))
    empty = np.setdiff1d(np.arange(len(column)), rows)
    if len(empty):
        if None not in names:
            names = [*names, None]
        rows = np.concatenate([rows, empty])
        codes = np.concatenate([codes, np.full(len(empty), names.index(None), dtype=np.int64)])
    # A list may repeat a label; the row is still one member of that class.
    pairs = np.unique(rows * len(names) + codes)
    return pairs // len(names), pairs % len(names), names


def _encoded(flat: pa.Array) -> tuple[npt.NDArray[np.int64], list[Hashable | None]]:
    if pa.types.is_dictionary(flat.type):
        flat = flat.cast(flat.type.value_type)
    encoded = flat.dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, encoded.dictionary.to_pylist()
