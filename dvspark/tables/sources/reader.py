"""Reader: what is asked of the format of a table, on Spark and without it; nothing else in reading asks which it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from pyarrow import fs

from dvspark.errors import Problem
from dvspark.tables.sources.canonical import kind_of
from dvspark.tables.sources.listing import Listing
from dvspark.tables.sources.not_local import NotLocalError, not_local, not_local_problem
from dvspark.tables.sources.parts import ParquetPart, Part
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.row_files import FOOTER_THREADS, RowFiles, parts_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Reader(ABC):
    """How one table is read, the ``side`` of a job: a class for each format, which `formats.reader_of` chooses.

    ``target``: what labels are used as, "label", or "number" to predict.
    """

    side: str
    reference: TableReference
    target: str = "label"

    @property
    def where(self) -> str:
        """What messages call the table."""
        return f"{self.side} table {self.reference}"

    @property
    def uses(self) -> dict[str, str]:
        """The column of each role; that of labels that are numbers to predict under "target"."""
        return {kind_of(role, self.target): name for role, name in self.reference.columns().items()}

    @property
    def bytes_dtype(self) -> str | None:
        """The declared type of numbers in embeddings that are bytes."""
        return self.reference.embedding_dtype

    def only_spark(self) -> list[Problem]:
        """Return why only Spark can read the table, as far as its reference tells."""
        if self.reference.table is None:
            return []
        return [not_local_problem(f"{self.side}.table", "a path", f"table {self.reference.table} of Spark's catalogs")]

    def require_local(self) -> None:
        """Raise NotLocalError for a table of which the reference tells that only Spark can read it."""
        if problems := self.only_spark():
            raise NotLocalError(problems)

    @abstractmethod
    def files(self) -> TableFiles:
        """Return the table's files as this process sees them, settled before any is read.

        Raises: InputError with what is wrong with the table, NotLocalError for one that only Spark reads, or reads
        surely.
        """

    def frame(self, spark: SparkSession) -> SparkTable | None:  # noqa: ARG002 - which most formats need
        """Return the table as Spark reads it; None where tasks read its `files`, as a process without Spark would.

        Raises: InputError with what is wrong with the table; Spark's own errors.
        """
        return None

    def footer_rows(self) -> int | None:
        """Return how many rows the files say to have; None if this process cannot tell without reading them."""
        return None

    def at(self, source: Mapping[str, Any]) -> Self:  # noqa: ARG002 - files have no states
        """Return what reads the table in the state that a run recorded as its ``source``."""
        return self

    @abstractmethod
    def whole(self) -> WholeTable:
        """Return the table with all its columns.

        Raises: ConfigError for a format that this process cannot write again, InputError where the table is not there.
        """


@dataclass(frozen=True)
class SparkTable:
    """A table as Spark reads it. ``source`` says for the run record which state it is.

    ``listing``: of files that could change. ``in_files``: the rows are those of Parquet files, and of nothing else.
    """

    frame: DataFrame
    source: dict[str, Any]
    listing: Listing | None = None
    in_files: bool = False


@dataclass(frozen=True)
class WholeTable:
    """A table of one ``format``: parquet, csv, delta, iceberg, or numpy, which is Parquet with a NumPy file beside it.

    ``read`` yields batches of some columns of ``schema``, None for all, in the order of the table's rows. Cells of CSV
    files are texts. ``embedding`` is the column whose numbers lie in the NumPy file. ``partitions`` are columns by
    which a Delta table has its files in folders. ``files`` are those that make up the table, if copies of them are one.
    """

    format: str
    schema: pa.Schema
    read: Callable[[list[str] | None], Iterator[pa.RecordBatch]]
    embedding: str | None = None
    partitions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    root: str = ""
    file_system: fs.FileSystem | None = None


def parquet_parts(path: str, stored: Mapping[str, str]) -> list[ParquetPart] | None:
    """Return the parts of a Parquet file; None if it has not all columns in these types, or is asked for none."""
    return parts_of(path, stored) if stored else None


@dataclass(frozen=True)
class TableFiles:
    """A table's files: the type of each column as Spark calls it, and of each file what its folder or log tells.

    ``source`` says for the run record which state it is; ``listing``: of files that could change. ``parts`` gives what
    tasks read of a file, None if it has not all columns in the given types.
    """

    types: dict[str, str]
    told: dict[str, dict[str, Any]]
    source: dict[str, Any]
    listing: Listing | None = None
    parts: Callable[[str, Mapping[str, str]], Sequence[Part] | None] = parquet_parts

    def row_files(self, where: str, names: dict[str, str], types: dict[str, str]) -> RowFiles:
        """Return the files as what their rows are read in; ``names`` and ``types``: of columns, by role.

        Raises: NotLocalError for a file that has not all columns in their types, as whose rows Spark reads nulls.
        """
        if dotted := sorted(name for name in names.values() if "." in name):
            raise not_local(where, "names of columns without dots", ", ".join(dotted))
        kinds = {name: self.types.get(name, "") for name in names.values()}
        if decimals := [f"{name} {kind}" for name, kind in kinds.items() if kind.startswith("decimal")]:
            # Spark has its own way of rounding decimals to doubles.
            raise not_local(where, "columns of doubles in place of decimals", ", ".join(decimals))

        def parts(path: str) -> list[Part] | None:
            told = {name: value for name, value in self.told[path].items() if name in names.values()}
            found = self.parts(path, {name: self.types[name] for name in names.values() if name not in told})
            return None if found is None else [replace(part, told=tuple(told.items())) for part in found]

        with ThreadPoolExecutor(FOOTER_THREADS) as pool:
            found = dict(zip(self.told, pool.map(parts, self.told), strict=True))
        odd = [path for path, of_file in found.items() if of_file is None]
        if odd:
            expected = "Parquet files that can be read, each with the same columns of the same types"
            raise not_local(where, expected, f"{len(odd)} others; the first: {odd[0]}")
        return RowFiles(tuple(part for of_file in found.values() for part in of_file or []), names, types)
