"""Rows by id: a table on disk, in buckets by id and in the order of ids, in which rows are found without reading it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from dvspark.schemas import Bools, Int64s
from dvspark.tables.imports.bad_lines import BadLines

# Of 100 million rows, a bucket has 400,000, which are sorted in memory.
N_BUCKETS = 256
TWICE = "an id that is there already"


def write_rows_by_id(folder: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], bad: BadLines) -> int:
    """Write rows to a folder, of each id the first one, and return how many; others are set aside.

    ``schema`` has a column ``id`` of int64. Memory: the largest bucket, and what Arrow holds on its way to the disk.
    """
    shutil.rmtree(folder, ignore_errors=True)
    numbered = pa.schema([*schema, ("bucket", pa.int32()), ("place", pa.int64())])

    def with_places() -> Iterator[pa.RecordBatch]:
        n_rows = 0
        for batch in batches:
            buckets = (batch.column("id").to_numpy() % N_BUCKETS).astype(np.int32)
            places = np.arange(n_rows, n_rows + len(batch))
            n_rows += len(batch)
            yield pa.record_batch([*batch.columns, pa.array(buckets), pa.array(places)], schema=numbered)

    pa.dataset.write_dataset(
        pa.RecordBatchReader.from_batches(numbered, with_places()),
        folder / "unsorted",
        format="ipc",
        partitioning=pa.dataset.partitioning(pa.schema([numbered.field("bucket")])),
        max_open_files=N_BUCKETS + 1,
        use_threads=False,
    )
    n_kept = 0
    for bucket in range(N_BUCKETS):
        given = folder / "unsorted" / str(bucket)
        if given.exists():
            n_kept += _write_sorted(given, folder / f"{bucket}.arrow", schema, bad)
    shutil.rmtree(folder / "unsorted", ignore_errors=True)
    return n_kept


def _write_sorted(given: Path, path: Path, schema: pa.Schema, bad: BadLines) -> int:
    """Write a bucket's rows in the order of ids."""
    table = pa.dataset.dataset(given, format="ipc").to_table().sort_by([("id", "ascending"), ("place", "ascending")])
    ids = table["id"].to_numpy()
    is_first = np.concatenate([[True], ids[1:] != ids[:-1]])
    for place in np.flatnonzero(~is_first):
        bad.add(None, TWICE, str(ids[place]))
    kept = table.filter(pa.array(is_first)).select(schema.names).combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(kept)
    return len(kept)


def find_rows(folder: Path, schema: pa.Schema, ids: Int64s) -> tuple[pa.Table, Bools]:
    """Return the rows of those ``ids`` that are there, in the order asked for, and which ids these are.

    Files are mapped, so that what is not asked for is not read. Memory: the rows that are returned.
    """
    order = np.argsort(ids % N_BUCKETS, kind="stable")
    buckets, starts = np.unique(ids[order] % N_BUCKETS, return_index=True)
    found, places = list[pa.Table](), list[Int64s]()
    for bucket, asked in zip(buckets, np.split(order, starts[1:]), strict=True):
        table = _bucket(folder / f"{bucket}.arrow")
        if table is None:
            continue
        known = table["id"].to_numpy()
        at = np.minimum(np.searchsorted(known, ids[asked]), len(known) - 1)
        is_there = known[at] == ids[asked]
        found.append(table.take(pa.array(at[is_there])))
        places.append(asked[is_there])
    if not found:
        return schema.empty_table(), np.zeros(len(ids), np.bool_)
    at = np.concatenate(places)
    is_found = np.zeros(len(ids), np.bool_)
    is_found[at] = True
    return pa.concat_tables(found).take(pc.sort_indices(pa.array(at))).combine_chunks(), is_found


@lru_cache(maxsize=2 * N_BUCKETS)
def _bucket(path: Path) -> pa.Table | None:
    """Return a bucket's rows, mapped; None where no id has been put there."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all() if path.exists() else None
