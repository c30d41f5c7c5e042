"""The sha256 of values is that of rows and of their run: not of files, and not of anything that has been changed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.tables.sinks.contents import folder_rows, values_digest
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.storage import open_storage

SCHEMA = values_schema({"id": "string", "label": "array<string>", "owner": "string"}, row_bounds=True)
ROWS = [
    {"run_id": "r", "id": "", "value": -0.0, "standard_error": None, "rank": 2, "label": ["a", "bc"], "owner": "o"},
    {"run_id": "r", "id": "é", "value": 0.5, "standard_error": 0.0, "rank": 1, "label": [], "owner": "p"},
    {"run_id": "r", "id": "z", "value": float("inf"), "standard_error": 1.0, "rank": 3, "label": None, "owner": "o"},
    {
        "run_id": "r",
        "id": "zz",
        "value": 5e-324,
        "standard_error": 1.0,
        "rank": 4,
        "label": [None, "", "a"],
        "owner": "q",
    },
]
VALUES = pa.Table.from_pylist([{**row, "error_bound": 0.0} for row in ROWS], SCHEMA)
DIGEST = values_digest("r", VALUES, SCHEMA)


@given(st.permutations(range(4)), st.lists(st.integers(0, 4), max_size=3), st.booleans())
def test_digest__does_not_depend_on_files_or_their_order(order: list[int], cuts: list[int], large: bool) -> None:
    rows = VALUES.take(order)
    if large:  # as pyiceberg reads texts
        rows = rows.set_column(1, "id", rows["id"].cast(pa.large_string()))
    bounds = [0, *sorted(cuts), len(rows)]
    parts = [rows.slice(a, b - a) for a, b in itertools.pairwise(bounds)]
    assert values_digest("r", pa.concat_tables(parts), SCHEMA) == DIGEST
    assert values_digest("r", rows.drop_columns("run_id"), SCHEMA) == DIGEST  # which the folder's name tells


@given(st.sampled_from(range(4)), st.sampled_from([name for name in SCHEMA.names if name != "run_id"]))
def test_digest__every_entry_matters(row: int, name: str) -> None:
    rows = VALUES.to_pylist()
    before = rows[row][name]
    other = 0.25
    rows[row][name] = {"id": f"{before}x", "owner": f"{before}x", "label": ["other"], "rank": 9}.get(name, other)
    assert values_digest("r", pa.Table.from_pylist(rows, SCHEMA), SCHEMA) != DIGEST


def test_digest__zeros_nulls_and_where_texts_end_matter() -> None:
    def changed(row: int, **entries: object) -> str:
        rows = VALUES.to_pylist()
        rows[row] |= entries
        return values_digest("r", pa.Table.from_pylist(rows, SCHEMA), SCHEMA)

    others = [
        changed(0, value=0.0),
        changed(0, standard_error=0.0),
        changed(0, label=["ab", "c"]),
        changed(1, label=None),
        changed(3, label=["", None, "a"]),
    ]
    assert len({DIGEST, *others}) == 6
    assert values_digest("s", VALUES, SCHEMA) != DIGEST
    assert values_digest("r", VALUES.slice(0, 3), SCHEMA) != DIGEST
    assert values_digest("r", pa.concat_tables([VALUES, VALUES.slice(0, 1)]), SCHEMA) != DIGEST


def test_digest__columns_that_the_run_does_not_have_are_refused() -> None:
    narrow = values_schema({"id": "string", "label": "array<string>"}, row_bounds=False)
    with pytest.raises(pa.ArrowInvalid, match="error_bound, owner"):
        values_digest("r", VALUES, narrow)
    nulls = VALUES.select(narrow.names).append_column("owner", pa.nulls(4, pa.string()))  # of other runs in the table
    assert values_digest("r", nulls, narrow) == values_digest("r", VALUES.select(narrow.names), narrow)


def test_folder__is_read_with_its_owners(tmp_path: Path) -> None:
    for owner in ("o", "p", "q"):
        rows = VALUES.filter(pa.compute.field("owner") == owner).drop_columns(["run_id", "owner"])
        (tmp_path / "values" / f"owner={owner}").mkdir(parents=True)
        pq.write_table(rows, tmp_path / "values" / f"owner={owner}" / "part.parquet")
    assert values_digest("r", folder_rows(open_storage(str(tmp_path)), "values", SCHEMA), SCHEMA) == DIGEST
