"""Parts: what one task reads of a table's files, with Arrow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from dvspark.schemas.arrow import arrow_type

# A batch of this size stays in the cache while it is decoded and checked.
BATCH_BYTES = 4 * 2**20
# A column's bytes are read from its file in pieces of this size, not row group by row group.
BUFFER_BYTES = 2**20
# A column whose pages are larger than this may be one long word that many rows repeat.
LARGE_WORDS = 2**24

Stored = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Part(ABC):
    """What one task reads of a file: ``n_rows`` rows, in batches of ``batch_rows`` where the format lets choose.

    ``told``: columns that are not in the file, and their value in all of its rows.
    """

    path: str
    n_rows: int
    batch_rows: int
    told: tuple[tuple[str, Any], ...] = ()

    @abstractmethod
    def stored(self, names: list[str]) -> Stored:
        """Yield columns that are in the file, in its own types; texts may be dictionaries."""


@dataclass(frozen=True)
class ParquetPart(Part):
    """Some row groups of a Parquet file."""

    row_groups: tuple[int, ...] = ()

    def stored(self, names: list[str]) -> Stored:
        """Yield columns. Memory: a batch, and a page of each column."""
        large = self._large_words(names)
        with pq.ParquetFile(self.path, buffer_size=BUFFER_BYTES, pre_buffer=False, read_dictionary=large) as file:
            groups = list(self.row_groups)
            yield from file.iter_batches(self.batch_rows, row_groups=groups, columns=names, use_threads=False)

    def _large_words(self, names: list[str]) -> list[str]:
        """Return the text columns whose words must be checked before rows repeat them."""
        footer = pq.read_metadata(self.path)
        groups = [footer.row_group(number) for number in self.row_groups]
        places = [n for n in range(footer.num_columns) if footer.schema.column(n).path in names]
        texts = [n for n in places if footer.schema.column(n).physical_type == "BYTE_ARRAY"]
        return [
            footer.schema.column(n).path
            for n in texts
            if any(group.column(n).total_uncompressed_size > LARGE_WORDS for group in groups)
        ]


@dataclass(frozen=True)
class NumpyPart(ParquetPart):
    """Rows ``skipped`` to ``skipped + n_rows`` of row groups, with embeddings, the column ``name``, of another file.

    The embeddings are in a NumPy file, from its row ``first`` on.
    """

    name: str = ""
    numbers: str = ""
    first: int = 0
    skipped: int = 0

    def stored(self, names: list[str]) -> Stored:
        """Yield columns. Memory: a batch, and what the pages of the others take."""
        others = [name for name in names if name != self.name]
        numbers = np.load(self.numbers, mmap_mode="r", allow_pickle=False)
        done = 0
        for batch in super().stored(others) if others else self._no_columns():
            start = min(max(self.skipped - done, 0), len(batch))
            stop = min(max(self.skipped + self.n_rows - done, 0), len(batch))
            first, done = self.first + done + start - self.skipped, done + len(batch)
            if stop > start:
                kept = batch.slice(start, stop - start)
                if self.name in names:
                    kept = kept.append_column(self.name, lists(_native(numbers[first : first + len(kept)])))
                yield kept.select(names) if names else kept
            if done >= self.skipped + self.n_rows:
                return

    def _no_columns(self) -> Stored:
        """Yield batches of as many rows as the others would have, for a task that asks for embeddings alone."""
        for start in range(0, self.skipped + self.n_rows, self.batch_rows):
            yield pa.record_batch({"": pa.nulls(min(self.batch_rows, self.skipped + self.n_rows - start))})


@dataclass(frozen=True)
class CsvPart(Part):
    """A file of comma-separated values: ``kinds`` are the Spark types of its columns.

    The embedding, the column ``name``, is in the columns ``numbers``, which are of type ``number``.
    """

    kinds: tuple[tuple[str, str], ...] = ()
    name: str = ""
    numbers: tuple[str, ...] = ()
    number: str = "double"

    def stored(self, names: list[str]) -> Stored:
        """Yield columns. Memory: some blocks of the file's text."""
        kinds = dict(self.kinds)
        asked = {name: kinds[name] for name in names if name != self.name}
        asked |= dict.fromkeys(self.numbers, self.number) if self.name in names else {}
        asked = asked or dict(self.kinds[:1])  # a batch tells how many rows there are
        with opened_csv(self.path, asked) as reader:
            for batch in reader:
                columns = [self._column(batch, name) for name in names]
                yield pa.RecordBatch.from_arrays(columns, names) if names else batch

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        if name != self.name:
            return batch.column(name)
        columns = [batch.column(number) for number in self.numbers]
        rows = np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
        nulls = None
        if any(column.null_count for column in columns):
            nulls = np.column_stack([pc.is_null(column).to_numpy(zero_copy_only=False) for column in columns])
        return lists(rows.astype(arrow_type(self.number).to_pandas_dtype(), copy=False), nulls)


def opened_csv(path: str, kinds: Mapping[str, str], texts: Sequence[str] = ()) -> Any:
    """Return a reader of a CSV file, which may be compressed; an empty cell is a null, an empty text in quotes a text.

    ``kinds``: the columns to read, and their Spark types; none: all columns, of which ``texts`` are texts.
    """
    convert = partial(
        pyarrow.csv.ConvertOptions,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types={name: arrow_type(kind) for name, kind in (dict.fromkeys(texts, "string") | dict(kinds)).items()},
    )
    return pyarrow.csv.open_csv(
        pa.input_stream(path, compression="detect"),
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=BATCH_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=convert(include_columns=list(kinds)) if kinds else convert(),
    )


def _native(rows: Any) -> Any:
    """Return rows in memory, in the order of this machine's bytes; those of float16 as float32, which Spark has."""
    return np.ascontiguousarray(rows, np.float32 if rows.dtype.itemsize == 2 else rows.dtype.newbyteorder("="))


def lists(rows: Any, nulls: Any = None) -> pa.ListArray:
    """Return the rows of a matrix as a column of lists; ``nulls``: which of its numbers are missing."""
    n_rows, n_numbers = rows.shape
    flat = pa.array(rows.ravel(), mask=None if nulls is None else nulls.ravel())
    ends = np.arange(n_rows + 1, dtype=np.int64) * n_numbers
    if ends[-1] < 2**31:
        return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), flat)
    return pa.LargeListArray.from_arrays(pa.array(ends), flat)
