"""Binned exchange: blocks report counts and near rows of each point, one task values them, and blocks add up.

All functions take and yield plain iterators of Arrow batches. The codes, which need 2 bytes for each row and point,
stay in files beside the blocks as long as the job runs.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.engine.index.train_blocks import BlocksReference, block_numbers, open_block, rows_of
from dvspark.engine.sharded.block_sums import require_all, sum_batch
from dvspark.engine.sharded.exchange import read_chunk
from dvspark.engine.sharded.stored_keys import largest_norm, stored_keys
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.binning import bins, row_codes
from dvspark.kernels.binning.bins import BinDoubt
from dvspark.kernels.blocks.merged_bins import (
    BinnedPart,
    MergedValues,
    add_bounds,
    add_point,
    binned_parts,
    value_parts,
)
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.schemas import BINNED_PARTS, POINT_VALUES, Bools, ChunkArrays, Int64s, Partial, TrainArrays, TrainLabels
from dvspark.schemas.arrow import arrow_schema

PART_TYPES = arrow_schema(BINNED_PARTS)
VALUE_TYPES = arrow_schema(POINT_VALUES)

SAMPLE_FILE = "sample.npz"

# A Python worker runs many tasks, one after the other.
_workspace = Workspace()


@dataclass(frozen=True)
class BinnedRound:
    """One round of the exchange: the ``points`` of each chunk, as places in it, and how many rows should be near."""

    reference: BlocksReference
    work: ChunkWork
    folder: Path
    points: dict[int, Int64s]
    n_near: int

    @property
    def options(self) -> RankingOptions:
        """The options that say how rows are ranked."""
        return self.work.options.ranking_options(self.work.parameters, self.reference.n_train)


def write_sample(reference: BlocksReference) -> None:
    """Write the sample of training rows that says where bins lie to a file beside the blocks, from which it is read."""
    rows = bins.sample_rows(reference.n_train)
    blocks, norms, scales = rows // reference.block_rows, np.empty(len(rows)), np.empty(0)
    for block in np.unique(blocks).tolist():
        here, train = blocks == block, open_block(reference, block).train
        local = rows[here] - reference.first_row(block)
        norms[here] = train.squared_norm[local]
        if train.scale is not None:
            scales = np.append(scales, train.scale[local])
    x = rows_of(reference, rows)
    longest = np.array(largest_norm(reference))
    np.savez(Path(reference.directory) / SAMPLE_FILE, x=x, squared_norm=norms, scale=scales, longest=longest)


def read_sample(reference: BlocksReference) -> TrainArrays:
    """Return the sample that `write_sample` wrote."""
    none, center = np.empty((0, 2), np.int32), open_block(reference, 0).train.center
    with np.load(Path(reference.directory) / SAMPLE_FILE, allow_pickle=False) as arrays:
        scale = arrays["scale"] if len(arrays["scale"]) else None
        norms, longest = arrays["squared_norm"], float(arrays["longest"])
        return TrainArrays(arrays["x"], TrainLabels(None), scale, center, norms, none, longest=longest)


def part_batches(batches: Iterator[pa.RecordBatch], now: BinnedRound) -> Iterator[pa.RecordBatch]:
    """Yield, for each block whose number is in the batches, the `BINNED_PARTS` of every point of the round.

    Memory: the block, mapped, and what `merged_bins.binned_parts` takes.
    """
    reference, sample = now.reference, read_sample(now.reference)
    for number in block_numbers(batches):
        block = open_block(reference, number)
        for chunk_id, points in now.points.items():
            chunk = read_chunk(now.folder, chunk_id)
            given = (now.options.metric, reference.n_train, now.n_near, _workspace)
            for some, codes, parts in binned_parts(block, sample, chunk, points, *given):
                # No other attempt at this block uses the name; the task that values points hears of one file.
                path = now.folder / f"codes-{number:05d}-{uuid.uuid4().hex}.npy"
                np.save(path, codes)
                lines = itertools.count()
                for point, part in zip(some.tolist(), parts, strict=True):
                    row: dict[str, Any] = {"chunk_id": chunk_id, "point": point, "block": number}
                    if part is not None:
                        row |= {"codes": path.name, "line": next(lines), **_part_row(part)}
                    yield pa.RecordBatch.from_pylist([row], PART_TYPES)


def value_batches(batches: Iterator[pa.RecordBatch], now: BinnedRound) -> Iterator[pa.RecordBatch]:
    """Yield the `POINT_VALUES` for every block, from `BINNED_PARTS` that are sorted by (chunk_id, point, block).

    Memory: one batch, one point's parts, and 64 bytes a training row for the method's weights.
    """
    reference = now.reference
    first_rows = [reference.first_row(block) for block in range(reference.n_blocks)]
    n_players = reference.n_train - now.work.options.self_validation
    method = RankingMethod.of(now.work.method)
    game = method.game(n_players, now.options, method.own(now.work.parameters))
    most = row_codes.most_near_rows(reference.n_train, row_codes.near_capacity(reference.n_train, now.n_near))
    opened: tuple[int, ChunkArrays] | None = None
    for (chunk_id, point), found in itertools.groupby(_rows(batches), lambda row: (row["chunk_id"], row["point"])):
        rows = list(found)
        require_all([row["block"] for row in rows], reference, f"chunk {chunk_id}, point {point}")
        parts = [_part_of(row) for row in rows]
        if opened is None or opened[0] != chunk_id:
            opened = chunk_id, read_chunk(now.folder, chunk_id)
        near_of = partial(stored_keys, reference, opened[1].x[point])
        valued = value_parts(parts, first_rows, near_of, most, game, _workspace)
        start = 0
        for row, part in zip(rows, parts, strict=True):
            told = {name: row[name] for name in ("chunk_id", "point", "block", "codes", "line")}
            if valued is not None and part is not None:
                here = slice(start, start + len(part.near_rows))
                told |= _value_row(valued, here, part.near_rows.tobytes(), with_bounds=now.options.row_bounds)
                start = here.stop
            yield pa.RecordBatch.from_pylist([told], VALUE_TYPES)


def sum_batches(batches: Iterator[pa.RecordBatch], now: BinnedRound) -> Iterator[pa.RecordBatch]:
    """Yield the `BLOCK_SUMS` of every chunk, from `POINT_VALUES` that are sorted by (block, chunk_id, point).

    Memory: one batch, and 16 bytes a row of the block, or 24 with certificates.
    """
    for (block, chunk_id), found in itertools.groupby(_rows(batches), lambda row: (row["block"], row["chunk_id"])):
        sums = Partial.zeros(now.reference.n_rows(block), row_bounds=now.options.row_bounds)
        served, failed = list[int](), list[int]()
        for row in found:
            if row["values"] is None:
                failed.append(row["point"])
                continue
            codes = np.load(now.folder / row["codes"], mmap_mode="r", allow_pickle=False)[row["line"]]
            near = np.frombuffer(row["near_rows"], np.int32), np.frombuffer(row["near_values"])
            add_point(np.asarray(codes), np.frombuffer(row["values"]), *near, sums.value, sums.value_squared)
            if sums.row_bounds is not None:
                add_bounds(np.asarray(codes), np.frombuffer(row["bounds"]), sums.row_bounds)
            sums.count(row["utility"], row["empty_utility"], row["error_bound"])
            served.append(row["point"])
        yield sum_batch(chunk_id, block, sums.placed(np.array(served, np.int64)).centered(), failed)


def _part_row(part: BinnedPart) -> dict[str, Any]:
    matches, linked = np.packbits(part.near_matches), part.doubt.linked
    return {
        "counts": part.counts.tobytes(),
        "near_rows": part.near_rows.tobytes(),
        "near_keys": part.near_keys.tobytes(),
        "near_matches": matches.tobytes(),
        "linked": np.packbits(linked).tobytes(),
        "low": part.doubt.low,
        "limit": part.doubt.limit,
    }


def _part_of(row: dict[str, Any]) -> BinnedPart | None:
    if row["codes"] is None:
        return None
    near_rows = np.frombuffer(row["near_rows"], np.int32)
    return BinnedPart(
        counts=np.frombuffer(row["counts"], np.int32),
        near_rows=near_rows,
        near_keys=np.frombuffer(row["near_keys"], np.float32),
        near_matches=_bits(row["near_matches"], len(near_rows)),
        doubt=BinDoubt(_bits(row["linked"], bins.N_BINS), row["low"], row["limit"]),
    )


def _bits(packed: Any, count: int) -> Bools:
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(np.bool_)


def _value_row(valued: MergedValues, near: slice, near_rows: bytes, *, with_bounds: bool) -> dict[str, Any]:
    utility, empty_utility = valued.utility
    return {
        "values": valued.values.tobytes(),
        "bounds": valued.bounds.tobytes() if with_bounds else None,
        "near_rows": near_rows,
        "near_values": valued.near_values[near].tobytes(),
        "utility": utility,
        "empty_utility": empty_utility,
        "error_bound": valued.error_bound,
    }


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    """Yield the rows one by one, with binary cells as buffers of their batch."""
    for batch in batches:
        for place in range(len(batch)):
            yield {name: _cell(batch.column(name)[place]) for name in batch.schema.names}


def _cell(cell: pa.Scalar) -> Any:
    return cell.as_buffer() if pa.types.is_binary(cell.type) and cell.is_valid else cell.as_py()
