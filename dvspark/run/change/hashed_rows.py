"""Hashed rows: the validation rows on which values rest, by id and hash, and by what they are known again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.local.hashes import xxhash64
from dvspark.local.rows import LocalRows
from dvspark.runs.ledger import digest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.rows import Frame

# What distinguishes validation rows with the same id.
HASHED = ("id", "embedding", "label")
ROW_HASH = f"xxhash64({', '.join(HASHED)}) AS row_hash"


def hashed_rows(rows: Frame) -> DataFrame | pa.Table:
    """Return (id, row_hash) of validation rows."""
    if not isinstance(rows, LocalRows):
        return rows.selectExpr("id", ROW_HASH)
    table = rows.table
    hashes = xxhash64(table[name].combine_chunks() for name in HASHED)
    types = pa.schema([("id", table["id"].type), pa.field("row_hash", pa.int64(), nullable=False)])
    return pa.table([table["id"], pa.array(hashes)], schema=types)


def rows_seal(rows: DataFrame | pa.Table) -> dict[str, Any]:
    """Return by what validation rows (id, row_hash) are known again: their number, and their sha256 as a set.

    Four numbers of each row's sha256 are added up, so the order plays no part. Cost: O(rows), on the executors.
    """
    if isinstance(rows, pa.Table):
        return _seal_here(rows)
    each = rows.selectExpr("sha2(concat(cast(id AS string), ':', cast(row_hash AS string)), 256) AS h")
    parts = [f"sum(cast(conv(substring(h, {1 + 16 * n}, 16), 16, 10) AS decimal(20, 0))) AS s{n}" for n in range(4)]
    found = each.selectExpr("count(*) AS n", *parts).collect()[0]
    return _seal(int(found["n"]), [int(found[f"s{n}"] or 0) for n in range(4)])


def _seal_here(rows: pa.Table) -> dict[str, Any]:
    sums = np.zeros(4, object)
    for id_, row_hash in zip(rows["id"].to_pylist(), rows["row_hash"].to_pylist(), strict=True):
        sums += np.frombuffer(sha256(f"{id_}:{row_hash}".encode()).digest(), ">u8").astype(object)
    return _seal(len(rows), sums.tolist())


def _seal(n_rows: int, sums: list[int]) -> dict[str, Any]:
    return {"n_rows": n_rows, "sha256": digest(":".join(map(str, [n_rows, *sums])).encode())}
