"""The train index: training rows in id order as packed files, opened by memory map."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.engine.index.manifest import damaged_files, read_manifest
from dvspark.engine.index.search import with_search
from dvspark.errors import ComputeError, Problem
from dvspark.schemas import TrainArrays, TrainColumns, TrainLabels, columns

# Files of `TrainColumns`.
COLUMN_FILES = ("targets", "weights", "losses", "owners", "owned")

# Columns of rows beside id and label, which not every table has.
KEY_NAMES = ("owner", "weight", "loss", "owned")


@dataclass(frozen=True)
class IndexReference:
    """What a worker needs to find an index: a small, picklable object.

    ``directory`` is where the driver packed the files. ``shipping`` says how a host gets them:
    - "in_place": the host is the driver's own;
    - "artifact": the files travel with the job;
    - "shared": ``directory`` is on storage that all hosts see.
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
    """The columns of training rows beside embeddings: ``keys`` (id, label, owner, weight, loss), and what follows.

    ``words`` is the vocabulary of labels. ``columns`` are the keys as arrays, and ``owners`` names the owners in them.
    ``dtype`` is that of the embeddings.
    """

    keys: pa.Table
    words: pa.Array
    dtype: str
    columns: TrainColumns = dataclasses.field(default_factory=TrainColumns)
    owners: pa.Array | None = None

    @classmethod
    def of(cls, keys: pa.Table, dtype: str) -> TrainKeys:
        """Return the keys of training rows with what follows from them. Cost: O(n log n)."""
        labels = keys["label"].combine_chunks()
        given = {name: keys[name].combine_chunks() for name in KEY_NAMES if name in keys.column_names}
        owners = columns.label_vocabulary(given["owner"].drop_null()) if "owner" in given else None
        found = TrainColumns(
            targets=columns.target_numbers(labels),
            weights=np.asarray(given["weight"], np.float64) if "weight" in given else None,
            losses=np.asarray(given["loss"], np.float64) if "loss" in given else None,
            owners=None if owners is None else columns.codes_of(given["owner"], owners),
            n_owners=0 if owners is None else len(owners),
            owned=np.asarray(given["owned"]) if "owned" in given else None,
        )
        return cls(keys, columns.label_vocabulary(labels), dtype, found, owners)

    @classmethod
    def read(cls, directory: Path, dtype: str) -> TrainKeys:
        """Return the keys that `write` wrote to a directory, mapped."""
        words = read_arrow(directory / "words.arrow")["word"].combine_chunks()
        named = directory / "owners.arrow"
        owners = read_arrow(named)["owner"].combine_chunks() if named.exists() else None
        arrays = {name: mapped_array(directory, name) for name in COLUMN_FILES}
        found = TrainColumns(**arrays, n_owners=0 if owners is None else len(owners))
        return cls(read_arrow(directory / "keys.arrow"), words, dtype, found, owners)

    def write(self, directory: Path) -> None:
        """Write the keys and the vocabulary as files."""
        write_arrow(directory / "keys.arrow", self.keys)
        write_arrow(directory / "words.arrow", pa.table({"word": self.words}))
        if self.owners is not None:
            write_arrow(directory / "owners.arrow", pa.table({"owner": self.owners}))
        for name in COLUMN_FILES:
            array = getattr(self.columns, name)
            if array is not None:
                np.save(directory / f"{name}.npy", array)


@dataclass(frozen=True)
class TrainIndex:
    """An open index: ``arrays`` for the kernels, and the keys of the rows."""

    arrays: TrainArrays
    train_keys: TrainKeys

    @property
    def keys(self) -> pa.Table:
        """Ids, labels and, where known, owners of the rows."""
        return self.train_keys.keys

    @property
    def words(self) -> pa.Array:
        """The label vocabulary."""
        return self.train_keys.words


def finished_index(directory: Path, digest: str) -> IndexReference | None:
    """Return the index that was finished in ``directory``, or None if it is missing or damaged. Reads every byte."""
    if damaged_files(directory, digest) or "metric" not in read_manifest(directory):  # without: blocks lie there
        return None
    return reference_to(directory, digest)


def reference_to(directory: Path, digest: str) -> IndexReference:
    """Return the reference to the index in ``directory``, whose manifest has the sha256 ``digest``."""
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
    """Return the index in ``directory``, mapped read-only; all processes of a host share its pages."""
    arrays = with_search(mapped_arrays(directory, "an index"), read_manifest(directory)["metric"], directory)
    keys = TrainKeys.read(directory, str(arrays.x.dtype))
    return TrainIndex(dataclasses.replace(arrays, columns=keys.columns), keys)


def mapped_arrays(directory: Path, what: str) -> TrainArrays:
    """Return the train arrays whose files lie in ``directory``, mapped read-only; ``what`` names them in messages.

    Raises: ComputeError if a file is missing.
    """

    def needed(name: str) -> npt.NDArray[Any]:
        found = mapped_array(directory, name)
        if found is None:
            raise ComputeError(Problem(str(directory), f"{what} with {name}.npy", "no such file", "build it again"))
        return found

    norms = needed("squared_norm")  # norms come first here: an unfinished block has rows but no norms
    labels = TrainLabels(*(mapped_array(directory, f"label_{name}") for name in ("codes", "offsets", "postings")))
    scale, center = mapped_array(directory, "scale"), mapped_array(directory, "center")
    return TrainArrays(needed("x"), labels, scale, center, norms, needed("duplicates"))


def mapped_array(directory: Path, name: str) -> npt.NDArray[Any] | None:
    """Return the array of that name in ``directory``, mapped read-only, or None if there is no such file."""
    path = directory / f"{name}.npy"
    return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write a table to an Arrow file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_arrow(path: Path) -> pa.Table:
    """Return the table in an Arrow file, mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
