"""Ahead: the task that checks training rows also puts them in their places in the index, so that they are read once.

Who the run is follows from its rows, so it is not known yet where its index goes. Until then the rows lie in a scratch
folder. The stage index moves them from there, or drops them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from dvspark.engine.index.index_writing import IndexWriter, placing, require_every_place
from dvspark.engine.index.train_index import write_arrow
from dvspark.engine.planning.cluster import read_hosts, session_of
from dvspark.host.own_folder import OwnFolder
from dvspark.local.rows import LocalRows
from dvspark.local.session import LocalSession
from dvspark.schemas import Int64s
from dvspark.spark.session import is_same_host
from dvspark.tables.passes import Begin
from dvspark.tables.row_checks import Placing, dimensions
from dvspark.tables.sources.keys import KEYS_READ_HERE, read_keys, repeated_ids
from dvspark.tables.sources.parts import ParquetPart
from dvspark.tables.sources.rows import Rows

# What an index has of a row beside its numbers, about.
ROW_BYTES = 64


@dataclass(frozen=True)
class IndexAhead:
    """Rows of an index, in a scratch folder: ``keys`` in id order, and tasks that put the rows in their places."""

    own: OwnFolder
    keys: pa.Table

    @classmethod
    def begun(cls, root: Path, keys: pa.Table, n_features: int, dtype: str) -> IndexAhead:
        """Return an index without rows below ``root``. Raises: OSError where there is no place for it."""
        ahead = cls(OwnFolder.make_scratch(root), keys)
        try:
            if shutil.disk_usage(root).free < len(keys) * _row_bytes(n_features, dtype):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(root))
            write_arrow(ahead._ids, keys.select(["id"]))
            IndexWriter(ahead._directory, len(keys), n_features, dtype)
        except BaseException:
            ahead.drop()
            raise
        return ahead

    @property
    def _directory(self) -> Path:
        return self.own.path / "index"

    @property
    def _ids(self) -> Path:
        # Not in the index, whose keys are written later: a task that is late may still map this file.
        return self.own.path / "ids.arrow"

    @property
    def placing(self) -> Placing:
        """What puts good rows in their places, in a task."""
        return partial(placing, self._directory, self._ids)

    def has_all(self, places: Int64s) -> bool:
        """Return whether all rows were put in these places; of fewer rows nothing is kept.

        Raises: ComputeError if one place was taken twice.
        """
        if len(places) != len(self.keys):
            self.drop()
            return False
        require_every_place(places, len(self.keys))
        return True

    def move_to(self, directory: Path) -> None:
        """Have the rows lie in ``directory``, a new folder of the index on the same storage."""
        self.own.require_there()
        self._directory.rename(directory)
        self.drop()

    def drop(self) -> None:
        """Remove what was written and not moved; a second time does nothing."""
        self.own.remove()


@contextmanager
def index_ahead(root: Path, plan: str, host_memory: str | None) -> Iterator[Begin]:
    """Yield what begins an index below ``root`` of rows of a dtype, if they can be written ahead.

    What is left of it goes afterward. ``plan`` and ``host_memory``: as in the settings.
    """
    with ExitStack() as stack:

        def begin(rows: Rows, dtype: str) -> IndexAhead | None:
            if plan == "sharded" or (n_features := _features(rows)) is None:
                return None
            if not _fits(rows, _row_bytes(n_features, dtype), host_memory):
                return None
            keys = read_keys(rows)
            if keys["id"].null_count or repeated_ids(replace(rows, keys=keys))[0]:
                return None
            try:
                ahead = IndexAhead.begun(root, keys, n_features, dtype)
            except OSError:  # which the stage index tells, if it has no place either
                return None
            stack.callback(ahead.drop)
            return ahead

        yield begin


def _features(rows: Rows) -> int | None:
    """Return the dimension of the first row; None if the row has none, or if rows and index are not on this host."""
    if rows.files is None or not 0 < rows.files.n_rows <= KEYS_READ_HERE:
        return None
    session = session_of(rows.frame)
    is_here = isinstance(session, LocalSession) or is_same_host(session)
    # Texts would be taken apart twice, once for their keys.
    if not is_here or not all(isinstance(part, ParquetPart) for part in rows.files.parts):
        return None
    if isinstance(rows.frame, LocalRows):  # which also knows how bytes are to be read
        batch = next(rows.frame.read(["embedding"]), None)
    else:
        batch = next(rows.files.read(rows.files.parts[0], ["embedding"]), None)
    if batch is None or not len(batch):
        return None
    n_features = int(dimensions(batch.column("embedding").slice(0, 1))[0])
    return n_features if n_features > 0 else None


def _fits(rows: Rows, row_bytes: int, host_memory: str | None) -> bool:
    """Return whether the index fits this host's memory; otherwise blocks are planned."""
    assert rows.files is not None  # noqa: S101 - `_features` has asked
    return rows.files.n_rows * row_bytes <= read_hosts(session_of(rows.frame), host_memory).share_bytes


def _row_bytes(n_features: int, dtype: str) -> int:
    return n_features * np.dtype(dtype).itemsize + ROW_BYTES
