"""What runs on executors: functions that take and yield plain iterators of Arrow batches, without any Spark type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.chunks import whole_chunks
from dvspark.engine.index.train_index import TrainIndex, TrainKeys
from dvspark.engine.reduce import partial_batches
from dvspark.kernels.distances.distances import distance_from_key, exact_keys
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.nearest.nearest import NearestRows, merge_nearest
from dvspark.kernels.workspace import Workspace
from dvspark.methods.base import Method
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.methods.kinds.radius import RadiusMethod
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Bools, ChunkArrays, Floats, Int64s, TrainArrays, TrainColumns, columns
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.columns import embedding_matrix, from_ipc, to_ipc
from dvspark.schemas.reviewing import NEAR_POINTS

# Rows in one packed row: up to this many bytes of embeddings, well under Arrow's and Spark's 2 GB a cell.
PACK_BYTES = 4 * 2**20

# A Python worker runs many tasks, one after the other.
_workspace = Workspace()
_samples: dict[tuple[bytes, int, int | str], Bools] = {}


class HasSizes(Protocol):
    """A reference to training rows, packed in one index or in blocks."""

    @property
    def n_train(self) -> int:
        """Number of training rows."""

    @property
    def n_owners(self) -> int:
        """Number of their owners, 0 if owners are not known."""


@dataclass(frozen=True)
class ChunkWork:
    """Everything that a task must know besides the index; ``parameters`` are the method's, with defaults filled in.

    ``sample_key`` draws the training rows of a private release, see `privacy.sampled_rows`.
    """

    options: ValueOptions
    parameters: Parameters
    sample_key: bytes | None = None

    @property
    def method(self) -> Method[Parameters]:
        """The method's declaration."""
        return self.options.declaration

    def n_values(self, index: HasSizes) -> int:
        """Return how many values the method gives with this index."""
        return self.options.declaration.n_values(index.n_train, index.n_owners)


@dataclass(frozen=True)
class ListedRows:
    """A few train rows: their places ``rows``, embeddings ``x`` (n, n_features), and ``ids`` as a pyarrow array."""

    rows: list[int]
    x: Floats
    ids: pa.Array


def pack_rows(batches: Iterator[pa.RecordBatch], dtype: str) -> Iterator[pa.RecordBatch]:
    """Yield `PACKED_ROWS` of rows in `ROWS` format, in the order in which they come."""
    for batch in batches:
        keys = batch.drop_columns(["embedding"])
        n_rows = max(1, PACK_BYTES // max(1, batch.column("embedding").nbytes // max(1, len(batch))))
        for start in range(0, len(batch), n_rows):
            x = embedding_matrix(batch.column("embedding").slice(start, n_rows), np.dtype(dtype))
            yield pa.RecordBatch.from_pydict(
                {
                    "n_rows": pa.array([len(x)], pa.int32()),
                    "x": pa.array([x.tobytes()], pa.binary()),
                    "keys": pa.array([to_ipc(keys.slice(start, n_rows))], pa.binary()),
                }
            )


def pack_keys(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `PACKED_KEYS` of rows without embeddings, in the order in which they come."""
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"keys": pa.array([to_ipc(batch)], pa.binary())})


def unpack_row(n_rows: int, x: bytes | bytearray, keys: bytes | bytearray, dtype: str) -> tuple[Floats, pa.Table]:
    """Return the embeddings (n_rows, n_features) and keys of one packed row."""
    return np.frombuffer(x, dtype).reshape(n_rows, -1), from_ipc(keys)


def value_chunks(batches: Iterator[pa.RecordBatch], index: TrainIndex, work: ChunkWork) -> Iterator[pa.RecordBatch]:
    """Yield the `PARTIALS` of every chunk in the batches, which are sorted by (chunk_id, id).

    Cost of a chunk: the method's kernel. Memory: `kernels.memory.scratch_bytes` and one chunk.
    """
    ranking = work.options.ranking_options(work.parameters, index.arrays.n_train)
    train = with_sample(index.arrays, index.keys["id"], work)
    for chunk_id, table in whole_chunks(batches):
        chunk = chunk_arrays(table, index.train_keys, self_validation=work.options.self_validation)
        yield from partial_batches(chunk_id, work.method.partial(train, chunk, ranking, work.parameters, _workspace))


def count_chunks(batches: Iterator[pa.RecordBatch], index: TrainIndex, work: ChunkWork) -> Iterator[pa.RecordBatch]:
    """Yield the `NEIGHBOR_COUNTS` of every chunk in the batches, which are sorted by (chunk_id, id)."""
    ranking = work.options.ranking_options(work.parameters, index.arrays.n_train)
    train, method = with_sample(index.arrays, index.keys["id"], work), RadiusMethod.of(work.method)
    for _, table in whole_chunks(batches):
        chunk = chunk_arrays(table, index.train_keys, self_validation=work.options.self_validation)
        counts = method.counts(train, chunk, ranking, method.own(work.parameters), _workspace)
        yield counts_table(table["id"], counts).to_batches()[0]


def near_chunks(batches: Iterator[pa.RecordBatch], index: TrainIndex, work: ChunkWork) -> Iterator[pa.RecordBatch]:
    """Yield the `NEAR_POINTS` of every chunk in the batches, training rows that are sorted by (chunk_id, id)."""
    method, n_players = NearestMethod.of(work.method), index.arrays.n_train - 1
    parameters, ranking = method.own(work.parameters), work.options.ranking_options(work.parameters, n_players + 1)
    m = method.n_asked(n_players, parameters)
    for _, table in whole_chunks(batches):
        chunk = chunk_arrays(table, index.train_keys, self_validation=True)
        parts = method.near(index.arrays, chunk, ranking, n_players, parameters, _workspace)
        yield near_batch(chunk, [merge_nearest([part], m, ranking.metric) for part in parts])


def near_batch(chunk: ChunkArrays, found: list[NearestRows]) -> pa.RecordBatch:
    """Return the `NEAR_POINTS` of the points of a chunk, which are training rows."""
    told = {
        "train_row": chunk.train_rows,
        "rows": [near.rows.astype(np.int32).tobytes() for near in found],
        "distances": [near.distances.tobytes() for near in found],
    }
    return pa.RecordBatch.from_pydict(told, arrow_schema(NEAR_POINTS))


def counts_table(ids: pa.ChunkedArray, counts: Int64s) -> pa.Table:
    """Return the `NEIGHBOR_COUNTS` of validation rows with these ids, from counts (n, 2)."""
    columns_of = {"id": ids.combine_chunks(), "n_matches": pa.array(counts[:, 0]), "n_others": pa.array(counts[:, 1])}
    return pa.table(columns_of)


def with_sample(train: TrainArrays, ids: pa.ChunkedArray, work: ChunkWork) -> TrainArrays:
    """Return the training rows, or those of a block, with the rows of the run's sample marked, if there is one."""
    if work.sample_key is None:
        return train
    return dataclasses.replace(train, columns=sampled_columns(train.columns, ids, work))


def sampled_columns(columns: TrainColumns, ids: pa.ChunkedArray, work: ChunkWork) -> TrainColumns:
    """Return the columns of training rows with the rows of the run's sample marked, if the run samples rows."""
    if work.sample_key is None:
        return columns
    # Each process draws once for each block; a row takes a microsecond.
    asked = (work.sample_key, len(ids), ids[0].as_py())
    if asked not in _samples:
        _samples.clear()
        method = PrivateMethod.of(work.method)
        _samples[asked] = method.sample(ids.to_pylist(), work.sample_key, method.own(work.parameters))
    return dataclasses.replace(columns, sampled=_samples[asked])


def chunk_arrays(rows: pa.Table, train: TrainKeys, *, self_validation: bool) -> ChunkArrays:
    """Return validation rows in `ROWS` format in the form that kernels take."""
    x = embedding_matrix(rows["embedding"].combine_chunks(), np.dtype(train.dtype))
    labels = rows["label"].combine_chunks()
    targets = columns.target_numbers(labels)
    if targets is None:
        labels = columns.canonical_labels(labels)
    codes = columns.encode_labels(labels, train.words)
    counts = None
    if "n_matches" in rows.column_names:
        counts = np.stack([rows["n_matches"].to_numpy(), rows["n_others"].to_numpy()], axis=1)
    losses = np.asarray(rows["loss"], np.float64) if "loss" in rows.column_names else None
    if not self_validation:
        return ChunkArrays(x, codes, targets=targets, counts=counts, losses=losses)
    train_rows = pc.index_in(rows["id"], value_set=train.keys["id"].combine_chunks())
    return ChunkArrays(x, codes, train_rows.to_numpy().astype(np.int64), targets)


def nearest_validation(
    batches: Iterator[pa.RecordBatch], listed: ListedRows, metric: str, n_nearest: int
) -> Iterator[pa.RecordBatch]:
    """Yield as `NEIGHBORS` the validation rows of the batches that are nearest to each listed train row.

    Under self-validation a row is not its own neighbor. Cost: O(n_validation × rows × D). Memory: one batch of scratch.
    """
    own_ids = pc.cast(listed.ids, pa.string())
    for batch in batches:
        z = embedding_matrix(batch.column("embedding"), listed.x.dtype)
        ids = pc.cast(batch.column("id"), pa.string())
        for place, row in enumerate(listed.rows):
            distances = distance_from_key(exact_keys(z, np.arange(len(z)), listed.x[place], metric), metric)
            distances[np.asarray(pc.equal(ids, own_ids[place]))] = np.inf
            farthest = np.partition(distances, n_nearest - 1)[n_nearest - 1] if len(z) > n_nearest else np.inf
            nearest = np.flatnonzero((distances <= farthest) & np.isfinite(distances))  # all ties: their ids decide
            nearest = nearest[np.argsort(distances[nearest], kind="stable")]
            yield pa.RecordBatch.from_pydict(
                {
                    "train_row": pa.array([row] * len(nearest), pa.int64()),
                    "distance": pa.array(distances[nearest]),
                    "validation_id": ids.take(pa.array(nearest)),
                    "validation_label": batch.column("label").take(pa.array(nearest)),
                }
            )
