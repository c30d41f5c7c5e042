"""Metadata: what can be known of a table's rows without reading the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import Problem
from dvspark.schemas import columns
from dvspark.tables.sources.formats import reader_of

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference
    from dvspark.tables.sources.rows import Rows

# Rows that show the dimension, and about how many labels there are.
SAMPLE_ROWS = 1_000


@dataclass(frozen=True)
class Preview:
    """One side before it is read: ``n_labels`` counts labels in the sample, ``n_rows`` includes possible bad rows."""

    n_rows: int
    n_features: int
    n_labels: int
    types: dict[str, str]

    @property
    def dtype(self) -> str:
        """The dtype that the side's embeddings have in the index."""
        return "float64" if self.types["embedding"] == "array<double>" else "float32"


def preview(rows: Rows, reference: TableReference) -> Preview | list[Problem]:
    """Return what metadata and `SAMPLE_ROWS` rows show of a table, or the problem that it has no rows.

    Cost: the footers of its Parquet files, or else a count by Spark without the embeddings; and the sample.
    """
    sample = rows.first(["embedding", "label"], SAMPLE_ROWS)
    lengths = _lengths(sample["embedding"].combine_chunks())
    # The dimension that most rows have is taken as the intended one, as in `validate`.
    n_features = lengths.most_common(1)[0][0] if lengths else 0
    if n_features == 0:
        expected = f"embeddings with numbers in the first {SAMPLE_ROWS} rows"
        where, got = (
            f"{rows.side} table {rows.reference}",
            f"none in {'most of ' if len(sample) else ''}{len(sample)} rows",
        )
        return [Problem(where, expected, got, "check the path, and how the embeddings were made")]
    if rows.tables and reference.owned is not None:
        n_rows = sum(_n_rows(*table) for table in zip(rows.tables, (reference, reference.owned), strict=True))
    else:
        n_rows = _n_rows(rows, reference)
    labels = sample["label"].combine_chunks()
    n_labels = len(columns.label_vocabulary(labels.drop_null()))
    return Preview(n_rows, n_features, max(1, n_labels), rows.types)


def _n_rows(rows: Rows, reference: TableReference) -> int:
    n_rows = reader_of(rows.side, reference).footer_rows() if rows.files is None else rows.files.n_rows
    if n_rows is None:
        return rows.data_frame.select("id").count()
    return n_rows // max(len(rows.epochs), 1)  # files have a row for each epoch


def _lengths(embeddings: pa.Array) -> Counter[int]:
    """Return how many rows have each dimension."""
    if pa.types.is_binary(embeddings.type) or pa.types.is_large_binary(embeddings.type):
        return Counter(n // 4 for n in pc.binary_length(embeddings).drop_null().to_pylist())
    return Counter(pc.list_value_length(embeddings).drop_null().to_pylist())
