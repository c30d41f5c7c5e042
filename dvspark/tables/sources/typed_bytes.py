"""Typed bytes: embeddings in binary columns, whose numbers have a declared type, or can have only one type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Types that bytes may be declared to hold, little-endian, and the Spark type in which each is used.
DTYPES = {"float16": "array<float>", "float32": "binary", "float64": "array<double>"}
# Rows that are looked at to tell whether bytes hold float32.
SAMPLE_ROWS = 1_000
# Numbers of a table lie within so many powers of two, 5th to 95th percentile; bits of another type, read as exponents,
# lie farther apart: random ones of float16 within 27, those of float32 within 230.
MOST_OCTAVES = 20.0
# Numbers below have lost digits in float32.
SMALLEST = 2.0**-126


def decoded(batches: Iterator[pa.RecordBatch], dtype: str) -> Iterator[pa.RecordBatch]:
    """Yield batches with their binary column `embedding` as lists of numbers; bytes that do not fit become one NaN."""
    stored = np.dtype(dtype).newbyteorder("<")
    used = np.float32 if dtype == "float16" else np.float64
    for batch in batches:
        rows = [
            None
            if held is None
            else np.frombuffer(held, stored).astype(used)
            if len(held) % stored.itemsize == 0
            else np.full(1, np.nan, used)
            for held in batch.column("embedding").to_pylist()
        ]
        numbers = pa.array(rows, pa.list_(pa.from_numpy_dtype(used)))
        place = batch.schema.get_field_index("embedding")
        yield batch.set_column(place, "embedding", numbers)


def doubt(held: bytes) -> str:
    """Return why bytes may not be float32, or an empty text; ``held`` has many rows of whole float32 numbers.

    In float32, the lower half of a number is the end of its mantissa: all zero, or bits that look random. In two
    float16 or bfloat16 numbers, the lower half is a number of about the size of the others. In a float64, each second
    float32 is the end of a mantissa.
    """
    singles, lower = np.frombuffer(held, "<f4"), np.frombuffer(held, "<u2")[0::2]
    sizes = np.abs(singles[singles != 0])
    doubts = {
        "numbers of float32 that lie too far apart, as bits of another type would": not _is_plausible(singles),
        "numbers that float32 hardly holds, as bits of another type or order would be": (sizes < SMALLEST).any(),
        "each second float32 is zero, as those of float64 may be": len(singles) > 2 and not singles[0::2].any(),
        "bytes that may be float16 as well as float32": lower.any() and _is_plausible(lower.view("<f2")),
        "bytes that may be bfloat16 as well as float32": lower.any()
        and _is_plausible((lower.astype("<u4") << 16).view("<f4")),
    }
    return next((said for said, is_so in doubts.items() if is_so), "") if len(sizes) else ""


def _is_plausible(numbers: npt.NDArray[np.floating]) -> bool:
    """Return whether numbers look like computed ones: finite, and of sizes that are not too different."""
    with np.errstate(invalid="ignore"):  # NaN that signal
        wide = numbers.astype(np.float64)
    if not np.isfinite(wide).all():
        return False
    sizes = np.abs(wide[wide != 0])
    if not len(sizes):
        return False
    low, high = np.percentile(np.log2(sizes), [5, 95])
    return bool(high - low < MOST_OCTAVES)
