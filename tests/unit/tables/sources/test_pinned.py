"""States of Delta and Iceberg tables: the one asked for, its files, and tables whose files are not their rows."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_tables import catalog_properties, open_catalog, write_delta, write_iceberg

from dvspark.errors import ConfigError, InputError
from dvspark.schemas.arrow import ARROW_TYPES, arrow_type
from dvspark.tables.sources import pinned as pinned_module
from dvspark.tables.sources.formats import reader_of
from dvspark.tables.sources.formats.lake import LakeReader
from dvspark.tables.sources.pinned import Pinned, as_milliseconds, latest_at, version_problems
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.types import spark_type

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

FIRST = pa.table({"id": [1, 2, 3], "label": ["a", "b", "a"]})
SECOND = pa.table({"id": [4], "label": ["c"]})


def _pin(**reference: Any) -> Pinned:
    reader = reader_of("train", TableReference(**reference))
    assert isinstance(reader, LakeReader)
    return reader.pinned()


def _ids(found: Pinned) -> list[int]:
    files = [path.removeprefix("file://") for path in found.files]
    return sorted(i for path in files for i in pq.ParquetFile(path).read(["id"])["id"].to_pylist())


def _refused(**reference: Any) -> Any:
    with pytest.raises(InputError) as refusal:
        _pin(**reference)
    (problem,) = refusal.value.problems
    assert problem.where.startswith("train table")
    assert problem.hint
    return problem


# --- Delta ------------------------------------------------------------------------------------------------


@pytest.fixture
def delta(tmp_path: Path) -> str:
    """A table of two commits, in a folder whose name has a blank."""
    return write_delta(tmp_path / "a table", FIRST, SECOND)


@pytest.mark.parametrize(
    ("asked", "version", "ids"), [({}, 1, [1, 2, 3, 4]), ({"version": 0}, 0, [1, 2, 3])], ids=["latest", "version"]
)
def test_delta__has_the_files_of_its_version(delta: str, asked: dict[str, int], version: int, ids: list[int]) -> None:
    found = _pin(path=delta, format="delta", **asked)
    assert (found.version, _ids(found)) == (version, ids)
    assert found.schema.names == ["id", "label"]
    assert found.record() == {"version": version, "n_files": len(found.files)}


def test_delta__a_later_overwrite_leaves_the_version(delta: str) -> None:
    from deltalake import write_deltalake

    write_deltalake(delta, SECOND, mode="overwrite")
    assert _ids(_pin(path=delta, format="delta")) == [4]
    assert _ids(_pin(path=delta, format="delta", version=1)) == [1, 2, 3, 4]


def test_delta__a_timestamp_is_the_last_version_by_then(delta: str) -> None:
    from deltalake import DeltaTable

    at = [datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) for commit in DeltaTable(delta).history()]
    assert _pin(path=delta, format="delta", timestamp=at[0]).version == 1
    problem = _refused(path=delta, format="delta", timestamp=at[1] - timedelta(days=1))
    assert "the first known is of" in problem.got


@pytest.mark.parametrize("lost", ["commitInfo", "timestamp"])
def test_delta__a_timestamp_is_refused_where_a_commit_does_not_say_its_own(delta: str, lost: str) -> None:
    write_delta(Path(delta), SECOND)
    path = Path(delta) / "_delta_log" / f"{1:020}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        action.get("commitInfo", {}).pop(lost, None)
    kept = [action for action in actions if lost not in action]
    path.write_text("\n".join(map(json.dumps, kept)))
    assert _refused(path=delta, format="delta", timestamp=datetime.now(UTC)).got == "2 of 3 commits that do"
    assert _pin(path=delta, format="delta", version=1).version == 1


@pytest.mark.parametrize(("seconds", "state"), [(1, 7), (2, 7), (3, 9), (4, 9)])
def test_timestamp__is_the_last_state_that_had_come(seconds: int, state: int) -> None:
    reference = TableReference(path="t", format="delta", timestamp=datetime.fromtimestamp(seconds, UTC))
    assert latest_at("train", reference, [(1000, 7), (3000, 9)]) == state


def test_timestamp__without_an_offset_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert as_milliseconds(datetime(1970, 1, 2)) == 86_400_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("asked", [{"version": 9}, {"path": "nowhere"}], ids=["version", "table"])
def test_delta__one_that_is_not_there_is_refused(delta: str, asked: dict[str, Any], tmp_path: Path) -> None:
    _refused(**{"path": delta, "format": "delta", **asked})


@pytest.mark.parametrize("left", ["", "\n"], ids=["zero bytes", "line end"])
def test_delta__a_commit_without_content_is_damaged(delta: str, left: str) -> None:
    write_delta(Path(delta), SECOND)
    (Path(delta) / "_delta_log" / f"{1:020}.json").write_text(left)
    for asked in ({}, {"version": 1}, {"timestamp": datetime.now(UTC)}):
        assert _refused(path=delta, format="delta", **asked).got == f"{1:020}.json is empty: damaged"
    assert _ids(_pin(path=delta, format="delta", version=0)) == [1, 2, 3]


@pytest.mark.parametrize("odd", ["[", "]", "^", "|", "\\", "\n", "\x7f", "%20", "%5b"])
@pytest.mark.parametrize("scheme", ["", "file://", "s3a://"])
def test_delta__a_path_that_deltalake_takes_for_another_is_refused(tmp_path: Path, odd: str, scheme: str) -> None:
    problem = _refused(path=f"{scheme}{tmp_path}/a{odd}b", format="delta")
    assert problem.got.startswith(repr(odd))
    assert "rename the folder" in problem.hint


@pytest.mark.parametrize("name", ["a {*?} #&;:", "100 % é😀", "a=1,b='c'\"", "<>`~!@$()+"])
def test_delta__other_odd_paths_are_read(tmp_path: Path, name: str) -> None:
    found = _pin(path=write_delta(tmp_path / name, FIRST), format="delta")
    assert _ids(found) == [1, 2, 3]


def test_delta__partition_values_come_from_the_log(tmp_path: Path) -> None:
    labels = ["a", "b/é:+% [x]", None]
    path = write_delta(tmp_path / "t", pa.table({"id": [1, 2, 3], "label": labels}), partition_by=["label"])
    found = _pin(path=path, format="delta")
    assert found.partitions is not None
    rows = zip(found.files, found.partitions.to_pylist(), strict=True)
    by_id = {_ids(replace(found, files=(path,)))[0]: row for path, row in rows}
    assert by_id == {i: {"label": label} for i, label in enumerate(labels, 1)}


def _log(folder: Path, protocol: dict[str, Any], configuration: dict[str, str], path: str = "a.parquet") -> str:
    """Write a Delta table of one file by hand: deltalake writes none with these protocols."""
    (folder / "_delta_log").mkdir(parents=True)
    pq.write_table(FIRST, folder / "a.parquet")
    names = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}
    mapped = names if "delta.columnMapping.mode" in configuration else {}
    column = {"name": "id", "type": "long", "nullable": True, "metadata": mapped}
    schema = json.dumps({"type": "struct", "fields": [column]})
    metadata = {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema}
    metadata |= {"partitionColumns": [], "configuration": configuration, "createdTime": 1}
    size = (folder / "a.parquet").stat().st_size
    add = {"path": path, "partitionValues": {}, "size": size, "modificationTime": 1, "dataChange": True}
    actions = [{"protocol": protocol}, {"metaData": metadata}, {"add": add}]
    (folder / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)))
    return str(folder)


def _named(*features: str) -> dict[str, Any]:
    return {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}


@pytest.mark.parametrize(
    ("protocol", "configuration", "said"),
    [
        (_named("deletionVectors"), {"delta.enableDeletionVectors": "true"}, "reader features deletionVectors"),
        (_named("timestampNtz", "deletionVectors"), {}, "reader features deletionVectors"),
        (_named("typeWidening"), {}, "typeWidening"),
        (_named("hovering"), {}, "hovering"),
        ({"minReaderVersion": 2, "minWriterVersion": 5}, {"delta.columnMapping.mode": "name"}, "columnMapping"),
        ({"minReaderVersion": 2, "minWriterVersion": 5}, {"delta.columnMapping.mode": "id"}, "columnMapping"),
    ],
    ids=["deletion vectors", "among others", "type widening", "unknown", "mapped by name", "mapped by id"],
)
def test_delta__a_protocol_its_files_do_not_tell_is_refused(
    tmp_path: Path, protocol: dict[str, Any], configuration: dict[str, str], said: str
) -> None:
    assert said in _refused(path=_log(tmp_path / "t", protocol, configuration), format="delta").got


def test_delta__harmless_features_are_read(tmp_path: Path) -> None:
    path = _log(tmp_path / "t", _named("timestampNtz", "vacuumProtocolCheck"), {})
    assert _ids(_pin(path=path, format="delta")) == [1, 2, 3]


def test_delta__a_file_that_is_gone_is_named_whoever_reads_the_table(delta: str) -> None:
    gone = sorted(Path(delta).glob("*.parquet"))[0]
    gone.unlink()
    reader = reader_of("train", TableReference(path=delta, format="delta"))
    for read in (reader.files, reader.whole):
        with pytest.raises(InputError, match="1 of 2 are gone") as refusal:
            read()
        assert str(gone) in str(refusal.value)


def test_delta__files_elsewhere_keep_their_path(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/t/a.parquet"  # as a shallow clone names its source's files
    path = _log(tmp_path / "t", {"minReaderVersion": 1, "minWriterVersion": 2}, {}, place)
    assert _pin(path=path, format="delta").files == (place,)


# --- Iceberg ----------------------------------------------------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A catalog that pyiceberg's own configuration knows as ``lake``."""
    config = {"catalog": {"lake": catalog_properties(tmp_path / "lake")}}
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG.config", config)
    return open_catalog(tmp_path / "lake")


@pytest.fixture
def iceberg(catalog: Any) -> Any:
    """A table of two snapshots."""
    return write_iceberg(catalog, "t", FIRST, SECOND)


@pytest.mark.parametrize("by", ["table", "metadata file", "folder", "folder with a hint"])
def test_iceberg__is_found_by_each_of_its_names(iceberg: Any, by: str) -> None:
    location = iceberg.metadata_location.removeprefix("file://")
    folder = Path(location).parents[1]
    if by == "folder with a hint":
        (folder / "metadata" / "version-hint.text").write_text(Path(location).name)
    reference = {"table": {"table": "lake.db.t"}, "metadata file": {"path": location}}.get(by, {"path": str(folder)})
    found = _pin(format="iceberg", **reference)
    assert (found.version, _ids(found)) == (iceberg.current_snapshot().snapshot_id, [1, 2, 3, 4])
    assert found.record() == {"snapshot_id": found.version, "schema_id": 0, "n_files": 2}


def test_iceberg__an_older_snapshot_has_its_files(iceberg: Any) -> None:
    first, second = iceberg.snapshots()
    assert _ids(_pin(table="lake.db.t", format="iceberg", snapshot=first.snapshot_id)) == [1, 2, 3]
    at = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC)
    assert _pin(table="lake.db.t", format="iceberg", timestamp=at + timedelta(days=1)).version == second.snapshot_id
    _refused(table="lake.db.t", format="iceberg", timestamp=at - timedelta(days=1))


def test_iceberg__a_snapshot_or_table_that_is_not_there_is_refused(iceberg: Any, catalog: Any, tmp_path: Path) -> None:
    first, second = iceberg.snapshots()
    assert f"{first.snapshot_id}, {second.snapshot_id}" in _refused(table="lake.db.t", format="iceberg", snapshot=7).got
    _refused(table="lake.db.other", format="iceberg")
    _refused(path=str(tmp_path / "nowhere"), format="iceberg")
    catalog.create_table("db.empty", schema=FIRST.schema)
    assert _refused(table="lake.db.empty", format="iceberg").got == "no snapshot"


def test_iceberg__a_table_that_was_moved_is_refused(iceberg: Any, tmp_path: Path) -> None:
    place = Path(iceberg.location().removeprefix("file://"))
    moved = place.rename(tmp_path / "moved")
    assert "moved or copied" in _refused(path=str(moved), format="iceberg").hint


@pytest.mark.parametrize("kind", ["snap-*.avro", "*-m0.avro", "00002-*.metadata.json"])
def test_iceberg__damaged_metadata_are_refused(iceberg: Any, kind: str) -> None:
    place = Path(iceberg.location().removeprefix("file://"))
    for path in (place / "metadata").glob(kind):
        path.write_bytes(path.read_bytes()[:100])
    _refused(path=str(place), format="iceberg")


def test_iceberg__a_file_that_is_gone_is_named(iceberg: Any) -> None:
    with iceberg.update_schema() as change:
        change.add_column("note", iceberg.schema().find_type("label"))
    gone = Path(next(iter(iceberg.scan().plan_files())).file.file_path.removeprefix("file://"))
    gone.unlink()
    assert _refused(table="lake.db.t", format="iceberg").got == f"1 of 2 are gone; the first: {gone}"


def test_iceberg__several_latest_metadata_files_are_refused(iceberg: Any) -> None:
    location = Path(iceberg.metadata_location.removeprefix("file://"))
    (location.parent / "00002-left-by-a-commit-that-failed.metadata.json").write_text(location.read_text())
    assert "2 metadata files" in _refused(path=str(location.parents[1]), format="iceberg").got


def test_iceberg__delete_files_are_refused(iceberg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.table import DataScan

    plan_files = DataScan.plan_files

    def with_deletes(scan: Any) -> list[Any]:
        tasks = list(plan_files(scan))
        tasks[0].delete_files = [SimpleNamespace(file_path="d.parquet")]
        return tasks

    monkeypatch.setattr(DataScan, "plan_files", with_deletes)
    problem = _refused(table="lake.db.t", format="iceberg")
    assert (problem.expected, problem.got) == ("a snapshot without delete files", "1 delete files, the first d.parquet")


@pytest.mark.parametrize("live", [True, False])
def test_iceberg__manifests_of_delete_files_are_refused_while_they_count(
    iceberg: Any, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    from pyiceberg.manifest import ManifestContent

    counts = {"added_files_count": 0, "existing_files_count": int(live)}
    deletes = SimpleNamespace(content=ManifestContent.DELETES, **counts)
    from pyiceberg.table.snapshots import Snapshot

    manifests = Snapshot.manifests
    scanned: list[bool] = []
    monkeypatch.setattr(Snapshot, "manifests", lambda s, io: [*manifests(s, io), *([] if scanned else [deletes])])
    from pyiceberg.table import DataScan

    plan_files = DataScan.plan_files
    monkeypatch.setattr(DataScan, "plan_files", lambda scan: scanned.append(True) or list(plan_files(scan)))
    if live:
        assert "1 manifests" in _refused(table="lake.db.t", format="iceberg").got
    else:
        assert _ids(_pin(table="lake.db.t", format="iceberg")) == [1, 2, 3, 4]


def test_iceberg__rows_deleted_by_a_rewrite_are_gone(iceberg: Any) -> None:
    iceberg.delete("id == 2")  # pyiceberg copies the file without the row
    assert _ids(_pin(table="lake.db.t", format="iceberg")) == [1, 3, 4]


def test_iceberg__added_and_dropped_columns_are_no_hindrance(iceberg: Any) -> None:
    from pyiceberg.types import LongType

    with iceberg.update_schema() as update:
        update.add_column("weight", LongType())
    with iceberg.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("label")
    iceberg.append(pa.table({"id": [5], "weight": [2]}))
    found = _pin(table="lake.db.t", format="iceberg")
    assert _ids(found) == [1, 2, 3, 4, 5]
    assert found.schema.names == ["id", "weight"]


@pytest.mark.parametrize("written", [False, True])  # a change of columns alone makes no snapshot
@pytest.mark.parametrize("change", ["renamed", "dropped and added again"])
def test_iceberg__columns_that_names_would_mistake_are_refused(iceberg: Any, change: str, written: bool) -> None:
    from pyiceberg.types import StringType

    with iceberg.update_schema(allow_incompatible_changes=True) as update:
        if change == "renamed":
            update.rename_column("label", "kind")
        else:
            update.delete_column("label")
    if change != "renamed":
        with iceberg.update_schema() as update:
            update.add_column("label", StringType())
    if written:
        iceberg.append(pa.table({"id": [5], "kind" if change == "renamed" else "label": ["z"]}))
    assert "label" in _refused(table="lake.db.t", format="iceberg").got
    # An older snapshot has the older columns.
    before = iceberg.snapshots()[0].snapshot_id
    assert _pin(table="lake.db.t", format="iceberg", snapshot=before).schema.names == ["id", "label"]


def test_iceberg__a_column_that_was_dropped_since_the_last_snapshot_is_gone(iceberg: Any) -> None:
    with iceberg.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("label")
    assert _pin(table="lake.db.t", format="iceberg").schema.names == ["id"]
    last = iceberg.current_snapshot().snapshot_id
    assert _pin(table="lake.db.t", format="iceberg", snapshot=last).schema.names == ["id", "label"]


def test_iceberg__what_a_run_has_read_is_read_again_with_the_columns_of_the_run(iceberg: Any) -> None:
    with iceberg.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("label")
    reader = reader_of("train", TableReference(table="lake.db.t", format="iceberg"))
    assert isinstance(reader, LakeReader)
    again = reader.at(reader.files().source)
    iceberg.append(pa.table({"id": [5]}))
    assert again.whole().schema.names == ["id"]
    assert again.files().source == reader.at(again.files().source).files().source
    # A record of before schemas were kept, or of a schema that is gone, leaves those of the snapshot.
    assert reader.at({"snapshot_id": again.files().source["snapshot_id"]}).whole().schema.names == ["id", "label"]


@pytest.mark.parametrize("dropped", [False, True])
def test_iceberg__columns_whose_names_files_cannot_have_are_known_by_their_ids(catalog: Any, dropped: bool) -> None:
    from pyiceberg.types import StringType

    table = write_iceberg(catalog, "odd", pa.table({"id": [1], "data-owner": ["a"]}))
    if dropped:
        with table.update_schema(allow_incompatible_changes=True) as update:
            update.delete_column("data-owner")
    with table.update_schema() as update:
        update.add_column("data-owner" if dropped else "note", StringType())
    table.append(pa.table({"id": [2], "data-owner": ["b"]}))
    if dropped:
        assert "'data-owner' in" in _refused(table="lake.db.odd", format="iceberg").got
    else:
        assert _ids(_pin(table="lake.db.odd", format="iceberg")) == [1, 2]


def test_iceberg__files_added_from_elsewhere_are_read_by_their_names(iceberg: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": ["z"], "id": [9]}), tmp_path / "elsewhere.parquet")
    iceberg.add_files([f"file://{tmp_path}/elsewhere.parquet"])
    assert _ids(_pin(table="lake.db.t", format="iceberg")) == [1, 2, 3, 4, 9]


def test_iceberg__a_partition_column_that_is_not_in_a_file_is_refused(iceberg: Any, tmp_path: Path) -> None:
    from dvspark.tables.sources.formats.iceberg_files import _changed_in_file

    pq.write_table(pa.table({"id": [9]}), tmp_path / "no label.parquet")
    names = iceberg.schema().name_mapping
    check = partial(_changed_in_file, f"file://{tmp_path}/no label.parquet", iceberg, {1: "id", 2: "label"}, names)
    assert check(set()) == ""  # a column that came later: null
    assert "in the partition" in check({2})


def test_iceberg__a_format_to_come_is_refused(iceberg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvspark.tables.sources.formats.iceberg_files.LATEST_FORMAT", 1)
    assert _refused(table="lake.db.t", format="iceberg").got.startswith("format 2")


# --- what may be asked for --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"format": "delta", "version": 1, "timestamp": datetime.now(UTC)}, "version and timestamp"),
        ({"format": "parquet", "version": 1}, "format parquet"),
        ({"format": "parquet", "timestamp": datetime.now(UTC)}, "format parquet"),
        ({"format": "delta", "snapshot": 1}, "format delta"),
        ({"format": "iceberg", "version": 1}, "format iceberg"),
        ({"format": "delta", "version": -1}, "-1"),
    ],
)
def test_versions__that_no_table_has_are_problems(asked: dict[str, Any], said: str) -> None:
    (problem,) = version_problems("train", TableReference(path="t", **asked))
    assert problem.got == said


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"format": "delta", "version": 0},
        {"format": "iceberg", "snapshot": 5},
        {"format": "delta", "timestamp": datetime.now(UTC)},
    ],
)
def test_versions__that_a_table_may_have_are_none(asked: dict[str, Any]) -> None:
    assert version_problems("train", TableReference(path="t", **asked)) == []


def test_library__that_is_not_there_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned_module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'dvspark\[delta\]'"):
        _pin(path="t", format="delta")


# --- types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ddl", [*ARROW_TYPES, "array<float>", "array<string>"])
def test_types__go_both_ways(ddl: str) -> None:
    assert spark_type(arrow_type(ddl)) == ddl


@pytest.mark.parametrize(
    ("kind", "ddl"),
    [
        (pa.large_string(), "string"),
        (pa.large_list(pa.large_string()), "array<string>"),
        (pa.list_(pa.float32(), 3), "array<float>"),
        (pa.decimal128(10, 2), "decimal(10,2)"),
        (pa.time64("us"), None),
        (pa.struct([("a", pa.int64())]), None),
        (pa.list_(pa.struct([("a", pa.int64())])), None),
    ],
    ids=str,
)
def test_types__of_arrow_have_one_of_spark_or_none(kind: pa.DataType, ddl: str | None) -> None:
    assert spark_type(kind) == ddl
