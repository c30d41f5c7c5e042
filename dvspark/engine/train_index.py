"""The train index: training rows in id order as packed files, opened by memory map."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dvspark import columns
from dvspark.columns import embedding_matrix
from dvspark.engine.ann_index import with_search, write_ann
from dvspark.engine.manifest import damaged_files, read_manifest, sha256_of, write_manifest
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.distances import prepare
from dvspark.methods.search_index import EXACT
from dvspark.schemas import Floats, Int64s, TrainArrays, TrainColumns, TrainLabels

# Files of `TrainColumns`.
COLUMN_FILES = ("targets", "weights", "owners")


@dataclass(frozen=True)
class IndexReference:
    """What a worker needs to find an index: small, picklable.

    ``directory`` holds the files where the driver packed them; ``shipping`` says how a host gets them:
    "in_place" (same host), "artifact" (shipped with the job), "shared" (``directory`` is on shared storage).
    ``digest`` is the sha256 of the manifest, which holds the sha256 of every file.
    """

    directory: str
    digest: str
    n_train: int
    n_features: int
    n_bytes: int
    metric: str
    dtype: str
    shipping: str = "in_place"
    n_owners: int = 0

    def artifact_name(self, file: str) -> str:
        """Return the name under which a file of the index travels with the job."""
        return f"dvspark-{self.digest[:16]}-{file}"


@dataclass(frozen=True)
class TrainKeys:
    """What validation rows are read against: ``keys`` (id, label, owner, weight), ``words`` (vocabulary), dtype of x.

    ``columns`` are the keys as arrays; ``owners`` names them.
    """

    keys: pa.Table
    words: pa.Array
    dtype: str
    columns: TrainColumns = dataclasses.field(default_factory=TrainColumns)
    owners: pa.Array | None = None

    @classmethod
    def of(cls, keys: pa.Table, dtype: str) -> TrainKeys:
        """Return the keys of training rows with what follows from them; O(n log n)."""
        labels = keys["label"].combine_chunks()
        given = {name: keys[name].combine_chunks() for name in ("owner", "weight") if name in keys.column_names}
        owners = columns.label_vocabulary(given["owner"].drop_null()) if "owner" in given else None
        found = TrainColumns(
            targets=columns.target_numbers(labels),
            weights=np.asarray(given["weight"], np.float64) if "weight" in given else None,
            owners=None if owners is None else columns.codes_of(given["owner"], owners),
            n_owners=0 if owners is None else len(owners),
        )
        return cls(keys, columns.label_vocabulary(labels), dtype, found, owners)

    @classmethod
    def read(cls, directory: Path, dtype: str) -> TrainKeys:
        """Return what `write` left in a directory, mapped."""
        words = _read_arrow(directory / "words.arrow")["word"].combine_chunks()
        named = directory / "owners.arrow"
        owners = _read_arrow(named)["owner"].combine_chunks() if named.exists() else None
        arrays = {name: mapped_array(directory, name) for name in COLUMN_FILES}
        found = TrainColumns(**arrays, n_owners=0 if owners is None else len(owners))
        return cls(_read_arrow(directory / "keys.arrow"), words, dtype, found, owners)

    def write(self, directory: Path) -> None:
        """Write the tables' files."""
        _write_arrow(directory / "keys.arrow", self.keys)
        _write_arrow(directory / "words.arrow", pa.table({"word": self.words}))
        if self.owners is not None:
            _write_arrow(directory / "owners.arrow", pa.table({"owner": self.owners}))
        for name in COLUMN_FILES:
            array = getattr(self.columns, name)
            if array is not None:
                np.save(directory / f"{name}.npy", array)


@dataclass(frozen=True)
class TrainIndex:
    """An open index: ``arrays`` for the kernels, and the keys of their rows."""

    arrays: TrainArrays
    train_keys: TrainKeys

    @property
    def keys(self) -> pa.Table:
        """Id, label and, where known, owner of the rows."""
        return self.train_keys.keys

    @property
    def words(self) -> pa.Array:
        """The label vocabulary."""
        return self.train_keys.words


class IndexWriter:
    """Packs training rows into ``directory``: rows that arrive here in id order, or that tasks put in their places.

    Cost: the rows are written once and read five times; memory: a few tiles plus 40 bytes a row.
    """

    def __init__(self, directory: Path, n_train: int, n_features: int, dtype: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.n_written = 0
        self._parts: list[pa.Table] = []
        self._keys: TrainKeys | None = None
        shape = (n_train, n_features)
        self._x = np.lib.format.open_memmap(directory / "x.npy", mode="w+", dtype=dtype, shape=shape)

    def append(self, x: Floats, keys: pa.Table) -> None:
        """Add rows ``x`` (n, n_features) with their ``keys`` (id, label and, where known, owner)."""
        self._x[self.n_written : self.n_written + len(x)] = x
        self.n_written += len(x)
        self._parts.append(keys)

    def write_keys(self, keys: pa.Table) -> TrainKeys:
        """Write the keys of all rows, in id order, which say where `place_rows` puts each; return them."""
        self._keys = TrainKeys.of(keys, str(self._x.dtype))
        self._keys.write(self.directory)
        return self._keys

    def finish(self, metric: str, index: str = EXACT) -> IndexReference:
        """Write everything that follows from the rows, then the manifest; return the reference.

        ``index``: FAISS factory string of a search to be written with them.

        Raises: ComputeError when the rows that arrived are not as many as announced or their ids do not ascend.
        """
        train = self._keys or self.write_keys(checked_keys(self._parts, len(self._x)))
        self._x.flush()
        with ThreadPoolExecutor(1) as other_core:
            sha256_of_rows = other_core.submit(sha256_of, self.directory / "x.npy")
            labels = columns.encode_train_labels(train.keys["label"].combine_chunks(), train.words)
            arrays = prepare(self._x, labels, metric)
            for name, array in _array_files(arrays).items():
                np.save(self.directory / f"{name}.npy", array)
            write_ann(arrays, index, metric, self.directory)
            known = {"x.npy": sha256_of_rows.result()}
        names = sorted(path.name for path in self.directory.iterdir())
        return _reference(self.directory, write_manifest(self.directory, names, known, metric=metric))


def checked_keys(parts: list[pa.Table], n_train: int) -> pa.Table:
    """Return the keys of the training rows as one table of one chunk.

    Raises: ComputeError when the rows are not as many as announced or their ids do not ascend.
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


def place_rows(batches: Iterator[pa.RecordBatch], directory: Path) -> Iterator[pa.RecordBatch]:
    """Write rows (id, embedding), in any order, to their places in an index's ``x.npy``; yield `PLACES`.

    A row's place is that of its id among the keys, so another attempt writes the same bytes. Processes of one host
    may write at once; hosts may not, whose copies of a shared page would overwrite each other.
    Raises: ComputeError for a row that is not among the keys. Memory: a batch and the ids.
    """
    x = np.lib.format.open_memmap(directory / "x.npy", mode="r+")
    ids = _read_arrow(directory / "keys.arrow")["id"].combine_chunks()
    for batch in filter(len, batches):  # an empty one has no dimension
        places = places_of(batch.column("id"), ids)
        if not batch.column("id").equals(ids.take(pa.array(np.minimum(places, len(ids) - 1)))):
            expected, hint = "rows whose keys were read", "did the table change meanwhile?"
            raise ComputeError(Problem("packing the index", expected, "other ids", hint))
        x[places] = embedding_matrix(batch.column("embedding"), x.dtype)
        yield pa.RecordBatch.from_pydict({"place": pa.array(places)})


def places_of(wanted: pa.Array, ids: pa.Array) -> Int64s:
    """Return where ``wanted`` (n,) are or would be in ascending ``ids``, (n,) int64; O(n log len(ids)).

    NumPy's own search takes no strings of Arrow, and Arrow's hashes all ids for each batch.
    """
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(ids), np.int64)
    for _ in range(len(ids).bit_length()):
        middle = (low + high) // 2
        less = np.asarray(pc.less(ids.take(pa.array(np.minimum(middle, len(ids) - 1))), wanted)) & (low < high)
        low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
    return low


def finished_index(directory: Path, digest: str) -> IndexReference | None:
    """Return the index that was finished in ``directory``, None if it is not there whole; reads every byte."""
    if damaged_files(directory, digest) or "metric" not in read_manifest(directory):  # without: blocks lie there
        return None
    return _reference(directory, digest)


def _reference(directory: Path, digest: str) -> IndexReference:
    x, manifest = np.load(directory / "x.npy", mmap_mode="r", allow_pickle=False), read_manifest(directory)
    dtype = str(x.dtype)
    return IndexReference(
        directory=str(directory),
        digest=digest,
        n_train=x.shape[0],
        n_features=x.shape[1],
        n_bytes=sum(manifest["bytes"].values()),
        metric=manifest["metric"],
        dtype=dtype,
        n_owners=TrainKeys.read(directory, dtype).columns.n_owners,
    )


def open_index(directory: Path) -> TrainIndex:
    """Return the index in ``directory``, mapped read-only: pages are shared by all processes of a host."""
    arrays = with_search(mapped_arrays(directory, "an index"), read_manifest(directory)["metric"], directory)
    keys = TrainKeys.read(directory, str(arrays.x.dtype))
    return TrainIndex(dataclasses.replace(arrays, columns=keys.columns), keys)


def mapped_arrays(directory: Path, what: str) -> TrainArrays:
    """Return the train arrays whose files lie in ``directory``, mapped read-only; ``what`` they are, for messages.

    Raises: ComputeError when a file is missing.
    """

    def needed(name: str) -> npt.NDArray[Any]:
        found = mapped_array(directory, name)
        if found is None:
            raise ComputeError(Problem(str(directory), f"{what} with {name}.npy", "no such file", "build it again"))
        return found

    norms = needed("squared_norm")  # asked for first: a block that is not finished has rows, but no norms
    labels = TrainLabels(*(mapped_array(directory, f"label_{name}") for name in ("codes", "offsets", "postings")))
    scale, center = mapped_array(directory, "scale"), mapped_array(directory, "center")
    return TrainArrays(needed("x"), labels, scale, center, norms, needed("duplicates"))


def mapped_array(directory: Path, name: str) -> npt.NDArray[Any] | None:
    """Return the array of that name in ``directory``, mapped read-only, or None if there is none."""
    path = directory / f"{name}.npy"
    return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None


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


def _write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read_arrow(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
