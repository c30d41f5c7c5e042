"""Words: text columns must be UTF-8, which neither Parquet's readers nor Spark check."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]


def readable_words(column: pa.Array) -> tuple[pa.Array, Bools | None]:
    """Return a column with bytes that are not UTF-8 shown as escapes, and which rows had such text; None if no row had.

    ``column`` is text, lists of text, or any other type, which is returned as it is. Cost: one look at its bytes.
    """
    if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
        values, bad = readable_words(column.flatten())
        if bad is None:
            return column, None
        sizes = np.asarray(pc.fill_null(pc.list_value_length(column), 0))
        offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
        rows = np.zeros(len(column), np.bool_)
        rows[np.asarray(pc.list_parent_indices(column))[bad]] = True
        return pa.ListArray.from_arrays(offsets, values, type=column.type, mask=column.is_null()), rows
    if not pa.types.is_string(column.type):
        return column, None
    stored = column.cast(pa.binary())
    try:
        stored.cast(pa.string())  # this check looks at the bytes
    except pa.ArrowInvalid:
        words = [None if word is None else word.decode("utf-8", "backslashreplace") for word in stored.to_pylist()]
        shown = pa.array(words, pa.string())
        return shown, np.asarray(pc.fill_null(pc.not_equal(shown.cast(pa.binary()), stored), False))
    return column, None


def readable_batch(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, Bools]]:
    """Return a batch of `ROWS` with readable text, and for each problem the rows that have it."""
    found = {name: readable_words(batch.column(name)) for name in batch.schema.names if name != "embedding"}
    problems = {f"{name} is not UTF-8": bad for name, (_, bad) in found.items() if bad is not None}
    if not problems:
        return batch, {}
    columns = [found[name][0] if name in found else batch.column(name) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema), problems


def in_id_order(keys: pa.Table) -> pa.Table:
    """Return key columns in id order, nulls last, each in one chunk. Cost: O(n log n), O(n) where they are in order."""
    ids = keys["id"].combine_chunks()
    if ids.null_count or (len(ids) > 1 and not pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py()):
        keys = keys.sort_by("id")
    return keys.combine_chunks()
