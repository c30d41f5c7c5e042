"""Row digests: a table is known again by the sum of the sha256 of its rows, whoever reads them in whatever order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.kernels import loops

# Rows of bytes (n, n_bytes), the letters of their texts, where each text starts and ends (n + 1,), digests (n, 32).
HashRows = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]

# Text that Python shows between single quotes as it is: printable ASCII without quotes and backslashes.
SHOWN_AS_IT_IS = r"^[ -&(-\[\]-~]*$"
# Shorter rows are put beside their texts and hashed in one call, half the time at 256 bytes. Copies of longer ones
# would cost more than a second call.
SHORT_BYTES = 2_048


def sum_of_hashes(batch: pa.RecordBatch, *, compiled: bool = False) -> int:
    """Return the sum of the sha256 of all rows. It depends on the rows, but not on their order or batches.

    The sha256 of a row covers the bytes of its numbers, then the text by which Python shows its other columns.
    ``compiled``: loads Numba, if it is installed, for which half a second must be worth while.
    Cost: 1 ns a number, 0.5 µs a row, or 0.1 µs if compiled.
    """
    texts, embedding = _texts(batch), batch.column("embedding")
    rows = _matrix_bytes(embedding)
    if rows is not None and compiled and (hash_rows := compiled_loop()) is not None:
        digests = [_in_one_call(hash_rows, rows, texts)]
    elif rows is not None and rows.shape[1] <= SHORT_BYTES:
        digests = _side_by_side(rows, texts)
    else:
        shown = texts.cast(pa.binary()).to_pylist()
        digests = [_digest(numbers, text) for numbers, text in zip(_bytes_of_rows(embedding), shown, strict=True)]
    # 256 bits as eight numbers of 32, whose sums do not overflow: a batch has fewer than 2^32 rows.
    sums = np.frombuffer(b"".join(digests), "<u4").reshape(-1, 8).sum(axis=0, dtype=np.uint64)
    return sum(number << (32 * place) for place, number in enumerate(sums.tolist()))


@functools.cache
def compiled_loop() -> HashRows | None:
    """Return what hashes rows in one call; None where Numba or the library is missing, or it hashes otherwise."""
    if not loops.is_compiled():
        return None
    if loops.before_numba is not None:
        loops.before_numba()
    try:
        from dvspark.tables.compiled_digests import hash_rows  # noqa: PLC0415 - an extra
    except (ImportError, AttributeError, OSError):
        return None
    rows = np.arange(2 * 64, dtype=np.uint8).reshape(2, 64)
    as_it_should = [_digest(row.tobytes(), text) for row, text in zip(rows, (b"[1]", b"[]"), strict=True)]
    found = _in_one_call(hash_rows, rows, pa.array(["[1]", "[]"]))
    return hash_rows if found == b"".join(as_it_should) else None


def _in_one_call(hash_rows: HashRows, rows: np.ndarray, texts: pa.Array) -> bytes:
    """Return the digests of rows of bytes (n, n_bytes), each followed by its text, one after the other."""
    starts, letters = _letters(texts)
    out = np.empty((len(rows), 32), np.uint8)
    hash_rows(rows, letters, starts, out)
    return out.tobytes()


def _letters(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return where each text starts and the last one ends, (n + 1,), in the letters of all."""
    _, offsets, content = texts.buffers()
    starts = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return starts.astype(np.int64), np.frombuffer(content, np.uint8)


def _digest(numbers: bytes | memoryview, text: bytes) -> bytes:
    hashed = sha256(numbers)
    hashed.update(text)
    return hashed.digest()


def _side_by_side(rows: np.ndarray[tuple[int, int], np.dtype[np.uint8]], texts: pa.Array) -> list[bytes]:
    """Return the digests of rows of bytes (n, n_bytes), each followed by its text; by the length of the text."""
    starts, letters = _letters(texts)
    lengths, digests = np.diff(starts), list[bytes]()
    for length in np.unique(lengths).tolist():
        here = np.flatnonzero(lengths == length)
        both = np.empty((len(here), rows.shape[1] + length), np.uint8)
        both[:, : rows.shape[1]] = rows if len(here) == len(rows) else rows[here]
        both[:, rows.shape[1] :] = letters[starts[here, None] + np.arange(length)]
        seen, size = both.data.cast("B"), both.shape[1]
        digests += [sha256(seen[start : start + size]).digest() for start in range(0, len(seen), size)]
    return digests


def _texts(batch: pa.RecordBatch) -> pa.Array:
    """Return for each row the text by which Python shows a list of its columns but the embedding, in order of names."""
    shown = [_shown(batch.column(name)) for name in sorted(set(batch.schema.names) - {"embedding"})]
    if not shown:
        return pa.array(["[]"] * len(batch), pa.string())
    inside = pc.binary_join_element_wise(*shown, ", ")
    return pc.binary_join_element_wise("[", inside, "]", "")


def _shown(column: pa.Array) -> pa.Array:
    """Return the text by which Python shows each value: by Arrow where that is the same, else by Python itself."""
    if pa.types.is_integer(column.type):
        return pc.fill_null(column.cast(pa.string()), "None")
    is_text = pa.types.is_string(column.type)
    if is_text and pc.all(pc.match_substring_regex(column, SHOWN_AS_IT_IS)).as_py() is not False:
        return pc.fill_null(pc.binary_join_element_wise("'", column, "'", ""), "None")
    return pa.array([repr(value) for value in column.to_pylist()], pa.string())


def _matrix_bytes(embedding: pa.Array) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]] | None:
    """Return the bytes of rows of equally many numbers, none of them null, (n, n_bytes); None for others."""
    if not pa.types.is_list(embedding.type) or embedding.null_count or not len(embedding):
        return None
    values = embedding.flatten()
    sizes = np.unique(np.diff(np.asarray(embedding.offsets)))
    if values.null_count or len(sizes) > 1 or not sizes[0]:
        return None
    return values.to_numpy().view(np.uint8).reshape(len(embedding), -1)


def _bytes_of_rows(embedding: pa.Array) -> Iterator[bytes | memoryview]:
    """Yield the bytes of each row's numbers; empty for a null."""
    if not pa.types.is_list(embedding.type):
        yield from (numbers or b"" for numbers in embedding.to_pylist())
        return
    stored = pc.fill_null(embedding.values, 0.0).to_numpy()
    numbers, ends = memoryview(stored).cast("B"), embedding.offsets.to_numpy() * stored.itemsize
    for start, end, given in zip(ends[:-1].tolist(), ends[1:].tolist(), embedding.is_valid().to_pylist(), strict=True):
        yield numbers[start:end] if given else b""
