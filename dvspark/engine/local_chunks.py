"""Local chunks: chunks of validation rows that this process holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from dvspark.local.rows import LocalRows
from dvspark.schemas import Int32s, Int64s

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.session import Session

# Chunks, wherever their rows are.
Chunked: TypeAlias = "DataFrame | LocalChunks"


@dataclass(frozen=True)
class LocalChunks:
    """Validation rows in id order as ``table``, and by chunk: ``places`` (n,) of the rows, ``ids`` (n,) of the chunks.

    Both in the order of chunks and, within one, of the rows' ids.
    """

    rows: LocalRows
    table: pa.Table
    places: Int64s
    ids: Int32s

    @property
    def session(self) -> Session:
        """The session that values the rows."""
        return self.rows.session

    def places_of(self, chunk_id: int) -> Int64s:
        """Return the places of a chunk's rows in the table, (n,) int64, ascending."""
        start, end = np.searchsorted(self.ids, [chunk_id, chunk_id + 1])
        return self.places[start:end]

    def take(self, chunk_ids: list[int]) -> pa.Table:
        """Return the rows of chunks, by chunk and id, with their chunk_id."""
        places = [self.places_of(chunk) for chunk in chunk_ids]
        numbers = np.repeat(np.array(chunk_ids, np.int32), [len(here) for here in places])
        rows = self.table.take(pa.array(np.concatenate([np.empty(0, np.int64), *places])))
        return rows.append_column("chunk_id", pa.array(numbers))
