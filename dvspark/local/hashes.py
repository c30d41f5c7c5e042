"""Hashes: Spark's `xxhash64` of columns, in NumPy: chunks and samples are drawn by it, with Spark and without.

Source: Spark's `XxHash64` and `XXH64.java`; of bytes it is XXH64 (https://xxhash.com), of numbers a short form of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas import Int64s

Words = npt.NDArray[np.uint64]

# What Spark's expression begins with.
SEED = 42
P1, P2, P3, P4, P5 = (
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)
# Bytes of texts that are looked at at once: each has a place of 8 bytes meanwhile.
PIECE_BYTES = 2**22
# By how much the four lanes of a stripe of 32 bytes are turned before they are joined.
TURNS = (1, 7, 12, 18)


def xxhash64(columns: Iterable[pa.Array]) -> Int64s:
    """Return Spark's xxhash64 of columns, (n,) int64: integers, floats, texts, bytes, and lists of them.

    Nulls leave the hash of the columns before as it is. O(bytes) time; lists and texts are hashed place by place.
    """
    found: Words | None = None
    for column in columns:
        seeds = np.full(len(column), SEED, np.uint64) if found is None else found
        found = _hashed(column, seeds)
    return np.empty(0, np.int64) if found is None else found.view(np.int64)


def _hashed(column: pa.Array, seeds: Words) -> Words:
    """Return the hash of each entry that follows from the hash before it."""
    if pa.types.is_list(column.type):
        return _of_lists(column, seeds)
    kind = column.type
    with np.errstate(over="ignore"):
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            found = _of_texts(column.cast(pa.binary()), seeds)
        elif pa.types.is_float32(kind):
            found = _of_ints(_numbers(column, np.float32).view(np.uint32), seeds)
        elif pa.types.is_float64(kind):
            found = _of_longs(_numbers(column, np.float64).view(np.uint64), seeds)
        elif pa.types.is_int64(kind):
            found = _of_longs(_numbers(column, np.int64).view(np.uint64), seeds)
        else:
            raise TypeError(f"no hash of {kind}")
    return np.where(np.asarray(column.is_valid()), found, seeds) if column.null_count else found


def _numbers(column: pa.Array, dtype: type[np.generic]) -> npt.NDArray[np.generic]:
    """Return numbers without nulls, in memory of their own; minus zero is zero."""
    numbers = np.array(pc.fill_null(column, 0), dtype)
    return numbers + dtype(0)


def _of_lists(column: pa.Array, seeds: Words) -> Words:
    """Return the hashes of lists: of one element after the other."""
    found, values = seeds.copy(), column.values
    starts, sizes = column.offsets.to_numpy()[:-1].astype(np.int64), _sizes(column)
    for place in range(int(sizes.max(initial=0))):
        rows = np.flatnonzero(sizes > place)
        found[rows] = _hashed(values.take(pa.array(starts[rows] + place)), found[rows])
    return found


def _sizes(column: pa.Array) -> Int64s:
    lengths = pc.list_value_length(column) if pa.types.is_list(column.type) else pc.binary_length(column)
    return np.asarray(pc.fill_null(lengths, 0), np.int64)


def _of_texts(column: pa.Array, seeds: Words) -> Words:
    """Return the hashes of bytes, all of one length at once."""
    found, sizes = seeds.copy(), _sizes(column)
    _, offsets, data = column.buffers()
    starts = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column)].astype(np.int64)
    held = np.frombuffer(data if data is not None else b"", np.uint8)
    for size in np.unique(sizes):
        of_size, step = np.flatnonzero(sizes == size), max(1, PIECE_BYTES // max(1, int(size)))
        for start in range(0, len(of_size), step):
            rows = of_size[start : start + step]
            found[rows] = _of_bytes(held[starts[rows, None] + np.arange(size)], seeds[rows])
    return found


def _of_bytes(held: npt.NDArray[np.uint8], seeds: Words) -> Words:
    """Return XXH64 of rows (n, n_bytes)."""
    n_bytes = held.shape[1]
    n_words = n_bytes // 8
    words = np.ascontiguousarray(held[:, : 8 * n_words]).view("<u8").astype(np.uint64).reshape(len(held), n_words)
    done, found = 0, seeds + P5
    if n_bytes >= 32:
        done = 4 * (n_bytes // 32)
        found = _of_stripes(words[:, :done], seeds)
    found = found + np.uint64(n_bytes)
    for place in range(done, n_words):
        found = _turned(found ^ (_turned(words[:, place] * P2, 31) * P1), 27) * P1 + P4
    place = 8 * n_words
    if place + 4 <= n_bytes:
        half = np.ascontiguousarray(held[:, place : place + 4]).view("<u4").astype(np.uint64)[:, 0]
        found = _turned(found ^ (half * P1), 23) * P2 + P3
        place += 4
    for last in range(place, n_bytes):
        found = _turned(found ^ (held[:, last].astype(np.uint64) * P5), 11) * P1
    return _mixed(found)


def _of_stripes(words: Words, seeds: Words) -> Words:
    """Return the hash of whole stripes of four words."""
    lanes = [seeds + P1 + P2, seeds + P2, seeds.copy(), seeds - P1]
    for place in range(0, words.shape[1], 4):
        for n in range(4):
            lanes[n] = _turned(lanes[n] + words[:, place + n] * P2, 31) * P1
    found = np.zeros_like(seeds)
    for lane, turn in zip(lanes, TURNS, strict=True):
        found = found + _turned(lane, turn)
    for lane in lanes:
        found = (found ^ (_turned(lane * P2, 31) * P1)) * P1 + P4
    return found


def _of_ints(numbers: npt.NDArray[np.uint32], seeds: Words) -> Words:
    return _mixed(_turned((seeds + P5 + np.uint64(4)) ^ (numbers.astype(np.uint64) * P1), 23) * P2 + P3)


def _of_longs(numbers: Words, seeds: Words) -> Words:
    return _mixed(_turned((seeds + P5 + np.uint64(8)) ^ (_turned(numbers * P2, 31) * P1), 27) * P1 + P4)


def _turned(words: Words, n_bits: int) -> Words:
    return (words << np.uint64(n_bits)) | (words >> np.uint64(64 - n_bits))


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(33))) * P2
    words = (words ^ (words >> np.uint64(29))) * P3
    return words ^ (words >> np.uint64(32))
