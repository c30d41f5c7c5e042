"""Compared: audited validation rows are valued twice where the index is open: by the kernel, and by the reference.

Only what was found travels. A partial for each of a dozen points took most of the audit: 384 MB at 1.5 million rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pyarrow as pa

from dvspark.audit.checks import check_sample
from dvspark.audit.reference import merged_reference_partial, reference_points
from dvspark.engine.chunks import whole_chunks
from dvspark.engine.index.train_index import TrainIndex
from dvspark.engine.reduce import chunk_partial
from dvspark.engine.tasks import ChunkWork, chunk_arrays, value_chunks, with_sample
from dvspark.schemas import Finding, Float64s, Partial
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.compared import COMPARED

Batches = Iterator[pa.RecordBatch]

COMPARED_TYPES = arrow_schema(COMPARED)

# The reference finds the distances of so many chunks in one pass over the rows, most of which is making them float64.
CHUNKS_AT_ONCE = 4


def compare_chunks(
    batches: Batches,
    index: TrainIndex,
    work: ChunkWork,
    value: Callable[[Batches, TrainIndex, ChunkWork], Batches] = value_chunks,
) -> Batches:
    """Yield the `COMPARED` of every chunk in the batches, which are sorted by (chunk_id, id).

    ``value`` values chunks as a run's tasks do. Cost of a chunk: the kernel and the reference.
    Memory: the kernel's, then the reference's, where a chunk is one point: 82 bytes a training row.
    """
    options, parameters = work.options, work.parameters
    own_error = work.method.own_error(index.arrays.n_train - options.self_validation, parameters)
    train = with_sample(index.arrays, index.keys["id"], work)
    chunks = whole_chunks(batches)
    while some := list(islice(chunks, CHUNKS_AT_ONCE)):
        together = pa.concat_tables([table for _, table in some])
        rows = chunk_arrays(together, index.train_keys, self_validation=options.self_validation)
        points = reference_points(train, rows, options)
        for chunk_id, table in some:
            by_kernel = chunk_partial(pa.Table.from_batches(value(iter(table.to_batches()), index, work)))
            of_chunk = islice(points, len(table))
            expected = merged_reference_partial(of_chunk, train.columns, train.n_train, options, parameters)
            yield compared_batch(chunk_id, by_kernel, expected, own_error)


def compared_batch(chunk_id: int, by_engine: Partial, by_reference: Partial, own_error: float) -> pa.RecordBatch:
    """Return the `COMPARED` of a chunk; ``own_error`` as in `checks.check_sample`."""
    found = check_sample(by_engine, by_reference, own_error)
    told = {name: getattr(found, name) for name in ("verdict", "measured", "allowed", "meaning")}
    sha = values_sha256(by_engine.value)
    return pa.RecordBatch.from_pylist([{"chunk_id": chunk_id, **told, "values_sha256": sha}], COMPARED_TYPES)


def values_sha256(values: Float64s) -> str:
    """Return the sha256 of sums of values, as float64 little-endian."""
    return hashlib.sha256(np.ascontiguousarray(values, "<f8").data).hexdigest()


def findings_of(compared: pa.Table) -> list[Finding]:
    """Return the findings that `COMPARED` tells, by chunk."""
    rows = compared.sort_by("chunk_id").drop_columns(["chunk_id", "values_sha256"]).to_pylist()
    return [Finding(name="sample", **row) for row in rows]
