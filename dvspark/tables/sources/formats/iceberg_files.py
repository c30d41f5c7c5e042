"""Iceberg: finds the files of one snapshot of an Iceberg table, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import FileFormat, ManifestContent
from pyiceberg.schema import make_compatible_name
from pyiceberg.table import StaticTable, Table
from pyiceberg.table.name_mapping import NameMapping
from pyiceberg.transforms import IdentityTransform

from dvspark.errors import InputError, Problem
from dvspark.tables.sources.markers import METADATA_FILE
from dvspark.tables.sources.pinned import (
    Pinned,
    full_path,
    latest_at,
    read_or_refuse,
    require_files,
    unreadable_files,
)
from dvspark.tables.sources.row_files import FOOTER_THREADS
from dvspark.tables.storage import entries, open_storage

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table.snapshots import Snapshot

    from dvspark.tables.sources.reference import TableReference

LATEST_FORMAT = 2
FIELD_ID = b"PARQUET:field_id"


def pinned_iceberg(side: str, reference: TableReference, schema_id: int | None = None) -> Pinned:
    """Return the snapshot of an Iceberg table that is asked for, or else the current snapshot.

    ``schema_id``: with which columns a run has read the snapshot.
    Raises: InputError if there is no such table or snapshot; and if its files are not its rows, which holds for delete
    files, files that are not Parquet, formats after 2, and columns that have another name or field id in the files.
    """
    read = partial(read_or_refuse, side, reference, kinds=(Exception,))  # of damaged metadata anything may be said
    table = read(lambda: _table(reference))
    snapshot = _snapshot(side, reference, table)
    if table.metadata.format_version > LATEST_FORMAT:
        got = f"format {table.metadata.format_version}, of which defaults and row lineage are not in the files"
        raise unreadable_files(side, reference, f"an Iceberg table of format 1 or {LATEST_FORMAT}", got)
    refuse = partial(unreadable_files, side, reference)
    manifests = read(lambda: snapshot.manifests(table.io))
    deletes = [m for m in manifests if m.content == ManifestContent.DELETES and _is_live(m)]
    if deletes:
        raise refuse("a snapshot without delete files", f"{len(deletes)} manifests of delete files")
    planned = read(lambda: list(table.scan(snapshot_id=snapshot.snapshot_id).plan_files()))
    tasks = sorted(planned, key=lambda task: task.file.file_path)
    if deleting := {file.file_path for task in tasks for file in task.delete_files}:
        raise refuse("a snapshot without delete files", f"{len(deleting)} delete files, the first {min(deleting)}")
    if others := {task.file.file_format.name for task in tasks if task.file.file_format != FileFormat.PARQUET}:
        raise refuse("data files of Parquet", ", ".join(sorted(others)))
    schema = _schema(reference, table, snapshot, schema_id)
    files = tuple(task.file.file_path for task in tasks)
    require_files(side, reference, files)
    if problem := read(lambda: _changed_columns(table, schema, files)):
        raise refuse("files whose columns have the names and field ids of the table's", problem)
    as_arrow = schema_to_pyarrow(schema, include_field_ids=False)
    return Pinned("iceberg", snapshot.snapshot_id, files, as_arrow, schema_id=schema.schema_id)


def stored_names(names: Sequence[str]) -> dict[str, str]:
    """Return for each column the name that writers give it in files: without characters that Avro's names lack."""
    return {name: make_compatible_name(name) for name in names}


def _table(reference: TableReference) -> Table:
    """Return the table CATALOG.NAMESPACE.TABLE of pyiceberg's catalogs, or the table at a path."""
    if reference.table is not None:
        catalog, _, name = reference.table.partition(".")
        return load_catalog(catalog).load_table(name)
    place = str(reference.path)
    return StaticTable.from_metadata(place if place.endswith(".metadata.json") else _latest_metadata(place))


def _latest_metadata(folder: str) -> str:
    """Return the metadata file that version-hint.text in a table's folder names, or else the one of the last number.

    Raises: ValueError if no file, or several, have the last number; a failed commit may have left one.
    """
    storage = open_storage(folder)
    if storage.exists("metadata/version-hint.text"):
        return full_path(folder)
    names = [file.base_name for file in entries(storage.file_system, storage.path("metadata"))]
    numbered = [(int(found[1] or found[2]), name) for name in names if (found := METADATA_FILE.fullmatch(name))]
    last = [name for number, name in numbered if number == max(numbered)[0]]
    if len(last) != 1:
        got = f"{len(last)} metadata files that may be the latest"
        raise ValueError(f"{got}; give the path of one, or the name of a catalog's table")
    return f"{full_path(folder)}/metadata/{last[0]}"


def _snapshot(side: str, reference: TableReference, table: Table) -> Snapshot:
    asked = reference.snapshot
    if reference.timestamp is not None:
        asked = latest_at(side, reference, [(entry.timestamp_ms, entry.snapshot_id) for entry in table.history()])
    found = table.current_snapshot() if asked is None else table.snapshot_by_id(asked)
    if found is None:
        known = ", ".join(str(snapshot.snapshot_id) for snapshot in table.snapshots()[-5:])
        expected = "a table with a snapshot" if asked is None else f"snapshot {asked}"
        got = f"the last snapshots are {known}" if known else "no snapshot"
        raise InputError(Problem(f"{side} table {reference}", expected, got, f"check {side}.snapshot"))
    return found


def _schema(reference: TableReference, table: Table, snapshot: Snapshot, schema_id: int | None) -> Schema:
    """Return the columns of a state: those of its time if it is asked for, else those that the table has now.

    A change of columns makes no snapshot. By the latest one, a column would be read that was dropped or renamed since.
    """
    asked = reference.snapshot is not None or reference.timestamp is not None
    chosen = schema_id if schema_id in table.schemas() else snapshot.schema_id if asked else None
    return table.schema() if chosen is None else table.schemas()[chosen]


def _is_live(manifest: Any) -> bool:
    """Return whether a manifest has files that count; True if it does not say."""
    counts = (manifest.added_files_count, manifest.existing_files_count)
    return None in counts or sum(counts) > 0


def _changed_columns(table: Table, schema: Schema, files: tuple[str, ...]) -> str:
    """Return why reading a column by its name would give another column, or an empty text."""
    names = table.name_mapping()
    if len(table.schemas()) == 1 and schema.schema_id == 0 and names is None:
        return ""  # the columns never changed, and all files were written for this table
    by_id = {field.field_id: field.name for field in schema.fields}
    partitioned = {
        field.source_id for spec in table.specs().values() for field in spec.fields if _is_identity(field.transform)
    }
    check = partial(_changed_in_file, table=table, by_id=by_id, names=names, partitioned=partitioned)
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        return next((problem for problem in pool.map(check, files) if problem), "")


def _changed_in_file(
    path: str, table: Table, by_id: dict[int, str], names: NameMapping | None, partitioned: set[int]
) -> str:
    with table.io.new_input(path).open() as file:
        stored = pq.read_schema(file)
    told = {field.name: (field.metadata or {}).get(FIELD_ID) for field in stored}
    ids = {name: int(field_id) for name, field_id in told.items() if field_id is not None}
    if not ids and names is not None:  # the file was written elsewhere and then added
        mapped = {name: known.field_id for known in names for name in known.names}
        ids = {name: field_id for name in stored.names if (field_id := mapped.get(name)) is not None}
    for field_id, name in by_id.items():
        under, own = [stored_name for stored_name, stored_id in ids.items() if stored_id == field_id], {name}
        if (written := make_compatible_name(name)) not in by_id.values():
            own.add(written)
        if any(ids.get(one) != field_id for one in own.intersection(stored.names)):
            return f"column {name!r} in {path} has another field id there, or none"
        if under and not own.issuperset(under):
            return f"column {name!r} is {under[0]!r} in {path}"
        if not under and field_id in partitioned:
            return f"column {name!r} is not in {path}, but in the partition it belongs to"
    return ""


def _is_identity(transform: Any) -> bool:
    return isinstance(transform, IdentityTransform)
