"""Places: where the rows of a run may lie. They are written down first, so that no row outlives its run.

runs/RUN_ID/run.json           the record of what is published; it names the place of the values
runs/RUN_ID/publishing.json    while there is no record: places that a publication may have reached before it ended
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.errors import OutputConflictError, Problem, taken_run_id
from dvspark.runs.documents import json_object, sealed, unsealed
from dvspark.runs.files import read_if_there
from dvspark.tables.sinks.contents import by_task_digest, folder_rows, review_digest, values_digest
from dvspark.tables.sinks.values_commits import RunKey, ValuesTable, remove_values
from dvspark.tables.sinks.values_tables import values_destination, values_kind
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from dvspark.local.session import Session

PUBLISHING = "publishing.json"
TO_DO = "choose another run_id or output, or pass --force to publish it again"


@dataclass(frozen=True)
class Place:
    """Where the values of a run go, as the settings in `output` say: a format, and maybe the name of a table."""

    format: str = "parquet"
    table: str | None = None

    def opened(self, storage: Storage, session: Session) -> ValuesTable | None:
        """Return the place as a table that commits, or None for folders of files. Raises as `values_destination`."""
        return values_destination(storage, session, self.format, self.table)


def run_places(storage: Storage, run_id: str) -> set[Place]:
    """Return where rows of a run id may lie: where its record says, or else where a publication meant to put them."""
    if (published := read_if_there(storage, f"runs/{run_id}/run.json")) is not None:
        record = json_object(published)
        return set() if record is None or (place := recorded_place(record)) is None else {place}
    told = unsealed(read_if_there(storage, f"runs/{run_id}/{PUBLISHING}") or b"")
    return set() if told is None or told["run_id"] != run_id else {Place(**place) for place in told["places"]}


def recorded_place(record: dict[str, Any]) -> Place | None:
    """Return where a run record says that the values are, or None if it does not say."""
    try:
        output = record["configuration"]["output"]
        return Place(output.get("format") or "parquet", output.get("table"))
    except (KeyError, TypeError, AttributeError):
        return None


def announce(storage: Storage, run_id: str, places: set[Place]) -> None:
    """Write down where rows of a run may lie from now on."""
    told = sorted((asdict(place) for place in places), key=str)
    name = f"runs/{run_id}/{PUBLISHING}"
    storage.write(f"{name}.staged", sealed({"run_id": run_id, "places": told}))
    storage.rename(f"{name}.staged", name)


def begin(storage: Storage, session: Session, run_id: str, own: Place) -> None:
    """Turn what a run id has published into nothing published.

    The process may die after each of these steps:
    1. Write down where rows of the run may lie: its own place and former ones.
    2. Remove the record. From here on everything else counts as never published.
    3. Remove the rows that lie in tables other than the run's own; a commit to its own table does not replace those.
    Raises: ConfigError, OutputConflictError for a table that cannot be opened.
    """
    own.opened(storage, session)  # another run may have made a table of the folder since, or a folder of the table
    places = run_places(storage, run_id) | {own}
    announce(storage, run_id, places)
    storage.remove_file(f"runs/{run_id}/run.json")
    for table in _tables(storage, session, places - {own}).values():
        remove_values(table, run_id)


def _tables(storage: Storage, session: Session, places: set[Place]) -> dict[Place, ValuesTable]:
    """Return the places that are tables which commit; folders of files are replaced as folders."""
    is_delta = values_kind(storage) == "delta"
    commits = [place for place in places if place.table is not None or (is_delta and place.format == "delta")]
    opened = ((place, place.opened(storage, session)) for place in sorted(commits, key=str))
    return {place: table for place, table in opened if table is not None}


def require_reachable(storage: Storage, session: Session, run: RunKey, own: Place, *, force: bool) -> None:
    """Refuse, before anything is computed, places that publishing could not clear, or where others have such rows.

    Raises: OutputConflictError if rows of that run id are not known to belong to this output folder, or are to be
    replaced in a table that lets none go; and whatever `values_destination` raises for a former table that cannot be
    opened.
    """
    places = run_places(storage, run.run_id)
    for place, table in _tables(storage, session, places | {own}).items():
        if table.columns() is not None:
            table.require_takes(run.run_id, replaces=force or place != own)
    if own.table is None or own in places or force:
        return
    named = own.opened(storage, session)
    if named is not None and named.columns() is not None and len(named.rows(run.run_id)):
        by = named.written_by(run.run_id)
        if by != run.fingerprint:
            got = f"rows that {storage.uri} knows nothing of, of fingerprint {(by or 'unknown')[:12]}"
            hint = "choose another run_id or table; --force puts this run's rows in their place"
            raise taken_run_id(f"{own.table}: run_id {run.run_id}", run.fingerprint, got, hint)


def require_values(storage: Storage, session: Session, record: dict[str, Any], own: Place, schema: pa.Schema) -> None:
    """Refuse a published run whose values are not where they are asked for, or are not those that it published.

    So for its review and its values by task, if it has some.
    Raises: OutputConflictError.
    """
    run_id, place = record["run_id"], recorded_place(record)
    if place != own:
        got = "a record without its place" if place is None else _told(place)
        raise OutputConflictError(Problem(f"{storage.uri}: run_id {run_id}", f"values as {_told(own)}", got, TO_DO))
    published_rows(storage, place.opened(storage, session), record, schema, TO_DO)
    published_review(storage, record, TO_DO)
    published_by_task(storage, record, TO_DO)


def published_rows(
    storage: Storage, table: ValuesTable | None, record: dict[str, Any], schema: pa.Schema, to_do: str
) -> pa.Table:
    """Return the rows of a published run as a reader finds them in its ``table``, None for the folder of the run.

    Raises: OutputConflictError, with what ``to_do``, when they are not those that the run has published.
    """
    run_id = record["run_id"]
    where = storage.shown_path(f"values/run_id={run_id}") if table is None else f"{table.place}: run_id {run_id}"

    def found() -> pa.Table:
        if table is None:
            return folder_rows(storage, f"values/run_id={run_id}", schema)
        return table.rows(run_id) if table.columns() is not None else pa.table({})

    def digest(rows: pa.Table) -> str:
        return values_digest(run_id, rows, schema)

    return _as_published(where, found, digest, "values", record["values_sha256"], to_do)


def published_review(storage: Storage, record: dict[str, Any], to_do: str) -> pa.Table | None:
    """Return the review of a published run as a reader finds it, None for a run that was not reviewed.

    Raises: OutputConflictError, with what ``to_do``, when it is not the one that the run has published.
    """
    return _published_beside("review", storage, record, review_digest, "review", to_do)


def published_by_task(storage: Storage, record: dict[str, Any], to_do: str) -> pa.Table | None:
    """Return the values by task of a published run as a reader finds them, None for a run without tasks.

    Raises: OutputConflictError, with what ``to_do``, when they are not those that the run has published.
    """
    return _published_beside("by_task", storage, record, by_task_digest, "values by task", to_do)


def _published_beside(
    name: str,
    storage: Storage,
    record: dict[str, Any],
    digest: Callable[[str, pa.Table], str],
    what: str,
    to_do: str,
) -> pa.Table | None:
    """Return a table that a run publishes beside its values, None where it has published none of that name."""
    if name not in record["outputs"]:
        return None
    folder, sha256 = f"{name}/run_id={record['run_id']}", record.get(f"{name}_sha256", "")
    find = partial(folder_rows, storage, folder, None)
    return _as_published(storage.shown_path(folder), find, partial(digest, record["run_id"]), what, sha256, to_do)


def _as_published(
    where: str, find: Callable[[], pa.Table], digest: Callable[[pa.Table], str], what: str, sha256: str, to_do: str
) -> pa.Table:
    """Return the rows that are found if they have the ``sha256`` of what a run has published, else raise."""
    found = pa.table({})
    try:
        found = find()
        got, same = f"{len(found)} rows, or others of as many", digest(found) == sha256
    except (OSError, KeyError, pa.ArrowException) as error:
        same, got = False, f"what cannot be read as such: {str(error).splitlines()[0] if str(error) else 'nothing'}"
    if not same:
        raise OutputConflictError(Problem(where, f"the {what} that it has published, sha256 {sha256[:12]}", got, to_do))
    return found


def _told(place: Place) -> str:
    return place.format if place.table is None else f"table {place.table}, format {place.format}"
