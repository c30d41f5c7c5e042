"""Local files: the rows of a table that this process reads itself, the same as Spark would, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.local.rows import Batches, LocalRows
from dvspark.local.session import LocalSession
from dvspark.tables.sources.canonical import canonical_columns, kind_of
from dvspark.tables.sources.class_labels import unlabeled
from dvspark.tables.sources.csv_files import csv_table
from dvspark.tables.sources.folders import Folders, folders_of, twins
from dvspark.tables.sources.listing import Listing, listing_of
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.numpy_files import NumpyFile, numpy_file
from dvspark.tables.sources.parts import Part
from dvspark.tables.sources.pinned import VERSIONED, pinned
from dvspark.tables.sources.plain import Seen, disagreement, folder_type, look, refuse, stored_columns, unread
from dvspark.tables.sources.row_files import FOOTER_THREADS, RowFiles, local_path, parts_of
from dvspark.tables.sources.typed_bytes import DTYPES, decoded
from dvspark.tables.sources.types import spark_type

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference

# Of a job without Spark.
LOCAL = ", under engine: local"
SPARK_HINT = "set engine: spark, or leave it out (pip install 'dvspark[spark]', and Java or its extra `java`)"


class NotLocalError(ConfigError):
    """Raised for what a job with Spark can do, and one without cannot."""


@dataclass(frozen=True)
class LocalTable:
    """A table's files: the type of each column as Spark calls it, and of each file what its folder or log tells.

    ``source`` says for the run record which state it is; ``listing``: of files that could change. ``parts``: of files
    that have been read to know their types; ``numbers``: the file that has the embeddings, if these are not in Parquet.
    """

    types: dict[str, str]
    told: dict[str, dict[str, Any]]
    source: dict[str, Any]
    listing: Listing | None = None
    parts: Mapping[str, Part] | None = None
    numbers: NumpyFile | None = None


def not_local(where: str, expected: str, got: str) -> NotLocalError:
    """Return the refusal of what a job without Spark cannot do."""
    return NotLocalError(Problem(where, expected + LOCAL, got, SPARK_HINT))


def format_problem(side: str, reference: TableReference) -> list[Problem]:
    """Return why a job without Spark cannot read a table, as far as its reference tells."""
    if reference.table is not None and reference.format != "iceberg":
        expected, got = "a path", f"table {reference.table} of Spark's catalogs"
        return [Problem(f"{side}.table", expected + LOCAL, got, SPARK_HINT)]
    if reference.format not in ("parquet", "csv", *VERSIONED):
        expected = "parquet, csv, delta or iceberg"
        return [Problem(f"{side}.format", expected + LOCAL, reference.format, SPARK_HINT)]
    return []


def local_table(side: str, reference: TableReference, target: str) -> LocalTable:
    """Return a table's files, settled before any is read.

    Raises: InputError with what is wrong with the table, NotLocalError for one that only Spark reads, or reads surely.
    """
    if problems := format_problem(side, reference):
        raise NotLocalError(problems)
    if reference.format in VERSIONED:
        return _lake(side, reference)
    return _plain(side, reference, target)


def local_files(side: str, reference: TableReference, table: LocalTable, types: dict[str, str]) -> RowFiles:
    """Return the files of a table as what they are read in; ``types``: of its columns, by role.

    Raises: NotLocalError for a file that has not all columns in these types, as whose rows Spark reads nulls.
    """
    names = reference.columns()
    if dotted := sorted(name for name in names.values() if "." in name):
        raise not_local(f"{side} table {reference}", "names of columns without dots", ", ".join(dotted))

    def parts(path: str) -> Sequence[Part] | None:
        told = {name: value for name, value in table.told[path].items() if name in names.values()}
        stored = {name: table.types[name] for name in names.values() if name not in told}
        if table.numbers is not None:
            del stored[reference.embedding]
        if table.parts is not None:
            return [replace(table.parts[path], told=tuple(told.items()))] if table.parts[path].n_rows else []
        found = parts_of(path, stored) if stored else None
        if found is None or table.numbers is None:
            return None if found is None else [replace(part, told=tuple(told.items())) for part in found]
        n_rows = sum(part.n_rows for part in found)
        if n_rows != table.numbers.n_rows:
            got, hint = f"{table.numbers.n_rows} in {table.numbers.path}", "write both from the same rows, in one order"
            raise InputError(Problem(f"{side}.embedding_file", f"{n_rows} rows, as in {path}", got, hint))
        return table.numbers.parts(reference.embedding, found)

    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        found = dict(zip(table.told, pool.map(parts, table.told), strict=True))
    odd = [path for path, of_file in found.items() if of_file is None]
    if odd:
        expected = "Parquet files that can be read, each with the same columns of the same types"
        raise not_local(f"{side} table {reference}", expected, f"{len(odd)} others; the first: {odd[0]}")
    return RowFiles(tuple(part for of_file in found.values() for part in of_file or []), names, types)


def local_frame(session: LocalSession, files: RowFiles, dtype: str | None) -> LocalRows:
    """Return the rows of files; ``dtype``: declared, of embeddings in bytes."""
    types = dict(files.types)
    if dtype is not None and DTYPES[dtype] != "binary":
        types["embedding"] = DTYPES[dtype]
    is_decoded = types != files.types
    rows = LocalRows(session, types, lambda _: iter(()))
    empty = pa.RecordBatch.from_pylist([], rows.schema)

    def read(columns: list[str]) -> Batches:
        if not files.parts:
            yield empty.select(columns)
        for part in files.parts:
            batches = files.read(part, columns)
            yield from decoded(batches, str(dtype)) if is_decoded and "embedding" in columns else batches

    return replace(rows, read=read)


def local_types(side: str, reference: TableReference, table: LocalTable, target: str) -> dict[str, str] | list[Problem]:
    """Return the type in which each role's column is used, or everything wrong with the table's columns."""
    if reference.format == "csv":  # its numbers have been read in the type that is declared
        reference = replace(reference, embedding_dtype=None)
    return canonical_columns(side, reference, target, list(table.types.items()), tells_case=False)


def _plain(side: str, reference: TableReference, target: str) -> LocalTable:
    """Return a plain table's files, as `plain.plain_table` settles them."""
    place, where = str(reference.path), f"{side} table {reference}"
    seen = look(place)
    if seen is None or seen.storage.file_system.type_name != "local":
        raise not_local(where, "files of this machine", place)
    refuse(contradiction(side, place, reference.format, seen.inside))
    refuse(*unread(where, seen))
    if not seen.files:
        refuse(Problem(where, "a table that exists", f"no file at {place}", "check the spelling"))
    folders = folders_of(where, seen.names())
    if isinstance(folders, list):
        raise InputError(folders)
    if reference.format == "csv":
        return _csv(side, reference, target, seen, folders)
    stored = stored_columns(seen, folders.files)
    if stored is None:
        raise not_local(where, "Parquet files that can be read", "one whose footer cannot")
    roles = {kind_of(role, target): name for role, name in reference.columns().items()}
    used = list(dict.fromkeys(roles.values()))
    refuse(*twins(where, used, [*stored[1], *folders.values]))
    kinds = {name: spark_type(kind) for name, kind in stored[1].items()}
    if unknown := [f"{name} {stored[1][name]}" for name in used if name in kinds and kinds[name] is None]:
        raise not_local(where, "columns of types that Spark has, too", ", ".join(unknown))
    types = {name: kind or "struct" for name, kind in kinds.items()}
    both = [name for name in used if name in types and name in folders.values]
    refuse(*(disagreement(side, name, seen, folders, stored[0]) for name in both))
    outside = [name for name in folders.values if name not in types]
    types |= {name: folder_type(folders, name, roles) for name in outside}
    told = {
        seen.path(path): {name: folders.values[name][number] for name in outside}
        for number, path in enumerate(folders.files)
    }
    if reference.embedding_file is not None:
        return _beside(side, reference, seen, LocalTable(types, told, {}))
    refuse(*unlabeled(side, reference.label, seen))
    listing = listing_of(seen.files)
    return LocalTable(types, told, listing.record(), listing)


def _csv(side: str, reference: TableReference, target: str, seen: Seen, folders: Folders) -> LocalTable:
    """Return the files of a table as comma-separated values."""
    paths = [seen.path(name) for name in folders.files]
    types, parts = csv_table(side, reference, target, paths, folders)
    roles = {kind_of(role, target): name for role, name in reference.columns().items()}
    types |= {name: folder_type(folders, name, roles) for name in folders.values}
    told = {path: {name: texts[number] for name, texts in folders.values.items()} for number, path in enumerate(paths)}
    listing = listing_of(seen.files)
    return LocalTable(types, told, listing.record(), listing, parts=dict(zip(paths, parts, strict=True)))


def _beside(side: str, reference: TableReference, seen: Seen, table: LocalTable) -> LocalTable:
    """Return a Parquet file with the embeddings of another file. Raises: InputError if both have them, or neither."""
    numbers, name = numpy_file(side, str(reference.embedding_file)), reference.embedding
    if len(seen.files) > 1:
        hint = "write the rows to one file, in the order of the embeddings"
        refuse(Problem(f"{side} table {reference}", "one Parquet file", f"{len(seen.files)} files", hint))
    if name in table.types:
        hint = f"leave {side}.embedding_file out, or drop the column"
        refuse(Problem(f"{side} column {name!r}", "embeddings in one place", "both in the table and beside it", hint))
    listing = listing_of([*seen.files, numbers.info])
    types = {**table.types, name: numbers.spark_type}
    return replace(table, types=types, source=listing.record(), listing=listing, numbers=numbers)


def _lake(side: str, reference: TableReference) -> LocalTable:
    """Return the files of one state of a Delta or Iceberg table."""
    if reference.path is not None:
        refuse(contradiction(side, reference.path, reference.format))
    found = pinned(side, reference)
    paths = [local_path(path) for path in found.files]
    if None in paths:
        where, first = f"{side} table {reference}", found.files[paths.index(None)]
        raise not_local(where, "files of this machine", f"{first}, of format {reference.format}")
    types = {field.name: kind for field in found.schema if (kind := spark_type(field.type)) is not None}
    by_file: list[Mapping[str, Any]] = [{}] * len(paths) if found.partitions is None else found.partitions.to_pylist()
    told = {str(path): dict(of_file) for path, of_file in zip(paths, by_file, strict=True)}
    outside = set() if found.partitions is None else {*found.partitions.column_names}
    by = "files" if outside.isdisjoint(reference.columns().values()) else "log"
    return LocalTable(types, told, {"format": found.format, **found.record(), "reader": by})
