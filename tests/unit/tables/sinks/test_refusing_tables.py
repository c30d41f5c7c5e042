"""Tables that take no rows, or let none go, are refused before anything is computed, in words of our own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lake_tables import catalog_properties, open_catalog

from dvspark import OutputConflictError
from dvspark.tables.sinks.places import Place, announce, require_reachable
from dvspark.tables.sinks.values_commits import RunKey
from dvspark.tables.storage import Storage, open_storage

deltalake = pytest.importorskip("deltalake")

DELTA = Place("delta")
RUN = RunKey("a", "f")
ROWS = pa.table({"run_id": ["a", "a"], "id": ["x", "y"], "value": [1.0, 2.0], "rank": [1, 2]})


def _published(folder: Path, **properties: str) -> tuple[Storage, Any]:
    """Return an output folder with the rows of a run in a Delta table of these properties, and the table."""
    storage = open_storage(str(folder))
    deltalake.write_deltalake(str(folder / "values"), ROWS, partition_by=["run_id"], configuration=properties)
    announce(storage, "a", {DELTA})
    return storage, DELTA.opened(storage, None)


def _with_feature(folder: Path, name: str) -> tuple[Storage, Any]:
    storage, table = _published(folder)
    feature = getattr(deltalake.TableFeatures, name)
    deltalake.DeltaTable(table.place).alter.add_feature(feature, allow_protocol_versions_increase=True)
    return storage, table


def _others() -> pa.Table:
    return ROWS.set_column(2, "value", pa.array([5.0, 6.0]))


def test_table_to_which_rows_are_only_added__takes_other_runs_and_lets_none_be_replaced(tmp_path: Path) -> None:
    storage, table = _published(tmp_path, **{"delta.appendOnly": "true"})
    with pytest.raises(OutputConflictError, match=r"(?s)rows of a can be removed.*appendOnly"):
        require_reachable(storage, None, RUN, DELTA, force=True)
    require_reachable(storage, None, RUN, DELTA, force=False)
    require_reachable(storage, None, RunKey("b", "f"), DELTA, force=True)
    table.commit(ROWS.set_column(0, "run_id", pa.array(["b", "b"])), RunKey("b", "f"))
    assert len(table.rows("a")) == len(table.rows("b")) == 2


@pytest.mark.parametrize("name", ["DeletionVectors", "ColumnMapping", "V2Checkpoint"])
def test_table_that_deltalake_cannot_read__is_refused(name: str, tmp_path: Path) -> None:
    storage, table = _with_feature(tmp_path, name)
    feature = name[0].lower() + name[1:]
    for asked in (
        table.columns,
        lambda: table.rows("a"),
        lambda: table.commit(_others(), RUN),
        lambda: require_reachable(storage, None, RUN, DELTA, force=False),
    ):
        with pytest.raises(OutputConflictError, match=feature):
            asked()


@pytest.mark.parametrize("name", ["RowTracking", "DomainMetadata", "IdentityColumns"])
def test_table_that_deltalake_only_reads__is_read_and_takes_nothing(name: str, tmp_path: Path) -> None:
    storage, table = _with_feature(tmp_path, name)
    assert table.rows("a").num_rows == 2
    assert table.columns() is not None
    with pytest.raises(OutputConflictError, match=name[0].lower() + name[1:]):
        require_reachable(storage, None, RunKey("b", "f"), DELTA, force=False)


def test_rows_that_a_constraint_forbids__are_refused_in_one_line(tmp_path: Path) -> None:
    _, table = _published(tmp_path)
    deltalake.DeltaTable(table.place).alter.add_constraint({"small": "value < 3"})
    with pytest.raises(OutputConflictError, match="a table that takes the rows") as refused:
        table.commit(_others(), RUN)
    assert len(refused.value.problems[0].got.splitlines()) == 1
    assert table.rows("a")["value"].to_pylist() == [1.0, 2.0]


def test_log_that_cannot_be_read__is_told(tmp_path: Path) -> None:
    storage, table = _published(tmp_path)
    (tmp_path / "values" / "_delta_log" / f"{1:020}.json").write_text("{garbage\n")
    for asked in (
        table.columns,
        lambda: table.rows("a"),
        lambda: require_reachable(storage, None, RUN, DELTA, force=True),
    ):
        with pytest.raises(OutputConflictError, match="can be read"):
            asked()


def test_commit_without_content__is_damage(tmp_path: Path) -> None:
    _, table = _published(tmp_path)
    deltalake.DeltaTable(table.place).alter.set_table_properties({"delta.logRetentionDuration": "interval 9 days"})
    (*_, last) = sorted((tmp_path / "values" / "_delta_log").glob("*.json"))
    last.write_text("")
    for asked in (table.columns, lambda: table.rows("a"), lambda: table.written_by("a")):
        with pytest.raises(OutputConflictError, match=f"got: {last.name} is empty: damaged"):
            asked()


# --- Iceberg ----------------------------------------------------------------------------------------------

ICEBERG = Place("iceberg", "lake.db.values")


@pytest.fixture
def iceberg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table with the rows of a run, in a catalog that pyiceberg's own configuration knows as ``lake``."""
    pytest.importorskip("pyiceberg")
    config = {"catalog": {"lake": catalog_properties(tmp_path / "lake")}}
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG.config", config)
    table = open_catalog(tmp_path / "lake").create_table("db.values", ROWS.schema)
    table.append(ROWS)
    return table


def _require_column(table: Any) -> None:
    with table.update_schema(allow_incompatible_changes=True) as change:
        change.add_column("note", table.schema().find_type("id"), required=True)


def _require_values(table: Any) -> None:
    with table.update_schema(allow_incompatible_changes=True) as change:
        change.update_column("value", required=True)


def _write_orc(table: Any) -> None:
    with table.transaction() as change:
        change.set_properties({"write.format.default": "orc"})


def _by_bucket(table: Any) -> None:
    from pyiceberg.transforms import BucketTransform

    with table.update_spec() as change:
        change.add_field("id", BucketTransform(4), "place")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_require_column, "required: note"),
        (_require_values, "required: value"),
        (_write_orc, r"write\.format\.default = orc"),
        (_by_bucket, r"place, bucket\[4\]: pyiceberg_core"),
    ],
)
def test_iceberg_table_that_takes_no_rows__is_refused_before_and_after_all_work(
    change: Callable[[Any], None], said: str, iceberg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyiceberg_core", None)  # as where it is not installed
    change(iceberg)
    storage = open_storage(str(tmp_path / "out"))
    other = RunKey("b", "f")
    with pytest.raises(OutputConflictError, match=said):
        require_reachable(storage, None, other, ICEBERG, force=False)
    table = ICEBERG.opened(storage, None)
    assert table is not None
    with pytest.raises(OutputConflictError, match="a table that takes the rows") as refused:
        table.commit(_others().set_column(0, "run_id", pa.array(["b", "b"])), other)
    assert len(refused.value.problems[0].got.splitlines()) == 1


def test_iceberg_rows_that_cannot_be_read__are_told(iceberg: Any, tmp_path: Path) -> None:
    _require_column(iceberg)
    table = ICEBERG.opened(open_storage(str(tmp_path / "out")), None)
    assert table is not None
    for asked in (lambda: table.rows("a"), lambda: table.commit(_others(), RUN), lambda: table.remove("a")):
        with pytest.raises(OutputConflictError, match="rows that can be read"):
            asked()
