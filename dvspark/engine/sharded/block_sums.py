"""Block sums: the sums that rows of one block get from one chunk, and how the sums of all blocks make a partial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.reduce import widest_of
from dvspark.errors import ComputeError, Problem
from dvspark.schemas import BLOCK_SUMS, SCALARS, Float64s, Int64s, Partial
from dvspark.schemas.arrow import arrow_schema

SUM_TYPES = arrow_schema(BLOCK_SUMS)


def sum_batch(chunk_id: int, block: int, sums: Partial, failed: list[int]) -> pa.RecordBatch:
    """Return the sums of one block as `BLOCK_SUMS`; ``failed``: places of points that are not in the sums."""
    told = {
        "chunk_id": chunk_id,
        "block": block,
        "failed": failed,
        **{name: getattr(sums, name) for name in SCALARS},
        "widest": sums.of_chunk(chunk_id).widest.tobytes(),
        "value": sums.value.tobytes(),
        "value_squared": sums.value_squared.tobytes(),
        "row_bounds": None if sums.row_bounds is None else sums.row_bounds.tobytes(),
    }
    return pa.RecordBatch.from_pylist([told], SUM_TYPES)


def chunk_sums(
    sums: pa.Table, reference: BlocksReference, n_points: dict[int, int]
) -> dict[int, tuple[Partial, Int64s]]:
    """Return for each chunk its partial, and the places of points that are not in it, from all blocks' `BLOCK_SUMS`.

    ``n_points`` has for each chunk the number of validation rows that were asked for.
    Raises: ComputeError if a block is missing or there twice, or if the points are not those that were asked for.
    """
    rows = sorted(sums.to_pylist(), key=lambda row: (row["chunk_id"], row["block"]))
    found = {}
    for chunk_id, expected in n_points.items():
        of_chunk = [row for row in rows if row["chunk_id"] == chunk_id]
        require_all([row["block"] for row in of_chunk], reference, f"chunk {chunk_id}")
        first = of_chunk[0]
        for row in of_chunk:
            if row["n_validation"] + len(row["failed"]) != expected or row["failed"] != first["failed"]:
                got = f"{row['n_validation']} valued, {len(row['failed'])} not"
                where, hint = f"chunk {chunk_id}, block {row['block']}", "run it again; if it stays, report it"
                raise ComputeError(Problem(where, f"{expected} validation rows", got, hint))
        partial = Partial(
            value=_joined(of_chunk, "value"),
            value_squared=_joined(of_chunk, "value_squared"),
            widest=widest_of(first["widest"]),
            **{name: first[name] for name in SCALARS},  # the same in all blocks of a chunk
            row_bounds=None if first["row_bounds"] is None else _joined(of_chunk, "row_bounds"),
        )
        found[chunk_id] = partial, np.array(first["failed"], np.int64)
    return found


def require_all(blocks: list[int], reference: BlocksReference, where: str) -> None:
    """Raise ComputeError unless ``blocks`` are all blocks, each once, in order."""
    if blocks != list(range(reference.n_blocks)):
        expected, got = f"parts of {reference.n_blocks} blocks, each once", f"parts of the blocks {blocks}"
        raise ComputeError(Problem(where, expected, got, "run it again; if it stays, report it"))


def _joined(rows: list[dict[str, Any]], name: str) -> Float64s:
    return np.concatenate([np.frombuffer(row[name]) for row in rows])
