"""NumPy files: embeddings in a file of their own beside one Parquet file of the other columns, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import fs

from dvspark.errors import InputError, Problem
from dvspark.tables.sources.formats.parquet import ParquetReader, parquet_columns, parquet_schemas
from dvspark.tables.sources.listing import listing_of
from dvspark.tables.sources.parts import BATCH_BYTES, NumpyPart, ParquetPart, Part
from dvspark.tables.sources.plain import look, plain_files
from dvspark.tables.sources.reader import Reader, TableFiles, WholeTable, parquet_parts

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


@dataclass(frozen=True)
class NumpyReader(Reader):
    """Reads the columns of one Parquet file, and the embeddings of its rows from a NumPy file."""

    @property
    def numbers(self) -> NumpyFile:
        """The file of embeddings. Raises: InputError."""
        return numpy_file(self.side, str(self.reference.embedding_file))

    def files(self) -> TableFiles:
        """Return the Parquet file, whose parts are read with those of the NumPy file.

        Raises: InputError if both files have embeddings, or neither has, NotLocalError.
        """
        seen, folders = plain_files(self)
        types, told = parquet_columns(self, seen, folders, parquet_schemas(seen, folders.files))
        numbers, name = self.numbers, self.reference.embedding
        if len(seen.files) > 1:
            hint = "write the rows to one file, in the order of the embeddings"
            raise InputError(Problem(self.where, "one Parquet file", f"{len(seen.files)} files", hint))
        if name in types:
            hint = f"leave {self.side}.embedding_file out, or drop the column"
            where, got = f"{self.side} column {name!r}", "both in the table and beside it"
            raise InputError(Problem(where, "embeddings in one place", got, hint))
        listing = listing_of([*seen.files, numbers.info])
        types = {**types, name: numbers.spark_type}
        return TableFiles(types, told, listing.record(), listing, partial(self._parts, numbers))

    def _parts(self, numbers: NumpyFile, path: str, stored: Mapping[str, str]) -> Sequence[Part] | None:
        name = self.reference.embedding
        others = {column: kind for column, kind in stored.items() if column != name}
        found = parquet_parts(path, others)
        if found is None:
            return None
        n_rows = sum(part.n_rows for part in found)
        if n_rows != numbers.n_rows:
            got, hint = f"{numbers.n_rows} in {numbers.path}", "write both from the same rows, in one order"
            raise InputError(Problem(f"{self.side}.embedding_file", f"{n_rows} rows, as in {path}", got, hint))
        return numbers.parts(name, found)

    def whole(self) -> WholeTable:
        """Return the rows of Parquet with the embeddings as lists of numbers. Raises: ConfigError, InputError."""
        rows = ParquetReader(self.side, self.reference, self.target).whole()
        file, name = self.numbers, self.reference.embedding
        field = pa.field(name, pa.list_(pa.from_numpy_dtype(file.dtype), file.n_features))

        def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
            asked = rows.schema.names if columns is None else [one for one in columns if one != name]
            numbers, first = np.load(file.path, mmap_mode="r", allow_pickle=False), 0
            for batch in rows.read(asked):
                some = np.ascontiguousarray(numbers[first : first + len(batch)], file.dtype.newbyteorder("="))
                first += len(batch)
                lists = pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), file.n_features)
                yield batch.append_column(field, lists) if columns is None or name in columns else batch
            if first != file.n_rows:
                got, hint = f"{first} rows beside {file.n_rows} embeddings", "write both from the same rows"
                raise InputError(Problem("train.embedding_file", "an embedding a row", got, hint))

        return replace(
            rows,
            format="numpy",
            schema=rows.schema.append(field),
            read=read,
            embedding=name,
            files=(*rows.files, file.path),
        )


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
