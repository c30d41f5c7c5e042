"""Owned rows: rows of a second table that play with the training rows, told apart by a column `owned`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.errors import Problem
from dvspark.local.rows import LocalRows
from dvspark.schemas import OWNED
from dvspark.schemas.arrow import arrow_type

if TYPE_CHECKING:
    from dvspark.tables.sources.rows import Rows

# What both tables must have in one type.
SHARED = ("id", "embedding", "label")
# Weights are of no use to methods that have owned rows.
LEFT_OUT = ("weight",)


def with_owned(train: Rows | list[Problem], owned: Rows | list[Problem]) -> Rows | list[Problem]:
    """Return the training rows and the owned ones as one table of `ROWS`; or the problems of each, or of both together.

    Ids must be unique in both together, which the checks of rows tell. Owned rows have no owner.
    """
    if isinstance(train, list) or isinstance(owned, list):
        return [problem for side in (train, owned) if isinstance(side, list) for problem in side]
    problems = [
        Problem(f"{name} of owned rows", f"{train.types[name]}, as in train", owned.types[name], "cast one of them")
        for name in SHARED
        if train.types[name] != owned.types[name]
    ]
    if problems:
        return problems
    types = {name: kind for name, kind in train.types.items() if name not in LEFT_OUT}
    both = {**types, OWNED.name: OWNED.type}
    if isinstance(train.frame, LocalRows) and isinstance(owned.frame, LocalRows):
        frame: Any = _joined_here(train.frame, owned.frame, both)
    else:
        frame = _selected(train, types, is_owned=False).unionByName(_selected(owned, types, is_owned=True))
    source = {**train.source, "owned": {"reference": owned.reference, **owned.source}}
    return replace(train.with_frame(frame), types=both, source=source, tables=(train, owned))


def _selected(rows: Rows, types: dict[str, str], *, is_owned: bool) -> Any:
    """Return the rows with all columns of both tables, as Spark's."""
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    nothing = {name: sf.lit(None).cast(kind).alias(name) for name, kind in types.items()}
    columns = [sf.col(name) if name in rows.types else nothing[name] for name in types]
    return rows.data_frame.select(*columns, sf.lit(is_owned).alias(OWNED.name))


def _joined_here(train: LocalRows, owned: LocalRows, types: dict[str, str]) -> LocalRows:
    def read(columns: list[str]) -> Iterator[pa.RecordBatch]:
        for rows, is_owned in ((train, False), (owned, True)):
            # Some column must say how many rows there are.
            asked = [name for name in columns if name in rows.types] or ["id"]
            for batch in rows.read(asked):
                yield _batch(batch, columns, types, is_owned=is_owned)

    return LocalRows(train.session, types, read)


def _batch(batch: pa.RecordBatch, columns: list[str], types: dict[str, str], *, is_owned: bool) -> pa.RecordBatch:
    """Return a batch with ``columns``, those that it lacks empty."""
    arrays = []
    for name in columns:
        if name == OWNED.name:
            arrays.append(pa.array([is_owned]).take(pa.array([0] * len(batch), pa.int8())))
        elif name in batch.schema.names:
            arrays.append(batch.column(name))
        else:
            arrays.append(pa.nulls(len(batch), arrow_type(types[name])))
    return pa.RecordBatch.from_arrays(arrays, columns)
