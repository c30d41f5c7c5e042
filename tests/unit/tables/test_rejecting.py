"""Rows with problems are set aside here as on Spark: each with all its reasons, and no other row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dvspark.local.rows import LocalRows
from dvspark.methods.options import ValueOptions
from dvspark.tables.sources.rows import Rows
from dvspark.tables.table_checks import validate

TYPES = {"id": "bigint", "embedding": "array<float>", "label": "string"}
ROWS = [
    (5, [1.0, 2.0], "a"),
    (None, [1.0, 2.0], "a"),
    (3, [1.0, 2.0], None),
    (2, [1.0], "b"),
    (1, [float("nan"), 1.0], "b"),
    (7, [1.0, 3.0], "b"),
    (7, None, "a"),
    (0, [0.0, 3.0], "b"),
]


def _rows(batch_rows: int) -> Rows:
    session: Any = None
    schema = LocalRows(session, TYPES, lambda _: iter(())).schema
    names = list(TYPES)
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in ROWS], schema)
    frame = LocalRows(session, TYPES, lambda columns: iter(table.select(columns).to_batches(batch_rows)))
    return Rows("train", frame, TYPES, "a table")


def test_reject__sets_bad_rows_aside_with_all_their_reasons() -> None:
    for batch_rows in (1, 3, 100):
        found = validate(_rows(batch_rows), None, ValueOptions("knn_shapley", {"k": 1}, self_validation=True), "reject")
        assert (found.train_facts.n_rows, found.train_facts.n_rejected, found.n_rejected) == (2, 6, 6)
        assert found.train_facts.labels == {"a": 1, "b": 1}
        assert isinstance(found.train.frame, LocalRows)
        assert found.train.frame.table["id"].to_pylist() == [0, 5]
        assert found.train.keys is not None
        assert found.train.keys["id"].to_pylist() == [0, 5]
        assert isinstance(found.rejected, pa.Table)
        told = sorted(((row["id"], row["reason"]) for row in found.rejected.to_pylist()), key=str)
        assert told == [
            ("1", "embedding holds NaN or infinity"),
            ("2", "dimension is not 2"),
            ("3", "label is null"),
            ("7", "embedding is null; id occurs more than once"),
            ("7", "id occurs more than once"),
            (None, "id is null"),
        ]


def test_reject__the_digest_is_that_of_the_rows_that_are_left() -> None:
    options = ValueOptions("knn_shapley", {"k": 1}, self_validation=True)
    whole = validate(_rows(3), None, options, "reject")
    frame = whole.train.frame
    assert isinstance(frame, LocalRows)
    good = Rows("train", LocalRows.of_table(frame.session, TYPES, frame.table), TYPES, "a table")
    assert validate(good, None, options, "fail").train_facts.digest == whole.train_facts.digest
