"""Output: where a run's results go, what is there already, and what only unpublished runs need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dvspark.logs import log_event
from dvspark.run.validate import Checked
from dvspark.runs.latest import repair_latest
from dvspark.runs.private import kept_record
from dvspark.tables.sinks.places import Place, require_reachable, require_values
from dvspark.tables.sinks.values_tables import RunKey, ValuesTable, new_columns
from dvspark.tables.sinks.write import refuse_conflict, remove_left_over
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from dvspark.local.session import Session


@dataclass(frozen=True)
class Output:
    """Where results go: values to ``place``, or to a folder for each owner if ``to_owners``; a ``report``, or none.

    ``force``: what the run id has published before is replaced. ``mlflow``: the run is also logged to MLflow.
    """

    storage: Storage
    session: Session
    place: Place
    force: bool
    to_owners: bool
    report: bool
    mlflow: bool

    def already(self, checked: Checked) -> dict[str, Any] | None:
        """Return the record of the same run if it and its values are published; None otherwise, or with ``force``.

        Raises: OutputConflictError if another run is published here, or the values are not there as published.
        """
        run_id, is_private = checked.run_id, checked.secret is not None
        if self.force:
            return None
        published = refuse_conflict(self.storage, run_id, checked.fingerprint, is_private=is_private)
        if published is not None:
            whole = kept_record(self.storage, run_id, checked.fingerprint) if is_private else published
            told = {**published, "values_sha256": whole["values_sha256"]}
            require_values(self.storage, self.session, told, self.place, checked.schema)
            repair_latest(self.storage, published)
            log_event(f"already done: {run_id} is published", run_id=run_id)
        return published

    def destination(self, checked: Checked) -> ValuesTable | None:
        """Return the table that values go to, or None for a folder. Conflicts should show before hours of work.

        Raises: OutputConflictError.
        """
        destination = self.place.opened(self.storage, self.session)
        if destination is not None:
            new_columns(destination, checked.schema)
        run = RunKey(checked.run_id, checked.fingerprint)
        require_reachable(self.storage, self.session, run, self.place, force=self.force)
        return destination

    def clear(self, checked: Checked) -> None:
        """Remove what only a run that is not yet published needs."""
        checked.ledger(self.storage).remove()
        self.storage.remove_empty("ledger")
        remove_left_over(self.storage, checked.run_id)
