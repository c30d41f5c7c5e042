"""Writing an index: training rows become packed files; they arrive in id order, or tasks put them in their places."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.index.manifest import sha256_of, write_manifest
from dvspark.engine.index.search import write_ann
from dvspark.engine.index.train_index import IndexReference, TrainKeys, read_arrow, reference_to
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.distances.distances import prepare
from dvspark.schemas import EXACT, PLACES, Floats, Int64s, TrainArrays, columns
from dvspark.schemas.columns import embedding_matrix
from dvspark.schemas.tables import Table

OverBatches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# Applies a function of batches to all rows; takes the function, the columns it reads and the table that it yields.
Gather = Callable[[OverBatches, list[str], Table], pa.Table]

# Writes rows (id, embedding) to their places; returns these.
Place = Callable[[pa.RecordBatch], Int64s]


class RowStore(Protocol):
    """Where rows of ``dtype`` with ``n_features`` go, while it is open."""

    dtype: np.dtype[Any]
    n_features: int

    def __enter__(self) -> RowStore:
        """Open it."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def write(self, places: Int64s, rows: Floats) -> None:
        """Write ``rows`` (n, n_features) to ``places`` (n,) of the whole table."""


class RowFile:
    """The file ``x.npy`` of an index, open to be written row by row.

    The file is not mapped: writing a page of a new file for the first time through a mapping costs the kernel ten times
    the time.
    """

    def __init__(self, directory: Path) -> None:
        header = np.load(directory / "x.npy", mmap_mode="r", allow_pickle=False)
        self.dtype, self.n_features, self._first_byte = header.dtype, header.shape[1], header.offset
        self._file = (directory / "x.npy").open("r+b", buffering=0)

    @staticmethod
    def make(directory: Path, n_rows: int, n_features: int, dtype: str) -> None:
        """Make the file, which has its size and no rows yet."""
        np.lib.format.open_memmap(directory / "x.npy", mode="w+", dtype=dtype, shape=(n_rows, n_features))

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, places: Int64s, rows: Floats) -> None:
        """Write ``rows`` (n, n_features) of the file's dtype to ``places`` (n,); neighboring places in one write."""
        rows = np.ascontiguousarray(rows, self.dtype)
        starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
        for start, end in itertools.pairwise([*starts, len(places)]):
            self._file.seek(self._first_byte + int(places[start]) * rows.strides[0])
            left = rows[start:end].data.cast("B")
            while left:
                left = left[self._file.write(left) :]


class IndexWriter:
    """Packs training rows into ``directory``. Rows arrive here in id order, or tasks put them in their places.

    ``with_rows``: all rows are in their places already (`require_every_place`).
    Cost: the rows are written once and read five times. Memory: a few tiles, and 40 bytes a row.
    """

    def __init__(self, directory: Path, n_train: int, n_features: int, dtype: str, *, with_rows: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.n_train, self.dtype = n_train, dtype
        self.n_written = 0
        self._parts: list[pa.Table] = []
        self._keys: TrainKeys | None = None
        if not with_rows:
            RowFile.make(directory, n_train, n_features, dtype)

    def append(self, x: Floats, keys: pa.Table) -> None:
        """Add rows ``x`` (n, n_features) and their ``keys`` (id, label and, where known, owner)."""
        with RowFile(self.directory) as file:
            file.write(np.arange(self.n_written, self.n_written + len(x)), x)
        self.n_written += len(x)
        self._parts.append(keys)

    def write_keys(self, keys: pa.Table) -> TrainKeys:
        """Write the keys of all rows in id order, by which `place_rows` finds each row's place; return the keys."""
        self._keys = TrainKeys.of(keys, self.dtype)
        self._keys.write(self.directory)
        return self._keys

    def place(self, gather: Gather) -> None:
        """Put the rows (id, embedding) that ``gather`` hands over in their places; their keys are written before.

        Raises: ComputeError if the rows are not those of the keys, each once.
        """
        directory = self.directory
        placed = gather(lambda batches: place_rows(batches, directory), ["id", "embedding"], PLACES)
        require_every_place(placed["place"].to_numpy(), self.n_train)

    def finish(self, metric: str, index: str = EXACT) -> IndexReference:
        """Write everything that follows from the rows, then the manifest; return the reference.

        ``index`` is "exact", or the FAISS factory string of a search that is written too.
        Raises: ComputeError if the number of rows is not the announced one, or ids do not ascend.
        """
        train = self._keys or self.write_keys(checked_keys(self._parts, self.n_train))
        x = np.load(self.directory / "x.npy", mmap_mode="r", allow_pickle=False)
        with ThreadPoolExecutor(1) as other_core:
            sha256_of_rows = other_core.submit(sha256_of, self.directory / "x.npy")
            labels = columns.encode_train_labels(train.keys["label"].combine_chunks(), train.words)
            arrays = prepare(x, labels, metric)
            for name, array in _array_files(arrays).items():
                np.save(self.directory / f"{name}.npy", array)
            write_ann(arrays, index, metric, self.directory)
            known = {"x.npy": sha256_of_rows.result()}
        names = sorted(path.name for path in self.directory.iterdir())
        return reference_to(self.directory, write_manifest(self.directory, names, known, metric=metric))


def checked_keys(parts: list[pa.Table], n_train: int) -> pa.Table:
    """Return the keys of the training rows as one table of one chunk.

    Raises: ComputeError if the number of rows is not the announced one, or ids do not ascend.
    """
    keys = pa.concat_tables(parts).combine_chunks()
    problems = []
    if len(keys) != n_train:
        expected, got = f"{n_train} training rows", f"{len(keys)}"
        problems.append(Problem("packing the index", expected, got, "did the table change meanwhile?"))
    ids = keys["id"].combine_chunks()
    if len(ids) > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        problems.append(Problem("packing the index", "ids that ascend", "ids out of order", "check the ids"))
    if problems:
        raise ComputeError(problems)
    return keys


def place_rows(
    batches: Iterator[pa.RecordBatch], directory: Path, files: RowStore | None = None
) -> Iterator[pa.RecordBatch]:
    """Write rows (id, embedding), which come in any order, to their places; yield `PLACES`.

    ``directory`` has the keys, and ``x.npy`` unless the rows go into other ``files``.
    """
    with placing(directory, directory / "keys.arrow", files) as place:
        for batch in filter(len, batches):  # an empty one has no dimension
            yield pa.RecordBatch.from_pydict({"place": pa.array(place(batch))})


@contextmanager
def placing(directory: Path, keys: Path, files: RowStore | None = None) -> Iterator[Place]:
    """Yield what writes a batch of rows (id, embedding) to their places and returns these.

    They go into ``files``; None: into ``x.npy`` of the index in ``directory``. The place of a row is the place of its
    id in the Arrow file ``keys``, so another attempt writes the same bytes.
    Several processes of one host may write at the same time. Several hosts may not: each would overwrite the other's
    writes with its own copy of a shared page. Rows of another dimension than the index get no place.
    Memory: a batch and the ids.
    Raises: ComputeError, when called, for a row whose id is not among the keys.
    """
    ids = read_arrow(keys)["id"].combine_chunks()
    with files or RowFile(directory) as into:

        def place(batch: pa.RecordBatch) -> Int64s:
            rows = embedding_matrix(batch.column("embedding"), into.dtype)
            if rows.shape[1] != into.n_features:
                return np.empty(0, np.int64)
            places = _known_places(batch.column("id"), ids)
            into.write(places, rows)
            return places

        yield place


def require_every_place(places: Int64s, n_train: int) -> None:
    """Raise ComputeError if rows were not put in all places, each once."""
    if not np.array_equal(np.sort(places), np.arange(n_train)):
        expected = f"{n_train} training rows, each once"
        got = f"{len(places)}, {len(np.unique(places))} of them different"
        raise ComputeError(Problem("packing the index", expected, got, "did the table change meanwhile?"))


def _known_places(wanted: pa.Array, ids: pa.Array) -> Int64s:
    """Return the places of ids among ``ids``; files in id order need one search. Raises: ComputeError for others."""
    first = int(places_of(wanted[:1], ids)[0])
    if wanted.equals(ids[first : first + len(wanted)]):
        return np.arange(first, first + len(wanted))
    places = places_of(wanted, ids)
    if not wanted.equals(ids.take(pa.array(np.minimum(places, len(ids) - 1)))):
        expected, hint = "rows whose keys were read", "did the table change meanwhile?"
        raise ComputeError(Problem("packing the index", expected, "other ids", hint))
    return places


def places_of(wanted: pa.Array, ids: pa.Array) -> Int64s:
    """Return the places that ``wanted`` (n,) have, or would have, in ascending ``ids``, (n,) int64.

    NumPy's own search takes no Arrow strings, and Arrow's lookup would hash all ids again for each batch.
    Cost: O(n log len(ids)).
    """
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(ids), np.int64)
    for _ in range(len(ids).bit_length()):
        middle = (low + high) // 2
        less = np.asarray(pc.less(ids.take(pa.array(np.minimum(middle, len(ids) - 1))), wanted)) & (low < high)
        low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
    return low


def _array_files(arrays: TrainArrays) -> dict[str, npt.NDArray[Any]]:
    files: dict[str, npt.NDArray[Any] | None] = {
        "label_codes": arrays.labels.codes,
        "label_offsets": arrays.labels.offsets,
        "label_postings": arrays.labels.postings,
        "scale": arrays.scale,
        "center": arrays.center,
        "squared_norm": arrays.squared_norm,
        "duplicates": arrays.duplicates,
    }
    return {name: array for name, array in files.items() if array is not None}
