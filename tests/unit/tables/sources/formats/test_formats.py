"""Which reader a reference gets, and what readers say before they look at any file."""

from __future__ import annotations

from typing import Any

import pytest

from dvspark.tables.sources.formats import READERS, reader_of
from dvspark.tables.sources.formats.numpy_files import NumpyReader
from dvspark.tables.sources.formats.spark_only import SparkReader
from dvspark.tables.sources.pinned import VERSIONED
from dvspark.tables.sources.reader import Reader
from dvspark.tables.sources.reference import TableReference

REFERENCES: list[tuple[dict[str, Any], type[Reader], str]] = [
    *(({"path": "t", "format": name}, kind, "") for name, kind in READERS.items()),
    ({"path": "t", "embedding_file": "x.npy"}, NumpyReader, ""),
    ({"path": "t", "format": "orc"}, SparkReader, "train.format"),
    ({"path": "t", "format": "dvspark-npy"}, SparkReader, "train.format"),
    ({"table": "a.b"}, SparkReader, "train.table"),
    ({"table": "a.b", "format": "delta"}, READERS["delta"], "train.table"),
    ({"table": "a.b", "format": "iceberg"}, READERS["iceberg"], ""),
    ({"table": "a.b", "format": "csv"}, READERS["csv"], "train.table"),
]


@pytest.mark.parametrize(("asked", "kind", "only_spark"), REFERENCES)
def test_reader__is_that_of_the_format(asked: dict[str, Any], kind: type[Reader], only_spark: str) -> None:
    reader = reader_of("train", TableReference(**asked), "number")
    assert type(reader) is kind
    assert (reader.where, reader.uses["target"]) == (f"train table {reader.reference}", "label")
    assert [problem.where for problem in reader.only_spark()] == [only_spark] * bool(only_spark)


@pytest.mark.parametrize("name", READERS)
def test_at__chooses_the_state_that_was_recorded_of_a_table_with_states(name: str) -> None:
    reader = reader_of("train", TableReference(path="t", format=name))
    source = {"version": 3, "snapshot_id": 4, "n_files": 1}
    chosen = reader.at(source).reference
    states = (chosen.version, chosen.snapshot)
    assert states == {"delta": (3, None), "iceberg": (None, 4)}.get(name, (None, None))
    assert (reader.at(source) is reader) == (name not in VERSIONED)
