"""Near: the nearest other training rows, or the nearest validation rows, of every training row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.kernels.nearest import nearest
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Float64s, Floats, Int32s, TrainArrays

# Bytes of a place and of a distance.
NEAR_BYTES = 4 + 8


@dataclass(frozen=True)
class NearTable:
    """The m nearest rows of each of n rows, nearest first; equal distances in row order.

    ``rows`` (n, m) int32 are places in the table that was searched; ``distances`` (n, m) float64 are in the metric's
    unit.
    """

    rows: Int32s
    distances: Float64s

    @property
    def n_near(self) -> int:
        """Number of near rows of each row, m."""
        return int(self.rows.shape[1])


def near_table(table: TrainArrays, x: Floats, metric: str, m: int, *, itself: bool) -> NearTable:
    """Return the m nearest rows of ``table`` for each row of ``x`` (n, n_features), or all if the table has fewer.

    ``itself``: the rows of ``x`` are those of the table, and none is its own neighbor.
    Cost: O(n N n_features) time for N rows of the table, a chunk of ``x`` at a time; `near_bytes` of memory.
    """
    m = min(m, table.n_train - itself)
    found = NearTable(np.empty((len(x), m), np.int32), np.empty((len(x), m)))
    if not m:
        return found
    workspace, options = Workspace(), RankingOptions(metric, "default", "id", m)
    nothing = np.empty(0, np.int32)
    for start in range(0, len(x), CHUNK_ROWS):
        part = x[start : start + CHUNK_ROWS]
        own = np.arange(start, start + len(part)) if itself else None
        chunk = ChunkArrays(part, [nothing] * len(part), own)
        for place, near in enumerate(nearest.nearest_points(table, chunk, options, m, workspace), start):
            found.rows[place] = near.rows
            # Distances that tie under cosine may differ by rounding, and need not ascend.
            found.distances[place] = np.maximum.accumulate(near.distances)
    return found


def near_bytes(n: int, n_table: int, n_features: int, m: int) -> int:
    """Return a bound on the memory of `near_table` beside the arrays given, in bytes."""
    return NEAR_BYTES * n * m + nearest.scratch_bytes(n_table, n_features, m)
