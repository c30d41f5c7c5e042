"""Train blocks: consecutive training rows as files on shared storage, each block mapped where it lies.

DIRECTORY/keys.arrow, words.arrow         of all rows
DIRECTORY/center.npy, duplicates.npy      of all rows, from what all blocks reported
DIRECTORY/block-00000/x.npy, …            of one block
DIRECTORY/block-00000/index.json          its manifest; DIRECTORY/index.json has the sha256 of this manifest

`block_writing` writes these files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from dvspark.engine.index.manifest import MANIFEST, damaged_files, has_manifest, read_manifest, sha256_of
from dvspark.engine.index.search import with_search
from dvspark.engine.index.train_index import TrainKeys, mapped_array, mapped_arrays
from dvspark.errors import ComputeError, Problem
from dvspark.kernels import loops
from dvspark.schemas import DAMAGE, EXACT, Floats, Int64s, TrainArrays, TrainBlock, TrainLabels
from dvspark.schemas.arrow import arrow_schema
from dvspark.spark import worker

DAMAGE_TYPES = arrow_schema(DAMAGE)

# State of a block's files: the folder, and for each file its name, inode, size and time of change.
Files = tuple[str, tuple[tuple[str, int, int, int], ...]]

# A Python worker runs many tasks, and a wave has many chunks. So it opens a block once, unless the files change.
_opened: dict[Files, TrainBlock] = {}

# Blocks that this process has checked. A check reads every byte, so it is not repeated at each opening.
_whole: set[Files] = set()


@dataclass(frozen=True)
class BlocksReference:
    """What a worker needs to find the blocks: a small, picklable object. All hosts see the storage of ``directory``.

    ``index`` says how near rows of a block are found: "exact" or a FAISS factory string.
    ``digest`` is the sha256 of the manifest, which names the manifests of the blocks. It is empty until all blocks are
    finished.
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
    digest: str = ""

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_train // self.block_rows)

    def first_row(self, block: int) -> int:
        """Return the place of the block's first row in the whole table; ``n_train`` for the number after the last."""
        return min(block * self.block_rows, self.n_train)

    def n_rows(self, block: int) -> int:
        """Return the number of rows in the block."""
        return self.first_row(block + 1) - self.first_row(block)

    def folder(self, block: int) -> Path:
        """Return the folder with the block's files."""
        return Path(self.directory) / f"block-{block:05d}"

    def train_keys(self) -> TrainKeys:
        """Return the keys of all training rows, mapped."""
        return TrainKeys.read(Path(self.directory), self.dtype)


def block_numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    """Yield the numbers of blocks that are in the batches. Runs in a worker."""
    worker.get_ready(loops.fastest)
    for batch in batches:
        yield from batch.column("block").to_pylist()


def sealed_blocks(directory: Path, digest: str) -> BlocksReference | None:
    """Return the finished blocks in ``directory``; None if files that describe all blocks are missing or damaged.

    The files of the blocks themselves are not read; `damaged_blocks` does that.
    """
    if damaged_files(directory, digest) or "blocks" not in (manifest := read_manifest(directory)):
        return None
    return BlocksReference(str(directory), **manifest["blocks"], digest=digest)


def damaged_blocks(batches: Iterator[pa.RecordBatch], reference: BlocksReference) -> Iterator[pa.RecordBatch]:
    """Yield a `DAMAGE` row for each block whose number is in the batches: the files that are missing or damaged."""
    for block in block_numbers(batches):
        yield pa.RecordBatch.from_pylist([{"block": block, "damaged": _damaged(reference, block)}], DAMAGE_TYPES)


def _damaged(reference: BlocksReference, block: int) -> list[str]:
    """Return the names of missing or damaged files, of one block and of all blocks together. Reads every byte."""
    directory = Path(reference.directory)
    if not has_manifest(directory, reference.digest):
        return [MANIFEST]
    files = read_manifest(directory)["files"]
    beside = [name for name, sha in files.items() if "/" not in name and sha256_of(directory / name) != sha]
    return beside + damaged_files(reference.folder(block), files[manifest_of(reference, block)])


def manifest_of(reference: BlocksReference, block: int) -> str:
    """Return the path of a block's manifest, relative to the folder of all blocks."""
    return f"{reference.folder(block).name}/{MANIFEST}"


def open_block(reference: BlocksReference, block: int) -> TrainBlock:
    """Return a finished block, mapped read-only where it lies.

    Cost: each process reads every byte of a block once, at about 1 GB/s.
    Raises: ComputeError for a damaged block.
    """
    key = _files(reference.folder(block))
    if reference.digest and key not in _whole:
        if damaged := _damaged(reference, block):
            where, got = str(reference.folder(block)), f"damaged: {', '.join(damaged)}"
            raise ComputeError(Problem(where, "the block that a task has written", got, "run it again: it is rebuilt"))
        _whole.add(key)
    if key not in _opened:
        _opened.clear()  # one block at a time
        _opened[key] = map_block(reference, block)
    return _opened[key]


def _files(folder: Path) -> Files:
    if not folder.is_dir():
        return str(folder), ()
    found = sorted((path.name, path.stat()) for path in folder.iterdir())
    return str(folder), tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def map_block(reference: BlocksReference, block: int) -> TrainBlock:
    """Return a written block, mapped read-only where it lies, without checks."""
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
    """Return the embeddings of a few training rows, (n, n_features), read from the files of their blocks.

    Nothing is mapped: a process that works on one block may ask for rows of all others. O(n) reads.
    Raises: ComputeError if a file ends before a row does.
    """
    x = np.empty((len(rows), reference.n_features), reference.dtype)
    blocks = rows // reference.block_rows
    for block in np.unique(blocks).tolist():
        here = np.flatnonzero(blocks == block)
        with (reference.folder(block) / "x.npy").open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            start = file.tell()
            for place in here.tolist():
                file.seek(start + (int(rows[place]) - reference.first_row(block)) * x.itemsize * x.shape[1])
                if file.readinto(x[place]) != x[place].nbytes:
                    expected, hint = f"row {rows[place]} of the training rows", "run it again: the block is rebuilt"
                    raise ComputeError(Problem(file.name, expected, "a file that ends before it", hint))
    return x
