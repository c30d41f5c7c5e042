"""Train blocks: consecutive training rows as files on shared storage, each block mapped where it lies.

DIRECTORY/keys.arrow, words.arrow         of all rows
DIRECTORY/center.npy, duplicates.npy      of all rows, found from what the blocks told
DIRECTORY/block-00000/x.npy, …            of one block: `write_block`, then `finish_block`
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark import columns
from dvspark.columns import embedding_matrix
from dvspark.engine.ann_index import with_search, write_ann
from dvspark.engine.train_index import TrainKeys, mapped_array, mapped_arrays
from dvspark.errors import ComputeError, Problem
from dvspark.kernels import distances
from dvspark.methods.search_index import EXACT
from dvspark.schemas import Floats, Int32s, Int64s, TrainArrays, TrainBlock, TrainLabels

# What blocks tell for `combine_blocks`, which removes it.
TOLD = ("sums", "squares", "digests")

# Rows are read for their digests in pieces of so many bytes.
PIECE_BYTES = 2**20

BLOCK_TYPES = pa.schema([("block", pa.int32()), ("folder", pa.string()), ("n_bytes", pa.int64())])

# A Python worker lives through many tasks, and a wave has many chunks: it opens a block once.
_opened: dict[tuple[str, int], TrainBlock] = {}


@dataclass(frozen=True)
class BlocksReference:
    """What a worker needs to find the blocks: small, picklable. ``directory`` is on storage that all hosts see.

    ``index``: how near rows of a block are found, "exact" or a FAISS factory string.
    """

    directory: str
    n_train: int
    n_features: int
    n_bytes: int
    metric: str
    dtype: str
    block_rows: int
    shipping: str = "blocks"
    n_owners: int = 0
    index: str = EXACT

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_train // self.block_rows)

    def first_row(self, block: int) -> int:
        """Return the place of the block's first row in the whole table; of the block after the last, ``n_train``."""
        return min(block * self.block_rows, self.n_train)

    def n_rows(self, block: int) -> int:
        """Return how many rows the block has."""
        return self.first_row(block + 1) - self.first_row(block)

    def folder(self, block: int) -> Path:
        """Return the folder with the block's files."""
        return Path(self.directory) / f"block-{block:05d}"

    def train_keys(self) -> TrainKeys:
        """Return the keys of all rows, mapped."""
        return TrainKeys.read(Path(self.directory), self.dtype)


def write_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Yield `BLOCKS` for the one block whose rows (id, embedding, block) come in id order."""
    rows = (batch for batch in batches if len(batch))
    for first in rows:
        block = first.column("block")[0].as_py()
        folder = write_block(reference, block, itertools.chain([first], rows))
        yield _told(block, folder)


def finish_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Yield `BLOCKS` for every block whose number is in the batches, finished."""
    for block in block_numbers(batches):
        finish_block(reference, block)
        yield _told(block, reference.folder(block))


def block_numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    """Yield the numbers of blocks in the batches."""
    for batch in batches:
        yield from batch.column("block").to_pylist()


def _told(block: int, folder: Path) -> pa.RecordBatch:
    n_bytes = sum(path.stat().st_size for path in folder.iterdir())
    return pa.RecordBatch.from_pylist([{"block": block, "folder": folder.name, "n_bytes": n_bytes}], BLOCK_TYPES)


def write_block(reference: BlocksReference, block: int, batches: Iterator[pa.RecordBatch]) -> Path:
    """Write rows (id, embedding) that come in id order, and what the other blocks must know of them.

    Returns the folder, whose name no other attempt at this block has: who asked for the block renames one.
    Memory: one batch, then a tile in float64. The rows are written once and read three or four times.
    Raises: ComputeError when the rows are not those whose keys were read.
    """
    folder = Path(reference.directory) / f"attempt-{block:05d}-{uuid.uuid4().hex}"
    folder.mkdir()
    _write_rows(reference, block, batches, folder / "x.npy")
    x = np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False)
    scale = distances.row_scale(x, reference.metric)
    if scale is not None:
        np.save(folder / "scale.npy", scale)
    for name, array in zip(TOLD, (*distances.tile_sums(x, scale), row_digests(x)), strict=True):
        np.save(folder / f"{name}.npy", array)
    return folder


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
    """Return 128 bits of each row, (n, 2) uint64: rows equal value by value, and only they, have equal ones."""
    digests = []
    step = max(1, PIECE_BYTES // (x.itemsize * x.shape[1]))
    for start in range(0, len(x), step):
        piece = x[start : start + step] + x.dtype.type(0.0)  # minus zero equals zero
        digests += [hashlib.blake2b(row.data, digest_size=16).digest() for row in piece]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def combine_blocks(reference: BlocksReference) -> None:
    """Find what takes all blocks, and write it beside them: the center and the pairs of duplicates.

    Memory: 60 bytes a training row; time: that of sorting the digests.
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
    """Write what follows from the block's rows and from all blocks.

    O(rows × D), and what FAISS takes where it indexes the block; memory: a tile in float64, the block's labels, and
    the guests' tiles.
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
    for name, array in files.items():
        if array is not None:
            written = folder / f"{name}.{uuid.uuid4().hex}"
            with written.open("wb") as file:
                np.save(file, array)
            written.replace(folder / f"{name}.npy")  # another attempt writes the same bytes
    write_ann(_open(reference, block).train, reference.index, reference.metric, folder)


def _guests(x: Floats, rows: Int32s, first_copies: Int32s) -> tuple[Floats | None, Int32s]:
    """Return tiles (n_guests, n_features) with each first copy at its place in its tile, and pairs (row, guest).

    The last bits of a product may depend on a row's place in the tile; so a row equal to one of an earlier block
    takes its key from a product in which it stands where that one does. First copies that stand at the same place
    need a tile each.
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


def open_block(reference: BlocksReference, block: int) -> TrainBlock:
    """Return a finished block, mapped read-only from where it lies."""
    key = (reference.directory, block)
    if key not in _opened:
        _opened.clear()  # one block at a time
        _opened[key] = _open(reference, block)
    return _opened[key]


def _open(reference: BlocksReference, block: int) -> TrainBlock:
    folder = reference.folder(block)
    center = mapped_array(Path(reference.directory), "center")
    train = dataclasses.replace(mapped_arrays(folder, "a block"), center=center)
    train = with_search(train, reference.metric, folder)
    norms, scale, pairs = train.squared_norm, train.scale, mapped_array(folder, "guest_pairs")
    if pairs is None:
        raise ComputeError(Problem(str(folder), "a block with guest_pairs.npy", "no such file", "build it again"))
    guests = None
    if (x := mapped_array(folder, "guests")) is not None:
        none = np.empty((0, 2), np.int32)
        guest_norms, guest_scale = np.zeros(len(x)), None if scale is None else np.ones(len(x))
        guest_norms[pairs[:, 1]] = norms[pairs[:, 0]]
        if guest_scale is not None and scale is not None:
            guest_scale[pairs[:, 1]] = scale[pairs[:, 0]]
        guests = TrainArrays(x, TrainLabels(None), guest_scale, center, guest_norms, none)
    return TrainBlock(train, reference.first_row(block), guests, pairs)


def rows_of(reference: BlocksReference, rows: Int64s) -> Floats:
    """Return the embeddings of a few training rows, (n, n_features), read from the blocks' files."""
    x = np.empty((len(rows), reference.n_features), reference.dtype)
    blocks = rows // reference.block_rows
    for block in np.unique(blocks):
        here = blocks == block
        mapped = np.load(reference.folder(int(block)) / "x.npy", mmap_mode="r", allow_pickle=False)
        x[here] = mapped[rows[here] - reference.first_row(int(block))]
    return x
