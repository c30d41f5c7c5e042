"""Local rows: a table's rows as this process reads them, batch by batch, in place of a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from dvspark.schemas.arrow import arrow_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.session import Session

# Rows, wherever they are.
Frame: TypeAlias = "DataFrame | LocalRows"

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class LocalRows:
    """Rows in `ROWS` format: ``types`` maps columns to their Spark DDL, ``read`` yields batches of some columns.

    It yields the same rows in the same order whenever it is asked, whichever the columns.
    """

    session: Session
    types: dict[str, str]
    read: Callable[[list[str]], Batches]

    @classmethod
    def of_table(cls, session: Session, types: dict[str, str], table: pa.Table) -> LocalRows:
        """Return rows that are at hand."""
        return cls(session, types, lambda columns: iter(table.select(columns).to_batches()))

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([(name, arrow_type(kind)) for name, kind in self.types.items()])

    @cached_property
    def table(self) -> pa.Table:
        """All rows in id order. Memory: that of the rows, once they are asked for, and twice meanwhile."""
        table = pa.Table.from_batches(self.read(list(self.types)), self.schema)
        return table.sort_by("id").combine_chunks()

    def first(self, columns: list[str], n_rows: int) -> pa.Table:
        """Return some columns of the first rows; of batches that are not needed none is read."""
        found, left = list[pa.RecordBatch](), n_rows
        for batch in self.read(columns):
            found.append(batch.slice(0, left))
            left -= len(found[-1])
            if left <= 0:
                break
        return pa.Table.from_batches(found, pa.schema([self.schema.field(name) for name in columns]))

    def where(self, is_kept: pa.BooleanArray) -> LocalRows:
        """Return those of the rows, in the order in which they are read, that are kept."""

        def read(columns: list[str]) -> Batches:
            start = 0
            for batch in self.read(columns):
                yield batch.filter(is_kept.slice(start, len(batch)))
                start += len(batch)

        return LocalRows(self.session, self.types, read)
