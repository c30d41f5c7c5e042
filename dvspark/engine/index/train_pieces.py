"""Pieces: packed training rows on their way into an index, in files on storage that all hosts see."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dvspark.engine.index.manifest import sha256_of
from dvspark.errors import ComputeError, Problem

# A row of `schemas.PACKED_ROWS`, and one of `schemas.PIECES`.
PackedRow = dict[str, Any]
Piece = dict[str, Any]


def write_pieces(packed: Iterator[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    """Write `PACKED_ROWS` to a file in ``folder``; yield the `PIECES` row that names the file, if any rows came.

    No other attempt writes a file of this name, and a file that is named in no `PIECES` row is never read.
    Memory: one batch.
    Raises: ComputeError if this host does not see the folder, or the folder has no space.
    """
    first = next(packed, None)
    if first is None:
        return
    path = folder / f"piece-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file, pa.ipc.new_stream(file, first.schema) as writer:
            for batch in itertools.chain([first], packed):
                writer.write_batch(batch)
        yield pa.RecordBatch.from_pylist([{"name": path.name, "sha256": sha256_of(path)}])
    except OSError as error:
        hint = "set work_dir to a folder that the driver and all hosts see, and free space there"
        raise ComputeError(Problem("writing training rows", "a folder that all hosts see", str(error), hint)) from error


def read_pieces(pieces: list[Piece], folder: Path) -> Iterator[PackedRow]:
    """Yield the packed rows of the files in the order given; each file is removed after it is read.

    Cost: each byte is read twice, the second time from memory. Memory: one batch.
    Raises: ComputeError if a file is not as it was written.
    """
    for piece in pieces:
        path = folder / piece["name"]
        if sha256_of(path) != piece["sha256"]:
            got = "another one" if path.exists() else "none"
            hint = "set work_dir to a folder that the driver and all hosts see, or run it again"
            raise ComputeError(Problem(str(path), "the file that a task has written", got, hint))
        with pa.memory_map(str(path)) as file:
            for batch in pa.ipc.open_stream(file):
                yield from batch.to_pylist()
        path.unlink()
