"""NumPy files: embeddings of a table's rows in a file beside it, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyarrow import fs

from dvspark.errors import InputError, Problem
from dvspark.tables.sources.parts import BATCH_BYTES, NumpyPart, ParquetPart
from dvspark.tables.sources.plain import look

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference

# Types of numbers, and the Spark type in which rows of them are used.
TYPES = {"float16": "array<float>", "float32": "array<float>", "float64": "array<double>"}
# A task reads about so many bytes of embeddings.
PART_BYTES = 32 * 2**20


@dataclass(frozen=True)
class NumpyFile:
    """A matrix in a NumPy file: one embedding a row. ``info`` is how the file is listed."""

    path: str
    info: fs.FileInfo
    dtype: np.dtype[np.floating]
    n_rows: int
    n_features: int

    @property
    def spark_type(self) -> str:
        """The type of the column."""
        return TYPES[self.dtype.name]

    def parts(self, name: str, others: Sequence[ParquetPart]) -> list[NumpyPart]:
        """Return the parts of other columns, in their order, with embeddings as the column ``name``."""
        row_bytes = max(1, self.n_features * self.dtype.itemsize)
        most, batch_rows = max(1, PART_BYTES // row_bytes), max(1, BATCH_BYTES // row_bytes)
        found, first = list[NumpyPart](), 0
        for part in others:
            for skipped in range(0, part.n_rows, most):
                found.append(
                    NumpyPart(
                        part.path,
                        min(most, part.n_rows - skipped),
                        min(batch_rows, part.batch_rows),
                        part.told,
                        part.row_groups,
                        name=name,
                        numbers=self.path,
                        first=first + skipped,
                        skipped=skipped,
                    )
                )
            first += part.n_rows
        return found


def numpy_problems(side: str, reference: TableReference) -> Iterator[Problem]:
    """Yield what is wrong with the settings of embeddings in a file of their own."""
    if reference.embedding_file is None:
        return
    if reference.table is not None or reference.format != "parquet":
        got = f"table {reference.table}" if reference.table is not None else f"format {reference.format}"
        hint = f"give the other columns as one Parquet file, or leave {side}.embedding_file out"
        yield Problem(f"{side}.embedding_file", "a path of format parquet beside it", got, hint)


def numpy_file(side: str, place: str) -> NumpyFile:
    """Return what a NumPy file tells of itself.

    Raises: InputError unless it holds a matrix of floating-point numbers.
    """
    where, seen = f"{side}.embedding_file", look(place)
    if seen is None or not seen.is_file or seen.storage.file_system.type_name != "local":
        raise InputError(Problem(where, "a file that this process sees, and all hosts", place, "check the spelling"))
    path, expected = (
        seen.storage.root,
        "a matrix of float16, float32 or float64 in NumPy's format, one row an embedding",
    )
    hint = "numpy.save(path, embeddings)"
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(Problem(where, expected, f"{place}: {error}", hint)) from error
    if not isinstance(held, np.ndarray) or held.ndim != 2 or held.dtype.name not in TYPES:
        got = f"{held.dtype} of shape {held.shape}" if isinstance(held, np.ndarray) else "an archive of several arrays"
        raise InputError(Problem(where, expected, f"{got} in {place}", hint))
    return NumpyFile(path, seen.files[0], held.dtype, *held.shape)
