"""Rows that go to owners: each owner's folder has all of that owner's rows, in order, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.tables.sinks.write import Counted, publish
from dvspark.tables.storage import open_storage

OWNERS = ["a", "b b", "ç/%", "1"]


@given(owners=st.lists(st.sampled_from(OWNERS), min_size=1, max_size=12))
def test_publish__gives_each_owner_their_rows(owners: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("owners")
    rows = pa.table({"id": range(len(owners)), "owner": owners})
    storage = open_storage(str(folder))
    record = json.dumps({"run_id": "r", "fingerprint": "f"})
    publish(storage, "r", {"values": Counted(rows, len(rows), by="owner")}, {"run.json": record}, published="now")
    found = {}
    for place in (folder / "values" / "run_id=r").iterdir():
        files = [pq.read_table(file, partitioning=None) for file in sorted(place.glob("*.parquet"))]
        found[unquote(place.name.removeprefix("owner="))] = pa.concat_tables(files)["id"].to_pylist()
    assert found == {name: [n for n, owner in enumerate(owners) if owner == name] for name in set(owners)}
