"""Passes over a table's rows: what the checks are told of them, and of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from dvspark.schemas import TALLY, Int64s
from dvspark.spark.job_threads import JobThreads
from dvspark.tables.row_checks import ALL_ROWS, PLACED, Placing, RowChecks, nowhere, tally_rows
from dvspark.tables.sources.keys import (
    Ids,
    are_in_files,
    are_unique,
    keys_in_id_order,
    label_counts,
    read_keys,
    repeated_ids,
)
from dvspark.tables.sources.read import Rows

# Tables of so many rows have their digests made by Numba, which saves more than loading it takes (docs/decisions/0039).
MANY_ROWS = 500_000

# Rows (with their key columns if they are few), tallies, repeated ids, and number of rows by label.
Passed = tuple[Rows, list[dict[str, Any]], Ids, dict[str | int, int]]


class Ahead(Protocol):
    """What takes rows while they are checked, so that they are read once."""

    def takes(self, rows: Rows) -> bool:
        """Return whether it takes such rows at all."""

    def begin(self, rows: Rows, keys: pa.Table) -> Placing:
        """Return what puts good rows in the places of their ids in ``keys``, which are unique."""

    def end(self, keys: pa.Table, places: Int64s) -> None:
        """Be told the places of all rows that were put there, and the keys by which they are known."""


def pass_over(rows: Rows, checks: RowChecks, ahead: Ahead | None = None) -> Passed:
    """Return what a pass over the rows tells. Rows that are whole and good are then with ``ahead``, too."""
    if ahead is not None and ahead.takes(rows) and are_unique(keys := read_keys(rows)):
        tallies = tally(rows, checks, placing=ahead.begin(rows, keys))
        places = [np.frombuffer(t["keys"], np.int64) for t in tallies if t["aspect"] == PLACED]
        ahead.end(keys, np.concatenate([np.empty(0, np.int64), *places]))
        rows = replace(rows, keys=keys)
        return rows, tallies, repeated_ids(rows), label_counts(rows)
    if rows.few_keys:
        tallies = tally(rows, checks, with_keys=True)
        rows = replace(rows, keys=keys_in_id_order([t["keys"] for t in tallies if t["aspect"] == ALL_ROWS]))
        return rows, tallies, repeated_ids(rows), label_counts(rows)
    if are_in_files(rows):
        with JobThreads(1, rows.spark) as beside:
            known = beside.submit(read_keys, rows)
            tallies, rows = tally(rows, checks), replace(rows, keys=known.result())
        return rows, tallies, repeated_ids(rows), label_counts(rows)
    # What ids and labels tell takes small jobs, most of which is waiting: they go on beside the pass over all columns.
    with JobThreads(2, rows.spark) as beside:
        repeated, counted = beside.submit(repeated_ids, rows), beside.submit(label_counts, rows)
        return rows, tally(rows, checks), repeated.result(), counted.result()


def tally(
    rows: Rows, checks: RowChecks, *, with_keys: bool = False, placing: Placing = nowhere
) -> list[dict[str, Any]]:
    """Return the `TALLY` of all batches of the rows."""
    are_many = rows.files is not None and rows.files.n_rows >= MANY_ROWS

    def told(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return tally_rows(batches, checks, with_keys=with_keys, compiled=are_many, placing=placing)

    return rows.gathered(told, list(rows.types), TALLY).to_pylist()
