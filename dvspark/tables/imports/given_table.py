"""Given tables: Parquet (Hugging Face's, too), Delta, Iceberg and Lance tables with vectors in any of their forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dvspark.errors import ConfigError, InputError, Problem, close_matches, written
from dvspark.extras import import_extra
from dvspark.schemas.arrow import arrow_type
from dvspark.tables.imports.bad_lines import BadLines, lacking
from dvspark.tables.imports.vectors import vector_type, vectors_of
from dvspark.tables.sources.canonical import EXPECTED_TYPES, HINTS, canonical_type
from dvspark.tables.sources.class_labels import class_names
from dvspark.tables.sources.formats import reader_of
from dvspark.tables.sources.formats.lake import LakeReader
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.plain import look
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.row_files import local_path
from dvspark.tables.sources.types import spark_type, without_views
from dvspark.tables.sources.unreadable import unreadable_file

FORMATS = ("parquet", "delta", "iceberg", "lance")
ROWS_AT_ONCE = 2_048
NULL, NOT_FINITE, NO_CLASS = "a null in the embedding", "a number that is not finite", "a class that has no name"


@dataclass(frozen=True)
class GivenTable:
    """The files of a table, in order; a Lance table is one. ``keep``: further columns, under their own names.

    ``told`` has for each file the columns that the table's log tells, if it tells some.
    """

    paths: tuple[Path, ...]
    format: str
    id: str = "id"
    embedding: str = "embedding"
    label: str = "label"
    owner: str | None = None
    keep: tuple[str, ...] = ()
    told: pa.Table | None = None

    def settings(self) -> dict[str, Any]:
        """Return all that the rows follow from."""
        return {"format": self.format, "columns": {**self._roles(), "keep": list(self.keep)}}

    def prepare(self, work: Path, rejected: Path) -> dict[str, Any]:  # noqa: ARG002 - nothing is put there
        """Return the types of the columns, how many numbers a row has, and the names of classes.

        Raises: ConfigError for columns that are not there, InputError for types that cannot be used.
        """
        schema = self._schema(self.paths[0])
        roles, problems = {**self._roles(), **{name: name for name in self.keep}}, self._others_problems(schema)
        for role, name in roles.items():
            if schema.names.count(name) != 1:
                hint = close_matches(name, schema.names)
                word = "keep" if name in self.keep else role
                raise ConfigError(Problem(f"--{word}", "one column of the table", written(name), hint))
        names = class_names(schema, self.label)
        types = {role: spark_type(schema.field(name).type) or "struct" for role, name in roles.items()}
        numbers = vector_type(schema.field(self.embedding).type)
        for role in (role for role in roles if role in EXPECTED_TYPES and role != "embedding"):
            if canonical_type(role, types[role]) is None:
                problems.append(Problem(f"column {roles[role]!r}", EXPECTED_TYPES[role], types[role], HINTS[role]))
        if numbers is None:
            expected = "numbers in lists, lists of lists, structs of one field, or ml vectors"
            kind, hint = str(schema.field(self.embedding).type), "numbers in bytes are read by `dvspark value` itself"
            problems.append(Problem(f"column {self.embedding!r}", expected, kind, hint))
        if problems:
            raise InputError(problems)
        first = next((batch for path in self.paths for batch in self._batches(path) if len(batch)), None)
        if first is None:
            raise InputError(Problem(str(self.paths[0]), "rows", "none in any file", "check the path"))
        lists, _ = vectors_of(first.column(self.embedding))
        n_numbers = Counter(pc.list_value_length(lists).to_pylist()).most_common(1)[0][0]
        return {"names": names, "n_numbers": n_numbers, "summary": {"n_numbers": n_numbers}}

    def _others_problems(self, first: pa.Schema) -> list[Problem]:
        """Return which files do not have the columns of the first one, in their types. Cost: their footers."""
        problems = []
        for path in self.paths[1:]:
            schema = self._schema(path)
            for name in [*self._roles().values(), *self.keep]:
                if first.names.count(name) == 1 and (odd := _other_type(schema, first.field(name))) is not None:
                    where, expected = f"{path}, column {name!r}", f"{first.field(name).type}, as in {self.paths[0]}"
                    problems.append(Problem(where, expected, odd, "write the files again, from one table"))
        return problems

    def schema(self, told: dict[str, Any]) -> pa.Schema:
        """Return id, embedding, label, owner if it is named, and further columns; classes are their names."""
        given = self._schema(self.paths[0])
        fields = {role: given.field(name).type for role, name in self._roles().items()}
        fields["id"] = arrow_type(str(canonical_type("id", str(spark_type(fields["id"])))))
        fields["embedding"] = pa.list_(vector_type(fields["embedding"]))
        if told["names"] is not None:
            fields["label"] = pa.list_(pa.string()) if pa.types.is_nested(fields["label"]) else pa.string()
        fields |= {name: given.field(name).type for name in self.keep}
        return pa.schema([(name, without_views(kind)) for name, kind in fields.items()])

    def batches(
        self, number: int, work: Path, told: dict[str, Any], bad: BadLines, left_out: Counter[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file that can be used; others are set aside. Memory: `ROWS_AT_ONCE` rows."""
        del work, left_out
        schema, line = self.schema(told), 1
        for batch in self._batches(self.paths[number]):
            given = {role: batch.column(name) for role, name in self._roles().items()}
            given |= {name: batch.column(name) for name in self.keep}
            given = {name: column.cast(without_views(column.type)) for name, column in given.items()}
            given["embedding"], is_null = vectors_of(given["embedding"])
            reasons = {NULL: is_null} | _lengths(given["embedding"], told["n_numbers"])
            reasons[NOT_FINITE] = _not_finite(given["embedding"])
            if told["names"] is not None:
                given["label"], reasons[NO_CLASS] = _named(given["label"], told["names"])
            for name in (name for name in ("id", "label", "owner") if name in given):
                reasons[f"no {name}"] = lacking(given[name])
            is_good = np.ones(len(batch), np.bool_)
            for reason, is_odd in reasons.items():
                for place in np.flatnonzero(is_odd & is_good):
                    bad.add(line + int(place), reason, str(given["id"][place].as_py()))
                is_good &= ~is_odd
            line += len(batch)
            kept = pa.array(is_good)
            columns = [given[name].filter(kept).cast(schema.field(name).type) for name in schema.names]
            yield pa.record_batch(columns, schema=schema)

    def _roles(self) -> dict[str, str]:
        named = {"id": self.id, "embedding": self.embedding, "label": self.label, "owner": self.owner}
        return {role: name for role, name in named.items() if name is not None}

    def _schema(self, path: Path) -> pa.Schema:
        try:
            stored = _lance(path).schema if self.format == "lance" else pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            raise unreadable_file(f"{path}: {error}") from error
        told = [] if self.told is None else list(self.told.schema)
        names = {field.name for field in told}
        return pa.schema([*(field for field in stored if field.name not in names), *told], stored.metadata)

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        told = [] if self.told is None else self.told.column_names
        columns = [name for name in dict.fromkeys([*self._roles().values(), *self.keep]) if name not in told]
        try:
            if self.format == "lance":
                yield from _lance(path).to_batches(columns=columns, batch_size=ROWS_AT_ONCE)
                return
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns, use_threads=False):
                    yield batch if self.told is None else _with_told(batch, self.told, self.paths.index(path))
        except (OSError, pa.ArrowException) as error:
            raise unreadable_file(f"{path}: {error}") from error


def _with_told(batch: pa.RecordBatch, told: pa.Table, number: int) -> pa.RecordBatch:
    """Return rows of a file with the columns that the log tells of it."""
    repeated = told.take(pa.array(np.full(len(batch), number))).combine_chunks()
    columns = [*batch.columns, *(pa.concat_arrays(column.chunks) for column in repeated.columns)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*batch.schema, *told.schema]))


def _other_type(schema: pa.Schema, field: pa.Field) -> str | None:
    """Return as what a file has a column, or that it has none, if rows of both files are not of one type."""
    if schema.names.count(field.name) != 1:
        return "no such column" if field.name not in schema.names else "two of them"
    kind = schema.field(field.name).type
    is_one = kind == field.type or pa.types.is_null(kind)
    known, vectors = spark_type(field.type), vector_type(field.type)
    is_one |= known is not None and spark_type(kind) == known
    is_one |= vectors is not None and vector_type(kind) == vectors
    return None if is_one else str(kind)


def table_files(place: str, kind: str) -> tuple[tuple[Path, ...], pa.Table | None]:
    """Return the files of a table, and the columns of which its log has the value of each file, if there are some.

    Of a Delta or Iceberg table they are those of its latest state.
    Raises: InputError for a table that is not there, that is of another format, or whose files are not its rows.
    """
    reader = reader_of("import", TableReference(path=place, format=kind))
    if isinstance(reader, LakeReader):
        found = reader.settled()
        paths = [local_path(path) for path in found.files]
        if None in paths:
            got, hint = found.files[paths.index(None)], "copy the table to this machine"
            raise InputError(Problem("--from", "files of this machine", got, hint))
        return tuple(Path(str(path)) for path in paths), found.partitions
    path, seen = Path(place), look(place)
    if kind == "lance" or not path.is_dir():
        files = [path] if path.exists() else []
    else:
        files = [Path(one.path) for one in ([] if seen is None else seen.files) if one.path.endswith(".parquet")]
    if kind != "lance" and seen is not None and (problem := contradiction("import", place, kind, seen.inside)):
        hint = "name its format by --format and its own folder by --from, or write its rows to a folder of their own"
        raise InputError(replace(problem, hint=hint))
    if not files:
        raise InputError(Problem("--from", "a table that exists", f"no file at {place}", "check the spelling"))
    return tuple(sorted(files)), None


def _lance(path: Path) -> Any:
    expected = "a package that reads Lance tables"
    return import_extra("lance", "lance", "--format lance", expected, "none").dataset(str(path))


def _lengths(lists: pa.ListArray, n_numbers: int) -> dict[str, Any]:
    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
    return {f"not {n_numbers} numbers": lengths != n_numbers}


def _not_finite(lists: pa.ListArray) -> Any:
    """Return which rows have a number that is NaN or infinite, (n,)."""
    is_odd = pc.invert(pc.is_finite(lists.flatten())).to_numpy(zero_copy_only=False)
    rows = pc.list_parent_indices(lists).to_numpy()
    return np.bincount(rows[is_odd.astype(bool)], minlength=len(lists)) > 0


def _named(labels: pa.Array, names: list[str]) -> tuple[pa.Array, Any]:
    """Return classes as their names, and which rows have one without a name, such as -1."""
    words = pa.array([*names, None], pa.string())
    flat = labels.flatten() if pa.types.is_nested(labels.type) else labels
    codes = pc.fill_null(flat.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    is_odd = (codes < 0) | (codes >= len(names))
    found = pc.if_else(pc.is_null(flat), None, words.take(pa.array(np.where(is_odd, len(names), codes))))
    if not pa.types.is_nested(labels.type):
        return found, is_odd
    rows = pc.list_parent_indices(labels).to_numpy()
    lengths = pc.fill_null(pc.list_value_length(labels), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    mask = pc.is_null(labels) if labels.null_count else None
    return pa.ListArray.from_arrays(offsets, found, mask=mask), np.bincount(rows[is_odd], minlength=len(labels)) > 0
