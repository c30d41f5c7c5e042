"""Passes over a table's rows: what the checks are told of them, and of their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from dvspark.schemas import TALLY, Int64s
from dvspark.spark.job_threads import JobThreads
from dvspark.tables.row_checks import ALL_ROWS, PLACED, Placing, RowChecks, tally_rows
from dvspark.tables.sources.keys import Ids, are_in_files, keys_in_id_order, label_counts, read_keys, repeated_ids
from dvspark.tables.sources.rows import Rows

# Tables of so many rows have their digests made by Numba, which saves more than loading it takes (docs/decisions/0039).
MANY_ROWS = 500_000


class Ahead(Protocol):
    """Rows of an index that are put in their places while they are checked."""

    @property
    def keys(self) -> pa.Table:
        """All columns of the rows but the embedding, in id order; their ids are unique."""

    @property
    def placing(self) -> Placing:
        """What puts good rows in their places, in a task."""

    def has_all(self, places: Int64s) -> bool:
        """Return whether all rows were put in these places; of fewer rows nothing is kept."""

    def move_to(self, directory: Path) -> None:
        """Have the rows lie in ``directory``, a new folder of the index on the same storage."""

    def drop(self) -> None:
        """Remove what was written and not moved; a second time does nothing."""


# Begins an index of rows, of a dtype, if they can be written ahead.
Begin = Callable[[Rows, str], Ahead | None]


def no_index(_rows: Rows, _dtype: str) -> None:
    """Begin none: rows are only checked."""


@dataclass(frozen=True)
class Passed:
    """What a pass over rows tells: the rows, with their keys if these are few, tallies, and what the keys tell.

    ``repeated``: ids; ``labels``: number of rows by label. ``ahead``: the rows in their places, if all of them are.
    """

    rows: Rows
    tallies: list[dict[str, Any]]
    repeated: Ids
    labels: dict[str | int, int]
    ahead: Ahead | None = None


def pass_over(rows: Rows, checks: RowChecks, ahead: Ahead | None = None) -> Passed:
    """Return what a pass over the rows tells; meanwhile good rows are put in their places in the index ``ahead``."""
    if ahead is not None:
        tallies = tally(rows, checks, placing=ahead.placing)
        places = [np.frombuffer(t["keys"], np.int64) for t in tallies if t["aspect"] == PLACED]
        is_whole = ahead.has_all(np.concatenate([np.empty(0, np.int64), *places]))
        rows = replace(rows, keys=ahead.keys)
        return Passed(rows, tallies, (0, []), label_counts(rows), ahead if is_whole else None)
    if rows.few_keys:
        tallies = tally(rows, checks, with_keys=True)
        keys = keys_in_id_order([t["keys"] for t in tallies if t["aspect"] == ALL_ROWS])
        return _known(replace(rows, keys=keys), tallies)
    if are_in_files(rows):
        with JobThreads(1, rows.spark) as beside:
            known = beside.submit(read_keys, rows)
            tallies, rows = tally(rows, checks), replace(rows, keys=known.result())
        return _known(rows, tallies)
    # What ids and labels tell takes small jobs, most of which is waiting: they go on beside the pass over all columns.
    with JobThreads(2, rows.spark) as beside:
        repeated, counted = beside.submit(repeated_ids, rows), beside.submit(label_counts, rows)
        return Passed(rows, tally(rows, checks), repeated.result(), counted.result())


def _known(rows: Rows, tallies: list[dict[str, Any]]) -> Passed:
    """Return what is told of rows whose keys are at hand."""
    return Passed(rows, tallies, repeated_ids(rows), label_counts(rows))


def tally(
    rows: Rows, checks: RowChecks, *, with_keys: bool = False, placing: Placing = nullcontext
) -> list[dict[str, Any]]:
    """Return the `TALLY` of all batches of the rows."""
    are_many = rows.files is not None and rows.files.n_rows >= MANY_ROWS

    def told(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return tally_rows(batches, checks, with_keys=with_keys, compiled=are_many, placing=placing)

    return rows.gathered(told, list(rows.types), TALLY).to_pylist()
