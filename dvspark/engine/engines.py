"""Engines: the contract of the modules that value, one a plan and one without Spark, and which takes which index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import pyarrow as pa

from dvspark.engine.by_workers import by_workers
from dvspark.engine.by_workers.by_workers import LocalIndex
from dvspark.engine.chunks import Cut
from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.index.train_index import IndexReference, TrainKeys
from dvspark.engine.replicated import replicated
from dvspark.engine.sharded import sharded
from dvspark.engine.tasks import ChunkWork, ListedRows
from dvspark.kernels.gradients.row_pass import Arrays, RowPass
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.schemas import Float64s, Int64s, TrainArrays, Wave

if TYPE_CHECKING:
    from dvspark.engine.local_chunks import Chunked, LocalChunks
    from dvspark.local.rows import Frame, LocalRows

Index = IndexReference | BlocksReference
IndexOf = TypeVar("IndexOf", bound=Index)
Index_contra = TypeVar("Index_contra", contravariant=True)
# Validation rows, and validation rows with their chunks.
Rows_contra = TypeVar("Rows_contra", contravariant=True)
Chunks_contra = TypeVar("Chunks_contra", contravariant=True)


class Engine(Protocol[Index_contra, Rows_contra, Chunks_contra]):
    """The functions that a module has, to value with its kind of index."""

    def train_keys(self, reference: Index_contra) -> TrainKeys:
        """Return the ids, labels and, where known, owners of all training rows, as `TrainKeys`."""

    def train_pieces(self, reference: Index_contra) -> Iterator[TrainArrays]:
        """Yield the training rows in id order, mapped on this host."""

    def listed_rows(self, reference: Index_contra, rows: list[int]) -> ListedRows:
        """Return the training rows at these places, read on this host."""

    def row_pass(self, rows: Rows_contra, reference: Index_contra, work: ChunkWork, asked: RowPass) -> list[Arrays]:
        """Return what a pass tells of each stretch of the training rows, in order."""

    def value_waves(
        self,
        chunks: Chunks_contra,
        sizes: dict[int, int],
        reference: Index_contra,
        work: ChunkWork,
        report: Callable[[int, int], None] = ...,
        n_done: int = ...,
        n_tasks: int = ...,
        cut: Cut | None = ...,
    ) -> Iterator[Wave]:
        """Yield the waves of chunks in ascending order, without those that are done."""

    def compared_points(
        self, chunks: Chunks_contra, sizes: dict[int, int], reference: Index_contra, work: ChunkWork
    ) -> pa.Table:
        """Return `COMPARED` of chunks of one point, valued by the engine and by the audit's reference."""

    def neighbor_counts(
        self, chunks: Chunks_contra, sizes: dict[int, int], reference: Index_contra, work: ChunkWork
    ) -> pa.Table:
        """Return `NEIGHBOR_COUNTS` of all validation rows, for methods of the kind `radius`."""

    def near_points(
        self, chunks: Chunks_contra, sizes: dict[int, int], reference: Index_contra, work: ChunkWork
    ) -> pa.Table:
        """Return `NEAR_POINTS` of training rows in chunks, for a method of the kind `nearest` with self-validation."""

    def tenth_distances(
        self,
        validation_rows: Rows_contra,
        sample: pa.Table,
        reference: Index_contra,
        options: RankingOptions,
        *,
        self_validation: bool,
    ) -> Float64s:
        """Return each sampled validation row's distance to its tenth nearest training row, float64 (n_points,)."""

    def nearest_rows(
        self, validation_rows: Rows_contra, sample: pa.Table, reference: Index_contra, work: ChunkWork, *, exact: bool
    ) -> list[Int64s]:
        """Return for each validation row of the sample the training rows that decide its values.

        ``exact``: search all rows, even if the run has an approximate index.
        """


class IndexBuilder(Protocol):
    """What writes the index of training rows: `packing.build_index` or `sharded.build_blocks`, bound to its own."""

    def __call__(
        self,
        *,
        n_train: int,
        n_features: int,
        dtype: str,
        metric: str,
        directory: Path,
        index: str,
    ) -> Index:
        """Return the index that was written."""


def engine_of(index: IndexOf) -> Engine[IndexOf, Any, Any]:
    """Return the module that values with this kind of index."""
    of_blocks: Engine[BlocksReference, Frame, Chunked] = sharded
    of_whole: Engine[IndexReference, Frame, Chunked] = replicated
    here: Engine[LocalIndex, LocalRows, LocalChunks] = by_workers
    if isinstance(index, LocalIndex):
        return cast("Engine[IndexOf, Any, Any]", here)
    return cast("Engine[IndexOf, Any, Any]", of_blocks if isinstance(index, BlocksReference) else of_whole)
