"""Read: table references and DataFrames become rows under fixed column names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.local.rows import Batches, LocalRows
from dvspark.local.session import LocalSession
from dvspark.schemas import OWNED, VALIDATION_ROWS
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.tables import Table
from dvspark.spark import worker
from dvspark.spark.session import is_connect
from dvspark.spark.worker import OverBatches
from dvspark.tables.sources.canonical import canonical_columns, kind_of
from dvspark.tables.sources.folders import literal
from dvspark.tables.sources.lake import is_missing, lake_frame, reader_of
from dvspark.tables.sources.listing import Listing, listing_of, require_unchanged
from dvspark.tables.sources.local_files import (
    LOCAL,
    LocalTable,
    NotLocalError,
    local_files,
    local_frame,
    local_table,
    local_types,
)
from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.owned import with_owned
from dvspark.tables.sources.pinned import VERSIONED
from dvspark.tables.sources.plain import FILE_FORMATS, STRICT, look, plain_table
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.row_files import RowFiles, row_files
from dvspark.tables.sources.typed_bytes import DTYPES, decoded
from dvspark.tables.sources.unreadable import condition_of, spark_errors, unreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.local.rows import Frame
    from dvspark.local.session import Session


# Up to so many rows, the pass that checks rows also brings their key columns here, some 60 MB.
KEYS_AT_HAND = 1_000_000


@dataclass(frozen=True)
class Rows:
    """Rows of one side in `ROWS` format: ``frame`` has id, embedding, label; if asked for owner, weight, task, loss.

    - ``types``: the Spark DDL of id, embedding, label (owner, weight, task, loss).
    - ``reference``: name of the source; ``source``: the state that was read, for the run record.
    - ``listing``: the files that were read, if they could change; ``files``: the files of all rows, if Arrow can read
      them.
    - ``keys``: all columns but the embedding, in id order, if they are at hand.
    - ``bytes_declared``: whether the type of numbers in binary embeddings was given.
    - ``tables``: training rows and owned rows, if these are both; ``beside``: a file of embeddings the table lacks.
    """

    side: str
    frame: Frame
    types: dict[str, str]
    reference: str
    source: dict[str, Any] = field(default_factory=dict)
    listing: Listing | None = None
    files: RowFiles | None = None
    keys: pa.Table | None = None
    bytes_declared: bool = False
    tables: tuple[Rows, ...] = ()
    beside: str | None = None

    @property
    def spark(self) -> SparkSession | None:
        """The session of Spark that has the rows, None if they are here."""
        return None if isinstance(self.frame, LocalRows) else self.frame.sparkSession

    @property
    def data_frame(self) -> DataFrame:
        """The rows as Spark's, where a session is Spark's."""
        return cast("DataFrame", self.frame)

    def with_frame(self, frame: Frame) -> Rows:
        """Return them with other rows."""
        return replace(self, frame=frame, files=None, keys=None)

    @property
    def few_keys(self) -> bool:
        """Whether the keys of all rows are few enough to come with the pass that checks the rows, or belong here."""
        if isinstance(self.frame, LocalRows):
            return True
        return self.files is not None and self.files.n_rows <= KEYS_AT_HAND

    def map_batches(self, function: OverBatches, columns: list[str], ddl: str) -> DataFrame:
        """Return what ``function`` makes, on Spark, of batches with these columns of all rows, in any order."""
        if self.files is not None:
            return self.files.map_batches(self.data_frame.sparkSession, function, columns, ddl)
        return worker.map_batches(self.data_frame, function, columns, ddl)

    def gathered(self, function: OverBatches, columns: list[str], told: Table) -> pa.Table:
        """Return what ``function`` tells, as the table ``told``, of batches with these columns of all rows."""
        if isinstance(self.frame, LocalRows):
            return pa.Table.from_batches(function(self.frame.read(columns)), arrow_schema(told))
        return self.map_batches(function, columns, told.ddl()).toArrow()

    def first(self, columns: list[str], n_rows: int) -> pa.Table:
        """Return some columns of a few rows."""
        if isinstance(self.frame, LocalRows):
            return self.frame.first(columns, n_rows)
        return self.frame.select(*columns).limit(n_rows).toArrow()

    def distinct(self, column: str) -> list[Any]:
        """Return the values of one of the keys, each once."""
        if isinstance(self.frame, LocalRows):
            return [] if self.keys is None else pc.unique(self.keys[column]).to_pylist()
        return [row[0] for row in self.frame.select(column).distinct().collect()]

    def require_unchanged(self) -> None:
        """Raise InputError if files that were read have changed since."""
        for table in self.tables:
            table.require_unchanged()
        if self.listing is not None and not self.tables:
            seen = [look(place) for place in (self.reference, self.beside) if place is not None]
            files = [file for one in seen if one is not None for file in one.files]
            now = listing_of(files) if files else None
            require_unchanged(self.side, self.reference, self.listing, now)

    @property
    def is_multi_label(self) -> bool:
        """Whether each row has an array of labels."""
        return self.types["label"].startswith("array")


def read_rows(session: Session, side: str, reference: TableReference, target: str = "label") -> Rows | list[Problem]:
    """Return the rows of a table under fixed names and types, or everything wrong with it.

    Raises: ConfigError where nothing that is installed knows the format; NotLocalError for what only Spark reads.
    """
    if reference.owned is not None:
        rows = read_rows(session, side, replace(reference, owned=None), target)
        return with_owned(rows, read_rows(session, OWNED.name, reference.owned, target))
    if isinstance(session, LocalSession):
        return _read_here(session, side, reference, target)
    if reference.format == "csv" or reference.embedding_file is not None:
        return _read_in_tasks(session, side, reference, target)
    found = read_table(session, side, reference, target)
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


def _read_here(session: LocalSession, side: str, reference: TableReference, target: str) -> Rows | list[Problem]:
    """Return the rows of a table that this process reads."""
    found = _files(side, reference, target)
    if isinstance(found, list):
        return found
    table, files = found
    dtype = None if reference.format == "csv" else reference.embedding_dtype
    frame = local_frame(session, files, dtype)
    return _rows(side, reference, table, files, frame, dtype)


def _read_in_tasks(spark: SparkSession, side: str, reference: TableReference, target: str) -> Rows | list[Problem]:
    """Return the rows of a table that Spark has tasks read with Arrow, in formats that Spark itself reads otherwise."""
    hint = "put the files where all hosts see them under one path, or write the rows as Parquet"
    if is_connect(spark):
        expected, got = "a classic session, whose files are seen here", "Spark Connect"
        return [Problem(f"{side} table {reference}", expected, got, hint)]
    try:
        found = _files(side, reference, target)
    except NotLocalError as error:
        return [replace(one, expected=one.expected.removesuffix(LOCAL), hint=hint) for one in error.problems]
    if isinstance(found, list):
        return found
    table, files = found
    ddl = ", ".join(f"{name} {kind}" for name, kind in files.types.items())
    frame = files.map_batches(spark, _as_it_is, list(files.types), ddl)
    return _rows(side, reference, table, files, frame, None)


def _files(side: str, reference: TableReference, target: str) -> tuple[LocalTable, RowFiles] | list[Problem]:
    """Return the files of a table that this process sees, or everything wrong with it."""
    try:
        table = local_table(side, reference, target)
        types = local_types(side, reference, table, target)
        return types if isinstance(types, list) else (table, local_files(side, reference, table, types))
    except InputError as error:
        return list(error.problems)


def _rows(
    side: str, reference: TableReference, table: LocalTable, files: RowFiles, frame: Frame, dtype: str | None
) -> Rows:
    types = frame.types if isinstance(frame, LocalRows) else files.types
    return Rows(
        side,
        frame,
        types,
        str(reference),
        table.source,
        table.listing,
        files,
        bytes_declared=dtype is not None,
        beside=reference.embedding_file,
    )


def _as_it_is(batches: Batches) -> Batches:
    yield from batches


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
            frame = reader_of(spark, reference.format).load(str(reference.path))
        _ = frame.schema  # Spark Connect looks a table up only when something about the table is asked
    except InputError as error:
        return list(error.problems)
    except spark_errors() as error:
        if is_missing(error):
            expected, got = "a format this Spark can read", reference.format
            return [Problem(f"{side}.format", expected, got, "check the spelling, or start Spark with its connector")]
        return [unreadable(side, reference, error)]
    return frame, {} if listing is None else listing.record(), listing


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
    """Return a DataFrame's rows under fixed names and types, see `canonical_columns`, or what is wrong with it."""
    given = {one.name: one.dataType.simpleString() for one in frame.schema.fields}
    tells_case = str(frame.sparkSession.conf.get("spark.sql.caseSensitive", "false")).lower() == "true"
    fields = [(one.name, given[one.name]) for one in frame.schema.fields]
    types = canonical_columns(side, reference, target, fields, tells_case=tells_case)
    if isinstance(types, list):
        return types
    names, dtype = reference.columns(), reference.embedding_dtype
    used = frame.select(*(_column(role, names[role], ddl, given[names[role]]) for role, ddl in types.items()))
    if dtype is not None and DTYPES[dtype] != "binary":
        types["embedding"] = DTYPES[dtype]
        ddl = ", ".join(f"{name} {kind}" for name, kind in types.items())
        used = worker.map_batches(used, partial(decoded, dtype=dtype), list(types), ddl)
    return Rows(side, used, types, str(reference), bytes_declared=dtype is not None)


def _column(role: str, name: str, ddl: str, given: str) -> Any:
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    source = sf.col(f"`{name.replace('`', '``')}`")
    if given == "vector":
        from pyspark.ml.functions import vector_to_array  # noqa: PLC0415 - loads pyspark.ml

        return vector_to_array(source).alias(role)
    return source.cast(ddl).alias(role)
