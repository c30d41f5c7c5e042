"""Ahead: the task that checks training rows puts them in their places in the index, so that they are read once.

The index is finished when all checks are passed; what was written of refused rows, or of others than those that are
valued, goes. Guards say which tables are written ahead; the others are read again for their index.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from dvspark.engine.index.index_writing import IndexWriter, placing
from dvspark.engine.planning.cluster import read_hosts
from dvspark.host.own_folder import own_folder
from dvspark.local.rows import LocalRows
from dvspark.local.session import LocalSession, Session
from dvspark.schemas import Floats, Int64s
from dvspark.schemas.columns import embedding_matrix
from dvspark.spark.session import is_same_host
from dvspark.tables.row_checks import Placing
from dvspark.tables.sources.keys import KEYS_READ_HERE
from dvspark.tables.sources.parts import ParquetPart
from dvspark.tables.sources.read import Rows

# So many times the index must fit the disk where it is written ahead: a run that was stopped may have left one.
FREE_TIMES = 2


class IndexAhead:
    """An index that is written while its rows are checked: at most one, in a folder that goes with ``stack``."""

    def __init__(
        self, session: Session, plan: str, host_memory: str | None, work_dir: str | None, stack: ExitStack
    ) -> None:
        self._session, self._plan, self._host_memory, self._stack = session, plan, host_memory, stack
        self._root, self._dtype = Path(work_dir or tempfile.gettempdir()), "float32"
        self._writer: IndexWriter | None = None
        self._keys: pa.Table | None = None  # those of the rows that are in their places, once they are

    def suit(self, dtype: str) -> None:
        """Take the dtype of an index of the tables that will be checked."""
        self._dtype = dtype

    def takes(self, rows: Rows) -> bool:
        """Return whether rows are written ahead: files with cheap keys, and an index that surely lies on this host."""
        if self._plan == "sharded" or rows.files is None or not 0 < rows.files.n_rows <= KEYS_READ_HERE:
            return False
        is_here = isinstance(self._session, LocalSession) or is_same_host(self._session)
        if not is_here or not all(isinstance(part, ParquetPart) for part in rows.files.parts):
            return False
        return (first := _first_rows(rows)) is not None and self._fits(rows.files.n_rows, first.shape[1])

    def _fits(self, n_rows: int, n_features: int) -> bool:
        """Return whether an index of this size fits this host's memory, else blocks are planned, and its disk."""
        n_bytes = n_rows * n_features * np.dtype(self._dtype).itemsize
        self._root.mkdir(parents=True, exist_ok=True)
        is_space = FREE_TIMES * n_bytes <= shutil.disk_usage(self._root).free
        return is_space and n_bytes <= read_hosts(self._session, self._host_memory).share_bytes

    def begin(self, rows: Rows, keys: pa.Table) -> Placing:
        """Return what puts good rows in the places of their ids in ``keys``, which are unique."""
        first = _first_rows(rows)
        assert first is not None  # noqa: S101 - `takes` has seen them
        n_bytes = len(keys) * first.shape[1] * np.dtype(self._dtype).itemsize
        directory = self._stack.enter_context(own_folder(self._root, n_bytes)) / "index"
        self._writer = IndexWriter(directory, len(keys), first.shape[1], self._dtype)
        self._writer.write_ids(keys)
        return partial(placing, directory)

    def end(self, keys: pa.Table, places: Int64s) -> None:
        """Be told the places of all rows that were put there: of all ``keys``, or of fewer if there are bad rows."""
        if self._writer is not None and len(places) == len(keys):
            self._writer.require_every_place(places)
            self._keys = keys

    def writer_for(self, rows: Rows) -> IndexWriter | None:
        """Return what finishes the index of these rows, None if these are not the ones that are in their places."""
        return self._writer if self._keys is not None and rows.keys is self._keys else None


@contextmanager
def index_ahead(session: Session, plan: str, host_memory: str | None, work_dir: str | None) -> Iterator[IndexAhead]:
    """Yield what may write an index while rows are checked; what is left of it is removed afterward.

    ``plan``, ``host_memory``, ``work_dir``: as in the settings.
    """
    with ExitStack() as stack:
        yield IndexAhead(session, plan, host_memory, work_dir, stack)


def _first_rows(rows: Rows) -> Floats | None:
    """Return the embeddings of the first batch, None if they are no matrix."""
    assert rows.files is not None  # noqa: S101 - asked before
    if isinstance(rows.frame, LocalRows):
        batches = rows.frame.read(["embedding"])
    else:
        batches = rows.files.read(rows.files.parts[0], ["embedding"])
    batch = next(batches, None)
    if batch is None or not len(batch):
        return None
    first = batch.column("embedding").slice(0, 1)
    return None if first.null_count else embedding_matrix(first, np.dtype(np.float64))
