"""Sides: which table an imported row goes to, and the Parquet files in which the rows of one given file arrive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dvspark.local.hashes import xxhash64
from dvspark.schemas import Bools

SIDES = ("train", "validation")
# Row groups of this size give all cores of a host some of them, and each task something to do.
ROW_GROUP_BYTES = 25 * 2**20


@dataclass(frozen=True)
class Split:
    """The split of rows by id: about ``validation_share`` of all go to the validation table, the same for a ``seed``.

    A row goes there if Spark's xxhash64(seed, id), as a fraction of its range, is below the share: neither files nor
    their order matter, and a share that grows keeps the rows that it had.
    """

    validation_share: float
    seed: int = 0

    def is_validation(self, ids: pa.Array) -> Bools:
        """Return which rows go to the validation table, (n,)."""
        hashes = xxhash64([pa.array(np.full(len(ids), self.seed, np.int64)), ids])
        found: Bools = hashes.view(np.uint64).astype(np.float64) < self.validation_share * 2.0**64
        return found


@dataclass
class SideFiles:
    """The files that one given file becomes, one a side, written beside their places and then renamed."""

    folder: Path
    name: str
    schema: pa.Schema
    split: Split
    n_rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))

    def write(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Write all rows. Memory: a row group of each side, and a batch."""
        waiting: dict[str, list[pa.RecordBatch]] = {side: [] for side in SIDES}
        files = {side: _file(self.staged(side), self.schema) for side in SIDES}
        try:
            for batch in batches:
                is_validation = self.split.is_validation(batch.column("id"))
                for side, is_here in zip(SIDES, (~is_validation, is_validation), strict=True):
                    waiting[side].append(batch.filter(pa.array(is_here)))
                    if sum(one.nbytes for one in waiting[side]) >= ROW_GROUP_BYTES:
                        self._flush(side, files[side], waiting[side])
            for side in SIDES:
                self._flush(side, files[side], waiting[side])
        finally:
            for file in files.values():
                file.close()

    def publish(self) -> dict[str, Any]:
        """Move the files to their places, and return what there is to know of them: rows, and the sha256 of each."""
        digests = {side: _sha256(self.staged(side)) for side in SIDES}
        for side in SIDES:
            self.staged(side).replace(self.folder / side / self.name)
        return {"rows": self.n_rows, "digests": digests}

    def staged(self, side: str) -> Path:
        """Return where a file is written: under a name that readers of the folder pass over."""
        return self.folder / side / f"_{self.name}.staged"

    def _flush(self, side: str, file: Any, waiting: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(waiting, self.schema).combine_chunks()
        waiting.clear()
        if len(table):
            file.write_table(table, row_group_size=len(table))
            self.n_rows[side] += len(table)


def _file(path: Path, schema: pa.Schema) -> Any:
    """Return an open Parquet file. Embeddings are not compressed: floats hardly become smaller."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [_leaf(column) for column in schema if column.name != "embedding"]
    return pq.ParquetWriter(
        path, schema, compression=dict.fromkeys(columns, "zstd"), use_dictionary=columns, write_statistics=["id"]
    )


def _leaf(column: pa.Field) -> str:
    """Return what Parquet calls the values of a column."""
    return f"{column.name}.list.element" if pa.types.is_list(column.type) else column.name


def repeated_ids(folder: Path) -> pa.Array:
    """Return the ids that more than one row of both tables has. Memory: some 24 bytes a row."""
    paths = [path for side in SIDES for path in sorted((folder / side).glob("*.parquet"))]
    counts = pc.value_counts(pa.concat_tables(pq.read_table(path, columns=["id"]) for path in paths)["id"])
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
