"""Writing blocks: rows go into the files of their blocks, and tasks finish each block with facts that need all blocks.

On several hosts a task writes one block, whose rows come to it in order. On one host tasks put rows, in any order, in
their places.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.engine.index.index_writing import RowFile, place_rows
from dvspark.engine.index.manifest import write_manifest
from dvspark.engine.index.search import FILE as ANN_FILE
from dvspark.engine.index.search import write_ann
from dvspark.engine.index.train_blocks import BlocksReference, block_numbers, manifest_of, map_block
from dvspark.engine.index.train_index import mapped_array
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.distances import distances
from dvspark.schemas import BLOCKS, Floats, Int32s, Int64s, columns
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.columns import embedding_matrix

# Files that blocks write for `combine_blocks`, which removes them.
TOLD = ("sums", "squares", "digests")

# Fields of a reference that are not in its manifest: where the blocks lie, and what the manifest itself says.
UNSEALED = ("directory", "digest", "shipping")

# A process may often have no more than 1,024 files open, and rows may come in any order.
MOST_OPEN_FILES = 256

# Rows are read for their digests in pieces of so many bytes.
PIECE_BYTES = 2**20

BLOCK_TYPES = arrow_schema(BLOCKS)


class BlockFiles:
    """The files ``x.npy`` of all blocks, each of which is opened when rows come for it; some at the same time."""

    def __init__(self, reference: BlocksReference) -> None:
        self.dtype, self.n_features = np.dtype(reference.dtype), reference.n_features
        self._reference, self._files, self._opened = reference, dict[int, RowFile](), ExitStack()

    def __enter__(self) -> BlockFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def write(self, places: Int64s, rows: Floats) -> None:
        """Write ``rows`` (n, n_features) to ``places`` (n,) of the whole table."""
        blocks = places // self._reference.block_rows
        for block in np.unique(blocks).tolist():
            if block not in self._files:
                if len(self._files) == MOST_OPEN_FILES:
                    self._opened.close()
                    self._files.clear()
                self._files[block] = self._opened.enter_context(RowFile(self._reference.folder(block)))
            here = blocks == block
            within = rows if here.all() else rows[here]
            self._files[block].write(places[here] - self._reference.first_row(block), within)


def begin_blocks(reference: BlocksReference) -> None:
    """Make the folder of each block, with a file for its rows, which has its size and no rows yet."""
    for block in range(reference.n_blocks):
        reference.folder(block).mkdir()
        RowFile.make(reference.folder(block), reference.n_rows(block), reference.n_features, reference.dtype)


def place_in_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Write rows (id, embedding) to their places in the files that `begin_blocks` made, as `place_rows` does."""
    return place_rows(batches, Path(reference.directory), BlockFiles(reference))


def look_through_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Yield the `BLOCKS` row of each block whose number is in the batches, when it has told the others what they need.

    All rows of the block are in their places.
    """
    for block in block_numbers(batches):
        look_through(reference.folder(block), reference.metric)
        yield _told(block, reference.folder(block))


def write_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Yield the `BLOCKS` row of one block, written from rows (id, embedding, block) that come in id order."""
    rows = (batch for batch in batches if len(batch))
    for first in rows:
        block = first.column("block")[0].as_py()
        folder = write_block(reference, block, itertools.chain([first], rows))
        yield _told(block, folder)


def finish_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Yield the `BLOCKS` row of each block whose number is in the batches, after finishing the block."""
    for block in block_numbers(batches):
        finish_block(reference, block)
        yield _told(block, reference.folder(block))


def _told(block: int, folder: Path) -> pa.RecordBatch:
    n_bytes = sum(path.stat().st_size for path in folder.iterdir())
    return pa.RecordBatch.from_pylist([{"block": block, "folder": folder.name, "n_bytes": n_bytes}], BLOCK_TYPES)


def write_block(reference: BlocksReference, block: int, batches: Iterator[pa.RecordBatch]) -> Path:
    """Write the block's rows (id, embedding), which come in id order, and what other blocks need to know of them.

    Return the folder. No other attempt at this block uses this folder's name; the caller renames the folder of one
    attempt.
    Cost: the rows are written once and read three or four times. Memory: one batch, then a tile in float64.
    Raises: ComputeError if the rows are not those whose keys were read before.
    """
    folder = Path(reference.directory) / f"attempt-{block:05d}-{uuid.uuid4().hex}"
    folder.mkdir()
    _write_rows(reference, block, batches, folder / "x.npy")
    look_through(folder, reference.metric)
    return folder


def look_through(folder: Path, metric: str) -> None:
    """Write what other blocks need to know of the rows in ``folder``. Memory: a tile in float64."""
    x = np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False)
    scale = distances.row_scale(x, metric)
    told = dict(zip(TOLD, (*distances.tile_sums(x, scale), row_digests(x)), strict=True))
    _save(folder, {"scale": scale, **told})


def _write_rows(reference: BlocksReference, block: int, batches: Iterator[pa.RecordBatch], path: Path) -> None:
    n_rows, n_written = reference.n_rows(block), 0
    ids = reference.train_keys().keys["id"].slice(reference.first_row(block), n_rows).combine_chunks()
    dtype = np.dtype(reference.dtype)
    header = {"descr": dtype.str, "fortran_order": False, "shape": (n_rows, reference.n_features)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for batch in batches:
            if not batch.column("id").equals(ids.slice(n_written, len(batch))):
                n_written = -1
                break
            file.write(np.ascontiguousarray(embedding_matrix(batch.column("embedding"), dtype)).data)
            n_written += len(batch)
    if n_written != n_rows:
        expected, got = f"the {n_rows} rows whose keys were read", "other ids" if n_written < 0 else f"{n_written} rows"
        raise ComputeError(Problem(f"block {block}", expected, got, "did the table change meanwhile?"))


def row_digests(x: Floats) -> npt.NDArray[np.uint64]:
    """Return a digest of 128 bits for each row, (n, 2) uint64; equal for rows that are equal value by value."""
    digests = []
    step = max(1, PIECE_BYTES // (x.itemsize * x.shape[1]))
    for start in range(0, len(x), step):
        piece = x[start : start + step] + x.dtype.type(0.0)  # minus zero equals zero
        digests += [hashlib.blake2b(row.data, digest_size=16).digest() for row in piece]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def combine_blocks(reference: BlocksReference) -> None:
    """Find the center and the pairs of duplicates, which depend on all blocks, and write them beside the blocks.

    Cost: a sort of the digests. Memory: 60 bytes a training row.
    """
    told = [[reference.folder(block) / f"{name}.npy" for block in range(reference.n_blocks)] for name in TOLD]
    sums, squares, digests = (np.concatenate([np.load(path, allow_pickle=False) for path in paths]) for paths in told)
    center = distances.common_offset(sums, squares, reference.n_train)
    if center is not None:
        np.save(Path(reference.directory) / "center.npy", center)
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    duplicates = distances.first_copies(order, (ordered[1:] != ordered[:-1]).any(axis=1))
    np.save(Path(reference.directory) / "duplicates.npy", duplicates)
    for path in itertools.chain.from_iterable(told):
        path.unlink()


def finish_block(reference: BlocksReference, block: int) -> None:
    """Write the files that follow from the block's rows and from all blocks, then the manifest of the block.

    Cost: O(rows × D), and the time FAISS takes if it indexes the block. Memory: a tile in float64, the labels of the
    block, and the tiles of guests.
    """
    directory, folder = Path(reference.directory), reference.folder(block)
    x = np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False)
    train = reference.train_keys()
    first = reference.first_row(block)
    words = train.keys["label"].slice(first, len(x)).combine_chunks()
    labels = columns.encode_train_labels(words, train.words)
    pairs = np.load(directory / "duplicates.npy", mmap_mode="r", allow_pickle=False)
    begin, end = np.searchsorted(pairs[:, 0], (first, first + len(x)))
    here = np.asarray(pairs[begin:end])
    inside = here[:, 1] >= first
    guests, guest_pairs = _guests(x, here[~inside, 0] - np.int32(first), here[~inside, 1])
    files: dict[str, npt.NDArray[Any] | None] = {
        "squared_norm": distances.placed_norms(x, mapped_array(folder, "scale"), mapped_array(directory, "center")),
        "label_codes": labels.codes,
        "label_offsets": labels.offsets,
        "label_postings": labels.postings,
        "duplicates": here[inside] - np.int32(first),
        "guests": guests,
        "guest_pairs": guest_pairs,
    }
    _save(folder, files)
    write_ann(map_block(reference, block).train, reference.index, reference.metric, folder)
    names = [*(f"{name}.npy" for name in ("x", "scale", *files)), ANN_FILE]
    write_manifest(folder, [name for name in names if (folder / name).exists()], {})


def _save(folder: Path, arrays: dict[str, npt.NDArray[Any] | None]) -> None:
    for name, array in arrays.items():
        if array is not None:
            written = folder / f"{name}.{uuid.uuid4().hex}"
            with written.open("wb") as file:
                np.save(file, array)
            written.replace(folder / f"{name}.npy")  # safe: another attempt would write the same bytes


def seal_blocks(reference: BlocksReference, n_bytes: int) -> BlocksReference:
    """Write the manifest of all finished blocks, of ``n_bytes``; return the reference with the manifest's sha256."""
    directory, reference = Path(reference.directory), dataclasses.replace(reference, n_bytes=n_bytes)
    names = sorted(path.name for path in directory.iterdir() if path.is_file())
    names += [manifest_of(reference, block) for block in range(reference.n_blocks)]
    facts = {name: value for name, value in dataclasses.asdict(reference).items() if name not in UNSEALED}
    return dataclasses.replace(reference, digest=write_manifest(directory, names, {}, blocks=facts))


def _guests(x: Floats, rows: Int32s, first_copies: Int32s) -> tuple[Floats | None, Int32s]:
    """Return tiles (n_guests, n_features) of first copies, each at its own place in the tile, and pairs (row, guest).

    The last bits of a product can depend on a row's place in the tile. So a row whose first copy lies in an earlier
    block takes its key from a product in which the row stands at the first copy's place. Two first copies with the same
    place need two tiles.
    """
    copies, representative, which = np.unique(first_copies, return_index=True, return_inverse=True)
    places = copies % distances.TILE_ROWS
    order = np.argsort(places, kind="stable")
    tiles = np.empty(len(copies), np.int64)
    tiles[order] = np.arange(len(copies)) - np.searchsorted(places[order], places[order])
    guests = tiles * distances.TILE_ROWS + places
    pairs = np.stack([rows, guests[which]], axis=1).astype(np.int32)
    if not len(copies):
        return None, pairs
    tile_rows = np.zeros(((int(tiles.max()) + 1) * distances.TILE_ROWS, x.shape[1]), x.dtype)
    tile_rows[guests] = x[rows[representative]]
    return tile_rows, pairs
