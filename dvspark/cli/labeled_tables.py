"""Labeled tables: training and validation rows that a command reads into this process, by the words that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from dvspark.errors import InputError
from dvspark.evaluate.labeled import LabeledRows
from dvspark.local.session import open_local_session
from dvspark.schemas.columns import embedding_matrix
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference

if TYPE_CHECKING:
    from dvspark.local.rows import LocalRows


def read_labeled(side: str, path: str, options: Mapping[str, str]) -> tuple[pa.ChunkedArray, LabeledRows]:
    """Return ids and rows of a table that this process can read, in id order."""
    names = {role: options[f"--{role}"] for role in ("id", "embedding", "label")}
    reference = TableReference(path=path, format=options["--format"], **names)  # type: ignore[arg-type] # all words
    with open_local_session() as session:
        rows = read_rows(session, side, reference)
        if isinstance(rows, list):
            raise InputError(rows)
        table = cast("LocalRows", rows.frame).table  # the session is a local one
    labeled = LabeledRows.of(side, _embeddings(table.column("embedding")), table.column("label").to_numpy())
    return table.column("id"), labeled


def _embeddings(column: pa.ChunkedArray) -> Any:
    """Return the embeddings as a matrix, or as they are where they are none; bytes are float32."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return embedding_matrix(column.combine_chunks(), np.dtype(np.float32))
    return column
