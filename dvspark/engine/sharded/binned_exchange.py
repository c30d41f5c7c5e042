"""Binned exchange: blocks report counts and near rows of each point, one task values them, and blocks add up.

All functions take and yield plain iterators of Arrow batches. What is large goes through files beside the blocks, which
are there as long as the job runs: codes, 2 bytes for each row and point, how many rows have each code, and what a code
is worth. Through Spark these took two thirds of all time (docs/decisions/0055).
"""

from __future__ import annotations

import itertools
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
from dvspark.engine.sharded.lines import Lines, write_lines
from dvspark.engine.sharded.stored_keys import largest_norm, stored_keys
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.binning import bins, row_codes
from dvspark.kernels.binning.bins import BinDoubt
from dvspark.kernels.blocks.merged_bins import (
    BinnedPart,
    MergedValues,
    add_bounds,
    add_points,
    binned_parts,
    value_parts,
)
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.schemas import (
    BINNED_PARTS,
    POINT_VALUES,
    Bools,
    ChunkArrays,
    Float64s,
    Int64s,
    Partial,
    TrainArrays,
    TrainLabels,
)
from dvspark.schemas.arrow import arrow_schema

PART_TYPES = arrow_schema(BINNED_PARTS)
VALUE_TYPES = arrow_schema(POINT_VALUES)

SAMPLE_FILE = "sample.npz"

# Points whose codes and tables are read, and added to the sums, together: 128 KiB a table.
POINTS_AT_ONCE = 16

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
                shape, fitting = (len(codes), bins.N_COUNTS), np.min_scalar_type(block.train.n_train)
                counts, rows, line = _workspace.array("counts", shape, fitting), list[dict[str, Any]](), 0
                for point, part in zip(some.tolist(), parts, strict=True):
                    rows.append({"chunk_id": chunk_id, "point": point, "block": number})
                    if part is not None:
                        counts[line] = part.counts
                        rows[-1] |= {"line": line, **_part_row(part)}
                        line += 1
                files = {
                    "codes": write_lines(now.folder, f"codes-{number:05d}", codes),
                    "counts": write_lines(now.folder, f"counts-{number:05d}", counts),
                }
                for row in rows:
                    yield pa.RecordBatch.from_pylist([row | files if "line" in row else row], PART_TYPES)


def value_batches(batches: Iterator[pa.RecordBatch], now: BinnedRound) -> Iterator[pa.RecordBatch]:
    """Yield the `POINT_VALUES` for every block, from `BINNED_PARTS` that are sorted by (chunk_id, point, block).

    Memory: one batch, the parts of one point, the near rows of `POINTS_AT_ONCE` and what their codes are worth, and 64
    bytes a training row for the method's weights.
    """
    valued = _valued_points(batches, now)
    while some := list(itertools.islice(valued, POINTS_AT_ONCE)):
        tables = [table for _, table in some if table is not None]
        file, lines = write_lines(now.folder, "tables", np.array(tables)), itertools.count()
        for rows, table in some:
            told = {} if table is None else {"tables": file, "table_line": next(lines)}
            for row in rows:
                yield pa.RecordBatch.from_pylist([row | told], VALUE_TYPES)


def _valued_points(
    batches: Iterator[pa.RecordBatch], now: BinnedRound
) -> Iterator[tuple[list[dict[str, Any]], Float64s | None]]:
    """Yield each point's `POINT_VALUES` as rows, without their table, and the table.

    That is (1 or 2, 2 N_BINS): values by code and, where asked for, certificates. None if bins do not serve the point.
    """
    reference = now.reference
    first_rows = [reference.first_row(block) for block in range(reference.n_blocks)]
    n_players = reference.n_train - now.work.options.self_validation
    method = RankingMethod.of(now.work.method)
    game = method.game(n_players, now.options, method.own(now.work.parameters))
    most = row_codes.most_near_rows(reference.n_train, row_codes.near_capacity(reference.n_train, now.n_near))
    opened: tuple[int, ChunkArrays] | None = None
    counts = Lines(now.folder)
    for (chunk_id, point), found in itertools.groupby(_rows(batches), lambda row: (row["chunk_id"], row["point"])):
        rows = list(found)
        require_all([row["block"] for row in rows], reference, f"chunk {chunk_id}, point {point}")
        parts = [_part_of(row, counts) for row in rows]
        if opened is None or opened[0] != chunk_id:
            opened = chunk_id, read_chunk(now.folder, chunk_id)
        near_of = partial(stored_keys, reference, opened[1].x[point])
        valued = value_parts(parts, first_rows, near_of, most, game, _workspace)
        told = [{name: row[name] for name in ("chunk_id", "point", "block", "codes", "line")} for row in rows]
        if valued is None:
            yield told, None
            continue
        ends = np.cumsum([0, *(0 if part is None else len(part.near_rows) for part in parts)]).tolist()
        for row, given, (start, end) in zip(told, rows, itertools.pairwise(ends), strict=True):
            row |= _value_row(valued, slice(start, end), given["near_rows"].to_pybytes())  # noqa: PLW2901
        yield told, np.array([valued.values, valued.bounds][: 1 + now.options.row_bounds])


def sum_batches(batches: Iterator[pa.RecordBatch], now: BinnedRound) -> Iterator[pa.RecordBatch]:
    """Yield the `BLOCK_SUMS` of every chunk, from `POINT_VALUES` that are sorted by (block, chunk_id, point).

    Memory: one batch, 16 bytes a row of the block, or 24 with certificates, and codes and tables of `POINTS_AT_ONCE`.
    """
    lines = Lines(now.folder)
    for (block, chunk_id), found in itertools.groupby(_rows(batches), lambda row: (row["block"], row["chunk_id"])):
        sums = Partial.zeros(now.reference.n_rows(block), row_bounds=now.options.row_bounds)
        served, failed = list[int](), list[int]()
        while some := list(itertools.islice(found, POINTS_AT_ONCE)):
            failed += [row["point"] for row in some if row["tables"] is None]
            told = [row for row in some if row["tables"] is not None]
            if told:
                _add(told, lines, sums)
                served += [row["point"] for row in told]
        yield sum_batch(chunk_id, block, sums.placed(np.array(served, np.int64)).centered(), failed)


def _add(rows: list[dict[str, Any]], lines: Lines, sums: Partial) -> None:
    """Add what the rows of a block get from some points, `POINT_VALUES` as rows, to the sums."""
    codes = np.array([lines.of(row["codes"], row["line"]) for row in rows])
    tables = np.array([lines.of(row["tables"], row["table_line"]) for row in rows])
    near = [(np.frombuffer(row["near_rows"], np.int32), np.frombuffer(row["near_values"])) for row in rows]
    add_points(codes, np.ascontiguousarray(tables[:, 0]), near, sums.value, sums.value_squared)
    if sums.row_bounds is not None:
        add_bounds(codes, np.ascontiguousarray(tables[:, 1]), sums.row_bounds)
    for row in rows:
        sums.count(row["utility"], row["empty_utility"], row["error_bound"])


def _part_row(part: BinnedPart) -> dict[str, Any]:
    matches, linked = np.packbits(part.near_matches), part.doubt.linked
    return {
        "near_rows": part.near_rows.tobytes(),
        "near_keys": part.near_keys.tobytes(),
        "near_matches": matches.tobytes(),
        "linked": np.packbits(linked).tobytes(),
        "low": part.doubt.low,
        "limit": part.doubt.limit,
    }


def _part_of(row: dict[str, Any], counts: Lines) -> BinnedPart | None:
    if row["codes"] is None:
        return None
    near_rows = np.frombuffer(row["near_rows"], np.int32)
    return BinnedPart(
        counts=counts.of(row["counts"], row["line"]),
        near_rows=near_rows,
        near_keys=np.frombuffer(row["near_keys"], np.float32),
        near_matches=_bits(row["near_matches"], len(near_rows)),
        doubt=BinDoubt(_bits(row["linked"], bins.N_BINS), row["low"], row["limit"]),
    )


def _bits(packed: Any, count: int) -> Bools:
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(np.bool_)


def _value_row(valued: MergedValues, near: slice, near_rows: bytes) -> dict[str, Any]:
    utility, empty_utility = valued.utility
    return {
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
