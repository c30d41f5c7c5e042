"""Reduce: partials travel in blocks of train rows and are added in a fixed order: the same bits every time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.errors import ComputeError, Problem
from dvspark.schemas import PARTIALS, SCALARS, TOTALS, Float64s, Partial, Wave
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.pairwise import Pairwise
from dvspark.schemas.sketch import OF_ALL, block_sketch, sketch

# Train rows in one block: 0.5 MB of float64, the middle of what a shuffle carries well (0.5-2 MB).
BLOCK_ROWS = 65_536

PARTIAL_TYPES = arrow_schema(PARTIALS)
TOTAL_TYPES = arrow_schema(TOTALS)


def partial_batches(chunk_id: int, partial: Partial) -> Iterator[pa.RecordBatch]:
    """Yield a chunk's partial as `PARTIALS`, one row for each block of train rows."""
    widest = partial.of_chunk(chunk_id).widest.tobytes()
    for block, start in enumerate(range(0, len(partial.value), BLOCK_ROWS)):
        here = slice(start, start + BLOCK_ROWS)
        row = {
            "train_block": block,
            "chunk_id": chunk_id,
            **{name: getattr(partial, name) for name in SCALARS},
            "widest": widest,
            "value": partial.value[here].tobytes(),
            "value_squared": partial.value_squared[here].tobytes(),
            "row_bounds": None if partial.row_bounds is None else partial.row_bounds[here].tobytes(),
        }
        yield pa.RecordBatch.from_pylist([row], PARTIAL_TYPES)


def reduce_block(partials: pa.Table) -> pa.Table:
    """Return the `TOTALS` row of one block of train rows: the wave's partials of this block, added pairwise in order.

    Cost: O(chunks × rows of the block). Memory: the partials of one block.
    """
    order = np.argsort(partials["chunk_id"].to_numpy()).tolist()
    bounded = partials["row_bounds"].null_count == 0  # one missing sketch leaves no sum
    total, sketches = Pairwise(), list[Float64s]()
    for place in order:
        part = _partial(partials, place, bounded=bounded)
        sketches.append(block_sketch(part.value, part.value_squared, part.n_validation))
        total.add(part)
    found = total.total() or Partial.zeros(0)
    row: dict[str, Any] = {name: getattr(found, name) for name in SCALARS}
    row["train_block"] = partials["train_block"][0].as_py()
    row["chunk_ids"] = [partials["chunk_id"][place].as_py() for place in order]
    for name in ("widest", "value", "value_squared", "row_bounds"):
        row[name] = None if getattr(found, name) is None else getattr(found, name).tobytes()
    # These are equal in all blocks, so the first block is enough.
    counted = np.array([[partials[name][place].as_py() for name in SCALARS[:OF_ALL]] for place in order])
    row["sketches"] = np.hstack([np.stack(sketches), counted]).tobytes()
    return pa.Table.from_pylist([row], TOTAL_TYPES)


def _partial(partials: pa.Table, place: int, *, bounded: bool) -> Partial:
    """Return the part of one chunk in the block; the caller may write to its arrays."""

    def array(name: str) -> Float64s:
        return np.frombuffer(partials[name][place].as_buffer()).copy()

    counted = {name: partials[name][place].as_py() for name in SCALARS}
    bounds, widest = array("row_bounds") if bounded else None, widest_of(partials["widest"][place].as_py())
    return Partial(array("value"), array("value_squared"), row_bounds=bounds, widest=widest, **counted)


def chunk_partial(partials: pa.Table) -> Partial:
    """Return a chunk's partial from its `PARTIALS`, all blocks in their order; its arrays may be written to."""
    order = np.argsort(partials["train_block"].to_numpy()).tolist()
    found = _partial(partials, order[0], bounded=False)
    for name in ("value", "value_squared", "row_bounds"):
        if partials[name].null_count == 0:
            blocks = _float64s(partials[name])
            setattr(found, name, np.concatenate([blocks[place] for place in order]))
    return found


def _float64s(column: pa.ChunkedArray) -> list[Float64s]:
    """Return the array in each binary value; it lies in the column's memory.

    A pyarrow scalar is a copy: of 3 million rows, 38 ms a partial in place of 11.
    """
    found = list[Float64s]()
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
        found += [np.frombuffer(data, np.float64, (end - start) // 8, start) for start, end in pairwise(ends)]
    return found


def widest_of(told: bytes) -> Float64s:
    """Return the points with the widest certificates, as the bytes of a partial's table encode them."""
    return np.frombuffer(told).reshape(-1, 3)


def sketch_of(partial: Partial) -> Float64s:
    """Return the sketch of a chunk's partial, in the form that `assemble` gives it."""
    return sketch(partial, BLOCK_ROWS)


class WaveSum:
    """The sum of a wave's chunks, which come one by one in ascending order, where no reducer of Spark adds them."""

    def __init__(self) -> None:
        self._total, self._sketches = Pairwise(), list[Float64s]()

    def add(self, partial: Partial) -> None:
        """Add the next chunk's partial."""
        self._sketches.append(sketch_of(partial))
        self._total.add(partial)

    def wave(self, place: int, chunk_rows: dict[int, int]) -> Wave:
        """Return what was added as the wave of these chunks, the first of them at ``place``."""
        total = self._total.total()
        assert total is not None  # noqa: S101 - a wave has chunks
        return Wave(place, chunk_rows, total, np.stack(self._sketches))


def wave_of(totals: pa.Table, n_train: int, place: int, chunk_sizes: dict[int, int]) -> Wave:
    """Return a wave from its `TOTALS`, checked by `assemble`; ``place`` is that of the wave's first chunk."""
    found = assemble(totals, n_train, chunk_sizes)
    rows = totals.sort_by("train_block")["sketches"].to_pylist()
    sketches = [np.frombuffer(row).reshape(len(chunk_sizes), -1) for row in rows]
    blocks = [of_block[:, :-OF_ALL] for of_block in sketches]
    return Wave(place, chunk_sizes, found, np.hstack([*blocks, sketches[0][:, -OF_ALL:]]))


def assemble(totals: pa.Table, n_train: int, chunk_sizes: dict[int, int]) -> Partial:
    """Return the partial of a wave from its `TOTALS`, checked against the chunks that the wave must contain.

    ``chunk_sizes`` has the number of validation rows of each chunk of the wave.
    Raises: ComputeError if a block of train rows is missing, a chunk is missing or counted twice, other rows were
    valued than those assigned, or only some blocks have certificates row by row.
    """
    rows = sorted(totals.to_pylist(), key=lambda row: row["train_block"])
    n_blocks = -(-n_train // BLOCK_ROWS)
    problems = _mismatch("train blocks", list(range(n_blocks)), [row["train_block"] for row in rows])
    for row in rows:
        where = f"chunks of train block {row['train_block']}"
        problems += _mismatch(where, sorted(chunk_sizes), list(row["chunk_ids"]))
        if row["n_validation"] != sum(chunk_sizes.values()):
            expected, got = f"{sum(chunk_sizes.values())} validation rows", str(row["n_validation"])
            problems.append(Problem(where, expected, got, "did the validation table change meanwhile?"))
    bounds = [np.frombuffer(row["row_bounds"]) for row in rows if row["row_bounds"] is not None]
    if len(bounds) not in (0, len(rows)):
        expected, got = f"in all {len(rows)} train blocks, or in none", f"in {len(bounds)}"
        problems.append(Problem("row_bounds", expected, got, "run it again; if it stays, report it"))
    if problems:
        raise ComputeError(problems)
    return Partial(
        value=np.concatenate([np.frombuffer(row["value"]) for row in rows]),
        value_squared=np.concatenate([np.frombuffer(row["value_squared"]) for row in rows]),
        row_bounds=np.concatenate(bounds) if bounds else None,
        widest=widest_of(rows[0]["widest"]),
        **{name: rows[0][name] for name in SCALARS},
    )


def _mismatch(where: str, expected: list[int], got: list[int]) -> list[Problem]:
    if expected == got:
        return []
    missing, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    twice = sorted({number for number in got if got.count(number) > 1})
    found = f"missing {missing[:5]}, unexpected {extra[:5]}, more than once {twice[:5]}"
    return [Problem(where, f"{len(expected)}, each once", found, "run it again; if it stays, report it")]
