"""Output: the folder of results, what a run has published there already, and what only unpublished runs need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dvspark import report
from dvspark.errors import ComputeError, ConfigError, OutputConflictError, Problem
from dvspark.logs import log_event
from dvspark.run.request import Delivery
from dvspark.run.validate import Checked
from dvspark.runs import tracking
from dvspark.runs.latest import repair_latest
from dvspark.runs.leases import held
from dvspark.runs.private import kept_record
from dvspark.spark.exhausted import ran_out
from dvspark.tables.sinks.places import require_reachable, require_values
from dvspark.tables.sinks.values_commits import RunKey, ValuesTable, new_columns
from dvspark.tables.sinks.write import refuse_conflict, remove_left_over
from dvspark.tables.sources.one_column import require_column
from dvspark.tables.storage import Storage, folder_problems, open_storage

if TYPE_CHECKING:
    from dvspark.local.session import Session


@contextmanager
def open_output(output: str, work_dir: str | None, budget: str | None) -> Iterator[Storage]:
    """Yield the folder of results, ``output``; the run needs the other two folders as well, where they are given.

    Raises: ConfigError with all places in which nothing can be kept, before hours of work; ComputeError where one of
    them, or a folder of this machine, takes no more.
    """
    if problems := folder_problems(output=output, work_dir=work_dir, budget=budget):
        raise ConfigError(problems)
    storage = open_storage(output)
    try:
        yield storage
    except OSError as error:
        if (exhausted := ran_out(error)) is not None:
            raise exhausted from error
        hint = "choose another output or work_dir; started again, the run goes on after its last wave"
        raise ComputeError(Problem("writing", "storage that takes what is written", str(error), hint)) from error


def require_packages(delivery: Delivery) -> None:
    """Refuse a delivery whose packages are not installed, or whose report is to show a column that is not there.

    Raises: ConfigError, InputError.
    """
    if delivery.shown is not None:
        require_column("train", delivery.shown.reference, delivery.shown.name)
    if delivery.report:
        report.require_packages()
    if delivery.mlflow:
        tracking.require_mlflow()


def already_published(
    checked: Checked, delivery: Delivery, storage: Storage, session: Session
) -> dict[str, Any] | None:
    """Return the record of the same run if it and its values are published; None otherwise, or by force.

    Raises: OutputConflictError if another run is published here, or the values are not there as published.
    """
    run_id, is_private = checked.run_id, checked.secret is not None
    if delivery.force:
        return None
    published = refuse_conflict(storage, run_id, checked.fingerprint, is_private=is_private)
    if published is not None:
        whole = kept_record(storage, run_id, checked.fingerprint) if is_private else published
        told = {**published, "values_sha256": whole["values_sha256"]}
        require_values(storage, session, told, delivery.place, checked.schema)
        log_event(f"already done: {run_id} is published", run_id=run_id)
    return published


def published_before(checked: Checked, delivery: Delivery, storage: Storage, session: Session) -> dict[str, Any] | None:
    """Return what `already_published` does, for a run that this process does not hold, and put in order what it left.

    Raises: OutputConflictError as `already_published` does, or if another process works on the run.
    """
    try:
        published = already_published(checked, delivery, storage, session)
    except OutputConflictError:  # or another process is just replacing what is published
        with held(storage, checked.run_id):
            published = already_published(checked, delivery, storage, session)
    if published is not None:
        with suppress(OutputConflictError), held(storage, checked.run_id):
            repair_latest(storage, published)
            clear(checked, storage)
    return published


def destination_of(checked: Checked, delivery: Delivery, storage: Storage, session: Session) -> ValuesTable | None:
    """Return the table that values go to, or None for a folder. Conflicts should show before hours of work.

    Raises: OutputConflictError.
    """
    place = delivery.place
    destination = place.opened(storage, session)
    if destination is not None:
        new_columns(destination, checked.schema)
    require_reachable(storage, session, RunKey(checked.run_id, checked.fingerprint), place, force=delivery.force)
    return destination


def clear(checked: Checked, storage: Storage) -> None:
    """Remove what only a run that is not yet published needs."""
    checked.ledger(storage).remove()
    storage.remove_empty("ledger")
    remove_left_over(storage, checked.run_id)
