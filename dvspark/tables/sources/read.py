"""Read: table references and DataFrames become rows under fixed column names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.errors import ConfigError, InputError, Problem, close_matches
from dvspark.schemas import VALIDATION_ROWS
from dvspark.spark import worker
from dvspark.spark.worker import OverBatches
from dvspark.tables.sources.folders import literal, twins
from dvspark.tables.sources.lake import is_missing, lake_frame
from dvspark.tables.sources.listing import Listing, listing_of, require_unchanged
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.pinned import VERSIONED
from dvspark.tables.sources.plain import FILE_FORMATS, STRICT, look, plain_table
from dvspark.tables.sources.row_files import RowFiles, row_files
from dvspark.tables.sources.typed_bytes import DTYPES, decoded
from dvspark.tables.sources.unreadable import condition_of, spark_errors, unreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

INTEGERS = ("tinyint", "smallint", "int", "bigint")


@dataclass(frozen=True)
class TableReference:
    """Where rows are, and what their columns are called. Either ``path`` with ``format`` is given, or ``table``.

    ``embedding_dtype`` is the type of numbers in binary embeddings (`typed_bytes.DTYPES`).
    ``version`` (of Delta), ``snapshot`` (an id, of Iceberg) or ``timestamp`` chooses the state of the table; without
    them, the latest state.
    """

    path: str | None = None
    format: str = "parquet"
    table: str | None = None
    version: int | None = None
    snapshot: int | None = None
    timestamp: datetime | None = None
    id: str = "id"
    embedding: str = "embedding"
    label: str = "label"
    owner: str | None = None
    weight: str | None = None
    embedding_dtype: str | None = None

    @classmethod
    def of_frame(cls, name: str, columns: Mapping[str, Any] | None) -> TableReference:
        """Return the reference of a given DataFrame; ``columns`` maps roles to the names of its columns."""
        return cls(path=name, **(columns or {}))

    def asked(self, asks: tuple[str, ...]) -> TableReference:
        """Return the reference with default names for the columns that a method asks for."""
        owner = self.owner or ("owner" if "owners" in asks else None)
        weight = self.weight or ("weight" if "weights" in asks else None)
        return replace(self, owner=owner, weight=weight)

    def columns(self) -> dict[str, str]:
        """Return the names of the columns by role: id, embedding, label and, if asked for, owner and weight."""
        names = {role: getattr(self, role) for role in ("id", "embedding", "label", "owner", "weight")}
        return {role: name for role, name in names.items() if name is not None}

    def without_train_columns(self) -> TableReference:
        """Return the reference without the columns that only training rows have."""
        return replace(self, owner=None, weight=None)

    def __str__(self) -> str:
        """Return the place as people write it."""
        return self.table or str(self.path)


@dataclass(frozen=True)
class Rows:
    """Rows of one side in `ROWS` format: ``frame`` has id, embedding, label and, if asked for, owner and weight.

    - ``types``: the Spark DDL of id, embedding, label (owner, weight).
    - ``reference``: name of the source; ``source``: the state that was read, for the run record.
    - ``listing``: the files that were read, if they could change; ``files``: the files of all rows, if Arrow can read
      them.
    - ``keys``: all columns but the embedding, in id order, if they are at hand.
    - ``bytes_declared``: whether the type of numbers in binary embeddings was given.
    """

    side: str
    frame: DataFrame
    types: dict[str, str]
    reference: str
    source: dict[str, Any] = field(default_factory=dict)
    listing: Listing | None = None
    files: RowFiles | None = None
    keys: pa.Table | None = None
    bytes_declared: bool = False

    def with_frame(self, frame: DataFrame) -> Rows:
        """Return the same with other rows."""
        return replace(self, frame=frame, files=None, keys=None)

    def map_batches(self, function: OverBatches, columns: list[str], ddl: str) -> DataFrame:
        """Return what ``function`` yields for batches with these columns of all rows, in any order."""
        if self.files is not None:
            return self.files.map_batches(self.frame.sparkSession, function, columns, ddl)
        return worker.map_batches(self.frame, function, columns, ddl)

    def require_unchanged(self) -> None:
        """Raise InputError if files that were read have changed since."""
        if self.listing is not None:
            seen = look(self.reference)
            now = listing_of(seen.files) if seen and seen.files else None
            require_unchanged(self.side, self.reference, self.listing, now)

    @property
    def is_multi_label(self) -> bool:
        """Whether each row has an array of labels."""
        return self.types["label"].startswith("array")


def read_rows(spark: SparkSession, side: str, reference: TableReference, target: str = "label") -> Rows | list[Problem]:
    """Return the rows of a table under fixed names and types, or all problems of the table."""
    found = read_table(spark, side, reference, target)
    if isinstance(found, list):
        return found
    frame, source, listing = found
    rows = canonical_rows(side, frame, reference, target)
    if isinstance(rows, list):
        return rows
    in_files = reference.table is None and (reference.format == "parquet" or source.get("reader") == "files")
    in_files = in_files and reference.embedding_dtype in (None, "float32")
    files = row_files(frame, reference.columns(), rows.types) if in_files else None
    return replace(rows, source=source, listing=listing, files=files)


def read_table(
    spark: SparkSession, side: str, reference: TableReference, target: str = "label"
) -> tuple[DataFrame, dict[str, Any], Listing | None] | list[Problem]:
    """Return a table, its state for the run record and its listing, or the problems of the reference.

    Of files, only the columns that are used are read.
    Raises: ConfigError if nothing that is installed knows the format.
    """
    try:
        if reference.format in VERSIONED:
            if reference.path is not None and (problem := contradiction(side, reference.path, reference.format)):
                raise InputError(problem)
            return *lake_frame(spark, side, reference), None
        listing = None
        if reference.table is not None:
            frame = spark.table(reference.table)
        elif reference.format in FILE_FORMATS:
            roles = {kind_of(role, target): name for role, name in reference.columns().items()}
            frame, listing = plain_table(spark, side, reference, roles)
        else:
            frame = spark.read.format(reference.format).load(str(reference.path))
        _ = frame.schema  # Spark Connect looks a table up only when something about the table is asked
    except InputError as error:
        return list(error.problems)
    except spark_errors() as error:
        if is_missing(error):
            expected, got = "a format this Spark can read", reference.format
            return [Problem(f"{side}.format", expected, got, "check the spelling, or start Spark with its connector")]
        return [unreadable(side, reference, error)]
    return frame, {} if listing is None else listing.record(), listing


def kind_of(role: str, target: str) -> str:
    """Return how a column is used: as its role, or as "target" for labels that are numbers to predict."""
    return "target" if role == "label" and target == "number" else role


def published_rows(spark: SparkSession, spark_path: Callable[[str], str], run_id: str) -> DataFrame:
    """Return (id, row_hash) of the validation rows on which a published run rests.

    Raises: ConfigError if the rows are gone, or not as they were written.
    """
    place = spark_path(f"{VALIDATION_ROWS.name}/run_id={run_id}")
    try:
        return spark.read.options(**STRICT).parquet(literal(place)).select("id", "row_hash")
    except spark_errors() as error:
        problem = Problem(
            f"run {run_id}", f"its validation rows in {place}", condition_of(error)[1], "value all rows at once"
        )
        raise ConfigError(problem) from error


def canonical_rows(
    side: str, frame: DataFrame, reference: TableReference, target: str = "label"
) -> Rows | list[Problem]:
    """Return a table's rows under fixed names and types, or all problems of its columns.

    Integers become bigint, ml vectors array<double>, weights double, and with ``target`` "number" labels double too.
    Nothing else is converted.
    """
    fields, where = frame.schema.fields, f"{side} table {reference}"
    given = {field.name: field.dataType for field in fields}
    problems, types, expressions = _twin_problems(where, frame, reference), dict[str, str](), []
    for role, name in reference.columns().items():
        if name not in given:
            hint = close_matches(name, list(given)) + f" Set {side}.{role} to the column's name."
            got = f"columns {', '.join(given)}"
            problems.append(Problem(where, f"a column {name!r} ({role})", got, hint))
            continue
        kind = kind_of(role, target)
        ddl = canonical_type(kind, given[name])
        if ddl is None:
            column, got = f"{side} column {name!r}", given[name].simpleString()
            problems.append(Problem(column, EXPECTED_TYPES[kind], got, HINTS[kind]))
            continue
        types[role] = ddl
        expressions.append(_column(role, name, ddl, given[name]))
    dtype = reference.embedding_dtype
    if dtype is not None and types.get("embedding", "binary") != "binary":
        hint = f"leave {side}.embedding_dtype out: numbers in arrays have their own type"
        problems.append(Problem(f"{side}.embedding_dtype", "embeddings in bytes", types["embedding"], hint))
    if problems:
        return problems
    used = frame.select(*expressions)
    if dtype is not None and DTYPES[dtype] != "binary":
        types["embedding"] = DTYPES[dtype]
        ddl = ", ".join(f"{name} {kind}" for name, kind in types.items())
        used = worker.map_batches(used, partial(decoded, dtype=dtype), list(types), ddl)
    return Rows(side, used, types, str(reference), bytes_declared=dtype is not None)


def _twin_problems(where: str, frame: DataFrame, reference: TableReference) -> list[Problem]:
    """Return problems of used columns that are there twice in Spark's comparison of names."""
    names, used = [field.name for field in frame.schema.fields], set(reference.columns().values())
    expected, hint = "each name once", "drop or rename all but one: frame.drop(...), frame.toDF(...)"
    problems = [
        Problem(where, expected, f"{names.count(name)} columns {name!r}", hint)
        for name in sorted(used)
        if names.count(name) > 1
    ]
    if str(frame.sparkSession.conf.get("spark.sql.caseSensitive", "false")).lower() != "true":
        problems += twins(where, sorted(used), names)
    return problems


EXPECTED_TYPES = {
    "id": "a string or an integer",
    "embedding": "array<float>, array<double>, binary (of embedding_dtype, little-endian) or an ml vector",
    "label": "a string, an integer, or an array of either",
    "owner": "a string or an integer",
    "weight": "a number",
    "target": "a number, which regression predicts",
}
HINTS = {
    "id": "cast it to string",
    "embedding": "cast the elements to float",
    "label": "cast it to string or integer, NaN to null; of one-hot rows give the class, the argmax; "
    "numbers to predict are for knn_regression_shapley",
    "owner": "cast it to string",
    "weight": "cast it to double",
    "target": "cast it to double",
}


def canonical_type(role: str, given: DataType) -> str | None:
    """Return the DDL under which a column of that type is used, or None if it cannot be used."""
    name = given.simpleString()
    if role == "embedding":
        if name in ("array<float>", "array<double>", "binary"):
            return name
        return "array<double>" if name == "vector" else None
    if role in ("target", "weight"):
        return "double" if name in (*INTEGERS, "float", "double") or name.startswith("decimal") else None
    if role == "label" and name.startswith("array<"):
        inner = _key_type(name[len("array<") : -1])
        return None if inner is None else f"array<{inner}>"
    return _key_type(name)


def _key_type(name: str) -> str | None:
    if name == "string" or name.startswith(("varchar", "char(")):
        return "string"
    return "bigint" if name in INTEGERS else None


def _column(role: str, name: str, ddl: str, given: DataType) -> Any:
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    source = sf.col(f"`{name.replace('`', '``')}`")
    if given.simpleString() == "vector":
        from pyspark.ml.functions import vector_to_array  # noqa: PLC0415 - loads pyspark.ml

        return vector_to_array(source).alias(role)
    return source.cast(ddl).alias(role)
