"""Parquet: files in a folder, of which footers give the columns."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dvspark.errors import InputError, Problem, shown
from dvspark.tables.sources.class_labels import unlabeled
from dvspark.tables.sources.folders import NUMBER, WHOLE, Folders, doubled, twins, two_meanings
from dvspark.tables.sources.listing import listing_of
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.other_files import hint_for
from dvspark.tables.sources.plain import (
    Seen,
    inferred_schema,
    look,
    plain_files,
    plain_frame,
    refuse,
)
from dvspark.tables.sources.reader import Reader, SparkTable, TableFiles, WholeTable
from dvspark.tables.sources.row_files import FOOTER_THREADS
from dvspark.tables.sources.types import ddl_of, spark_type
from dvspark.tables.sources.unreadable import half_problem
from dvspark.tables.sources.whole_tables import rows_of, told_by, whole_files, with_folders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# With which a Parquet file begins and ends; the second, where its footer is encrypted.
MARKS = (b"PAR1", b"PARE")

# Numbers of a type are numbers of each later one.
WIDENING = ((pa.int8(), pa.int16(), pa.int32(), pa.int64()), (pa.float32(), pa.float64()))

# The schema of each file, and all columns with the widest type in files, or else that of the first that has them.
Stored = tuple[dict[str, pa.Schema], dict[str, pa.DataType]]


@dataclass(frozen=True)
class ParquetReader(Reader):
    """Reads Parquet files, where some columns may be in the names of their folders."""

    def files(self) -> TableFiles:
        """Return the files as `parquet_columns` does. Raises: InputError, NotLocalError."""
        seen, folders = plain_files(self)
        schemas = parquet_schemas(seen, folders.files)
        types, told = parquet_columns(self, seen, folders, schemas)
        refuse(*unlabeled(self.side, self.reference.label, seen, (schemas or {}).values()))
        listing = listing_of(seen.files)
        return TableFiles(types, told, listing.record(), listing)

    def frame(self, spark: SparkSession) -> SparkTable:
        """Return the used columns of the files. Raises: InputError; Spark's own errors."""
        table = plain_frame(spark, self, lambda folders, seen: self._schema(spark, folders, seen))
        return replace(table, in_files=True)

    def _schema(self, spark: SparkSession, folders: Folders, seen: Seen | None) -> Any:
        """Return the Spark schema of the used columns: first those in the files, then those in folder names."""
        used, stored = list(dict.fromkeys(self.uses.values())), None
        if seen is not None:
            schemas = parquet_schemas(seen, folders.files)
            refuse(None if schemas else _other_format(self, seen, folders.files))
            refuse(*_doubled(self, schemas))
            refuse(*unlabeled(self.side, self.reference.label, seen, (schemas or {}).values()))
            near = seen.storage.file_system.type_name == "local" or not set(used).isdisjoint(folders.values)
            stored = _stored_columns(schemas if near else parquet_schemas(seen, folders.files[:1]))
        types = None if stored is None else {name: spark_type(kind) for name, kind in stored[1].items() if name in used}
        if stored is None or types is None or None in types.values():
            return inferred_schema(spark, self, folders)
        known = [*stored[1], *folders.values]
        if str(spark.conf.get("spark.sql.caseSensitive", "false")).lower() != "true":
            refuse(*twins(self.where, used, known))
        both = [name for name in used if name in folders.values and name in types]
        for name in both:
            refuse(_disagreement(self.side, name, seen, folders, stored[0]))
        for name in used:
            if name in folders.values and name not in types:
                types[name] = folders.type_of(name, self.uses)
        if not types or not set(used) <= set(types):  # the columns that exist, for the hint
            types = {name: types.get(name) or "string" for name in dict.fromkeys(known)}
        return ddl_of(cast("dict[str, str]", types))  # none is unknown here

    def footer_rows(self) -> int | None:
        """Return how many rows the footers count; None if this process cannot see the files."""
        try:
            seen = look(str(self.reference.path))
            return None if seen is None or not seen.files else sum(_footer_rows(seen, file.path) for file in seen.files)
        except (OSError, pa.ArrowException):
            return None

    def whole(self) -> WholeTable:
        """Return the columns of all files, and those of their folders' names. Raises: ConfigError, InputError."""
        seen, folders = whole_files(self)
        with told_by(self.where):
            return _whole(self.where, seen, folders)


def parquet_columns(
    reader: Reader, seen: Seen, folders: Folders, schemas: dict[str, pa.Schema] | None
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the Spark type of each column, and of each file the values that its folder's name tells.

    ``schemas``: of the files, as `parquet_schemas` gives them.
    Cost: of columns that files and folder names both tell, the files are read.
    Raises: InputError for a column with two meanings, NotLocalError for what Spark may read otherwise.
    """
    used = list(dict.fromkeys(reader.uses.values()))
    refuse(*_doubled(reader, schemas))
    stored = _stored_columns(schemas)
    if stored is None:
        refuse(_other_format(reader, seen, folders.files))
        raise not_local(reader.where, "Parquet files that can be read", _unreadable(seen, folders.files))
    refuse(*twins(reader.where, used, [*stored[1], *folders.values]))
    kinds = {name: spark_type(kind) for name, kind in stored[1].items()}
    halves = [f"{name} {stored[1][name]}" for name in used if "halffloat" in str(stored[1].get(name))]
    refuse(half_problem(reader.where, ", ".join(halves)) if halves else None)
    if unknown := [f"{name} {stored[1][name]}" for name in used if name in kinds and kinds[name] is None]:
        raise not_local(reader.where, "columns of types that Spark has, too", ", ".join(unknown))
    types = {name: kind or "struct" for name, kind in kinds.items()}
    both = [name for name in used if name in types and name in folders.values]
    refuse(*(_disagreement(reader.side, name, seen, folders, stored[0]) for name in both))
    outside = [name for name in folders.values if name not in types]
    types |= {name: folders.type_of(name, reader.uses) for name in outside}
    told = {
        seen.path(path): {name: folders.values[name][number] for name in outside}
        for number, path in enumerate(folders.files)
    }
    return types, told


def parquet_schemas(seen: Seen, files: tuple[str, ...]) -> dict[str, pa.Schema] | None:
    """Return the schemas of files by their footers, None if there are no files or one cannot be read."""

    def schema_of(name: str) -> pa.Schema | None:
        try:
            with seen.storage.file_system.open_input_file(seen.path(name)) as file:
                return pq.read_schema(file)
        except (OSError, pa.ArrowException):
            return None  # Spark will read it, or say what is wrong

    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        found = dict(zip(files, pool.map(schema_of, files), strict=True))
    schemas = {name: schema for name, schema in found.items() if schema is not None}
    return None if len(schemas) < len(found) else schemas or None


def _stored_columns(schemas: dict[str, pa.Schema] | None) -> Stored | None:
    """Return the columns of files by their schemas, None without these."""
    if schemas is None:
        return None
    columns: dict[str, pa.DataType] = {}
    for schema in schemas.values():
        for column in schema:
            columns[column.name] = _wider(columns.get(column.name, column.type), column.type)
    return schemas, columns


def _wider(known: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type of numbers, or of lists of numbers, that holds those of both; the known one if neither does.

    Files of both types are then read alike, whichever comes first.
    """
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    are_lists = [any(is_one(kind) for is_one in lists) for kind in (known, other)]
    if are_lists[0] != are_lists[1]:
        return known
    one, two = (kind.value_type if are_lists[0] else kind for kind in (known, other))
    wider = any(one in kinds and two in kinds and kinds.index(one) < kinds.index(two) for kinds in WIDENING)
    return other if wider else known


def _doubled(reader: Reader, schemas: dict[str, pa.Schema] | None) -> Iterator[Problem]:
    """Yield problems of used columns that the first file that is so has several of."""
    for schema in (schemas or {}).values():
        if found := [*doubled(reader.where, reader.uses.values(), schema.names)]:
            yield from found
            return


def _other_format(reader: Reader, seen: Seen, files: tuple[str, ...]) -> Problem | None:
    """Return the problem of the first file that is no whole Parquet file, so that Spark need not be asked."""
    for path in map(seen.path, files):
        try:
            with seen.storage.file_system.open_input_file(path) as file:
                size = file.size()
                ends = {file.read(len(MARKS[0])), file.read_at(len(MARKS[0]), max(0, size - len(MARKS[0])))}
        except (OSError, pa.ArrowException):
            continue  # what cannot be opened may still be Spark's to read
        if ends.isdisjoint(MARKS):
            hint = hint_for(reader.side, path) or f"set {reader.side}.format to what it is, or take the file away"
            return Problem(reader.where, "Parquet files", f"{path}, which is none", hint)
        if not ends <= {*MARKS}:
            hint = "write this file again: its end or its beginning is missing"
            return Problem(reader.where, "whole Parquet files", f"{path}, of {size:,} bytes", hint)
    return None


def _unreadable(seen: Seen, files: tuple[str, ...]) -> str:
    """Return the first file whose footer cannot be read, and why."""
    for path in map(seen.path, files):
        try:
            _footer_rows(seen, path)
        except (OSError, pa.ArrowException) as error:
            return f"{path}: {error}"
    return "some that could not be read a moment ago"


def _footer_rows(seen: Seen, path: str) -> int:
    with seen.storage.file_system.open_input_file(path) as file:
        return int(pq.read_metadata(file).num_rows)


def _disagreement(
    side: str, name: str, seen: Seen | None, folders: Folders, schemas: dict[str, pa.Schema]
) -> Problem | None:
    """Return the problem of a column whose values in files and in folder names differ; None if they agree."""
    for path, text in zip(folders.files, folders.values[name], strict=True):
        if seen is None or name not in schemas[path].names:
            continue
        try:
            with seen.storage.file_system.open_input_file(seen.path(path)) as file:
                found = pc.unique(pq.read_table(file, columns=[name], use_threads=False)[name])
            other = next((value for value in found.to_pylist() if not _says(value, text)), text)
        except (OSError, ValueError, pa.ArrowException) as error:  # not readable, not UTF-8
            return two_meanings(side, name, str(error), path)
        if len(found) and not _says(other, text):
            return two_meanings(side, name, f"{shown([other])} in the file", path)
    return None


def _says(value: Any, text: str | None) -> bool:
    """Return whether a value in a file is the same as the text of a folder's name."""
    if value is None or text is None or isinstance(value, bool):
        return value is None and text is None
    if isinstance(value, float):
        return NUMBER.fullmatch(text) is not None and float(text) == value
    return isinstance(value, str | int) and str(value) == text


def _whole(where: str, seen: Seen, folders: Folders) -> WholeTable:
    paths = [seen.path(name) for name in folders.files]
    files, schemas = seen.storage.file_system, list[pa.Schema]()
    for path in paths:
        with files.open_input_file(path) as file:
            schemas.append(pq.read_schema(file))
    expected, hint = "files with one type for each column", "write the files again, from one table"
    for of_file in schemas:
        refuse(*doubled(where, of_file.names, of_file.names))
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(Problem(where, expected, str(error), hint)) from None
    for path, of_file in zip(paths, schemas, strict=True):
        if changed := [field for field in of_file if not _keeps(field.type, schema.field(field.name).type)]:
            raise InputError(
                Problem(where, expected, f"column {changed[0].name!r} as {changed[0].type} in {path}", hint)
            )
    schema, told = with_folders(where, schema, folders, _arrow_type)

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        for path, of_file in zip(paths, told, strict=True):
            with files.open_input_file(path) as file:
                yield from rows_of(pq.ParquetFile(file), schema, columns, of_file)

    return WholeTable("parquet", schema, read, files=tuple(paths), root=seen.storage.root, file_system=files)


def _arrow_type(texts: list[str | None]) -> pa.DataType:
    """Return the type that keeps texts of folder names: as for Spark, 1 is an integer, and 01 a text."""
    numbers = [text for text in texts if text is not None]
    if not numbers or not all(WHOLE.fullmatch(text) for text in numbers):
        return pa.string()
    return pa.int32() if all(abs(int(text)) < 2**31 for text in numbers) else pa.int64()


def _keeps(stored: pa.DataType, kind: pa.DataType) -> bool:
    """Return whether a type holds what another one does: no integers as floating-point numbers."""
    return stored == kind or pa.types.is_integer(stored) == pa.types.is_integer(kind) or pa.types.is_null(stored)
