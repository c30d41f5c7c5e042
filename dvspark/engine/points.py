"""Points: what stages ask of validation rows besides their values, by where the rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.by_workers import points as here
from dvspark.engine.groups import Groups
from dvspark.engine.local_chunks import LocalChunks
from dvspark.engine.replicated import points as on_spark
from dvspark.engine.tasks import ListedRows
from dvspark.errors import ComputeError, Problem
from dvspark.local.rows import LocalRows
from dvspark.schemas import Float64s

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame

Rows = TypeVar("Rows")
Chunks = TypeVar("Chunks")


class Points(Protocol[Rows, Chunks]):
    """What can be asked: a module's functions."""

    def chunked(self, validation_rows: Rows, n_chunks: int, groups: Groups | None = None) -> Chunks:
        """Return the rows with their chunks, which depend on the id alone, and on the group where rows have one."""

    def chunk_sizes(self, chunks: Chunks) -> dict[int, int]:
        """Return how many validation rows each chunk has; chunks without rows do not appear."""

    def chunk_rows(self, chunks: Chunks, ids: list[int]) -> pa.Table:
        """Return the rows of some chunks, in any order, with their chunk_id."""

    def rows_of(self, chunks: Chunks, chunk_id: int) -> Rows:
        """Return the rows of a chunk."""

    def n_rows(self, rows: Rows) -> int:
        """Return how many rows there are."""

    def sample_rows(self, validation_rows: Rows, n_points: int) -> pa.Table:
        """Return a few validation rows, drawn by a hash of their ids, in id order."""

    def rows_at(
        self, validation_rows: Rows, n_chunks: int, places: list[tuple[int, int]], groups: Groups | None = None
    ) -> pa.Table:
        """Return the rows at these places, each a chunk and a row's place in it in id order; those that are there."""

    def each_a_chunk(self, rows: pa.Table, like: Rows) -> Chunks:
        """Return rows of a table, each as a chunk of its own, in their order."""

    def with_counts(self, validation_rows: Rows, noisy: pa.Table) -> Rows:
        """Return validation rows with their noisy counts, `NEIGHBOR_COUNTS`."""

    def neighbors(self, validation_rows: Rows, listed: ListedRows, metric: str, n_nearest: int) -> pa.Table:
        """Return `NEIGHBORS`: of each batch of validation rows the nearest ones of some train rows."""


def points_of(rows: Frame | Chunked) -> Points[Any, Any]:
    """Return what answers for such rows."""
    local: Points[LocalRows, LocalChunks] = here
    if isinstance(rows, LocalRows | LocalChunks):
        return local
    of_spark: Points[DataFrame, DataFrame] = on_spark
    return of_spark


def audited_rows(
    validation_rows: Frame, n_drawn: int, n_chunks: int, widest: Float64s, groups: Groups | None = None
) -> pa.Table:
    """Return ``n_drawn`` rows and those of the ``widest`` certificates, see `schemas.Partial`, each once, in id order.

    ``n_chunks``: into how many the rows are cut, maybe by ``groups``.
    Raises: ComputeError where a place of the widest is not in the table.
    """
    points = points_of(validation_rows)
    drawn = points.sample_rows(validation_rows, n_drawn)
    if not len(widest):
        return drawn
    places = [(chunk, place) for chunk, place in widest[:, 1:].astype(np.int64).tolist()]
    wide = points.rows_at(validation_rows, n_chunks, places, groups)
    if len(wide) != len(places):
        expected, got = f"{len(places)} rows with the widest certificates", f"{len(wide)}"
        raise ComputeError(Problem("rows to audit", expected, got, "did the validation table change meanwhile?"))
    others = pc.invert(pc.is_in(wide["id"], value_set=drawn["id"].combine_chunks()))
    return pa.concat_tables([drawn, wide.filter(others)]).sort_by("id")


def nearest_validation_rows(validation_rows: Frame, listed: ListedRows, metric: str, n_nearest: int) -> pa.Table:
    """Return `NEIGHBORS` with a column position, from 1: the nearest validation rows of some train rows.

    Ties go by validation id. Cost: one pass over the validation rows; ``n_nearest`` rows a batch and train row reach
    this process.
    """
    found = points_of(validation_rows).neighbors(validation_rows, listed, metric, n_nearest)
    found = found.sort_by([("train_row", "ascending"), ("distance", "ascending"), ("validation_id", "ascending")])
    rows = found["train_row"].to_numpy()
    first = np.searchsorted(rows, rows, side="left")
    position = np.arange(len(rows)) - first + 1
    return found.append_column("position", pa.array(position)).filter(pa.array(position <= n_nearest))
