"""Rows: the rows of one side of a job under fixed names and types, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import Problem
from dvspark.local.rows import LocalRows
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.tables import Table
from dvspark.spark import worker
from dvspark.spark.worker import OverBatches
from dvspark.tables.sources.canonical import canonical_columns
from dvspark.tables.sources.listing import Listing, listing_of, require_unchanged
from dvspark.tables.sources.plain import look
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.row_files import RowFiles
from dvspark.tables.sources.typed_bytes import DTYPES, SAMPLE_ROWS, decoded, doubt
from dvspark.tables.sources.types import ddl_of, quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.local.rows import Frame

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
    - ``epochs``: of joined rows (`epochs.with_epochs`), each epoch and how many numbers its gradients have.
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
    epochs: tuple[tuple[Any, int], ...] = ()

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


def undeclared_problem(rows: Rows) -> Problem | None:
    """Return why bytes of undeclared type cannot be taken for float32; None if they can be nothing else.

    Cost: some rows.
    """
    if rows.types["embedding"] != "binary" or rows.bytes_declared:
        return None
    sample = rows.first(["embedding"], SAMPLE_ROWS)["embedding"]
    said = doubt(b"".join(held for held in sample.to_pylist() if held is not None and len(held) % 4 == 0))
    if not said:
        return None
    expected = "bytes of a declared type, or such as can be float32 alone"
    hint = f"set {rows.side}.embedding_dtype to {', '.join(DTYPES)}: little-endian numbers"
    return Problem(f"{rows.side} embedding in bytes", expected, said, hint)


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
        ddl = ddl_of(types)
        used = worker.map_batches(used, partial(decoded, dtype=dtype), list(types), ddl)
    return Rows(side, used, types, str(reference), bytes_declared=dtype is not None)


def _column(role: str, name: str, ddl: str, given: str) -> Any:
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    source = sf.col(quoted(name))
    if given == "vector":
        from pyspark.ml.functions import vector_to_array  # noqa: PLC0415 - loads pyspark.ml

        return vector_to_array(source).alias(role)
    return source.cast(ddl).alias(role)
