"""Publish: tables, record and report are staged, then published once; the record last."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.logs import Stages
from dvspark.logs.redact import redacted_tree
from dvspark.run.change.keeping import kept_for_changes
from dvspark.run.computed import Computed
from dvspark.run.presenting.presenting import presented
from dvspark.run.request import Delivery
from dvspark.runs import tracking
from dvspark.runs.leases import Lease
from dvspark.runs.private import keep_record, public_record
from dvspark.schemas import OWNER
from dvspark.tables.sinks import write
from dvspark.tables.sinks.contents import by_task_digest, review_digest, values_digest
from dvspark.tables.sinks.places import begin
from dvspark.tables.sinks.values_commits import RunKey, ValuesTable, commit_values
from dvspark.tables.sinks.write import PRIVATE_REJECTED, Counted, counted, ranked_by_owner, typed_values
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.session import Session


def publish_results(
    computed: Computed,
    delivery: Delivery,
    destination: ValuesTable | None,
    changed: DataFrame | None,
    configuration: dict[str, Any],
    session: Session,
    storage: Storage,
    lease: Lease,
    stages: Stages,
) -> dict[str, Any]:
    """Publish the results, and return the run record. Values that go to owners are shown nowhere else.

    ``changed``: (id, row_hash) of the validation rows after a change, if this run is one.
    Raises: InputError if a table has changed meanwhile, OutputConflictError if another run published this id.
    """
    checked = computed.checked
    run_id, inputs = checked.run_id, checked.inputs
    with stages.stage("write") as now:
        now.rows, now.note = inputs.train_facts.n_rows, run_id
        for rows in (inputs.train, inputs.validation):
            rows.require_unchanged()
        table = computed.finalized.table
        values = ranked_by_owner(table) if delivery.to_owners else table
        tables, commit = _tables(computed, session, destination, values, to_owners=delivery.to_owners)
        with_report = delivery.report and not delivery.to_owners
        outputs = _outputs(computed, storage, destination, with_report=with_report)
        record = redacted_tree(
            {
                **computed.record(outputs, stages, session),
                "configuration": configuration,
            }
        )
        record = {**record, "values_sha256": values_digest(run_id, values, checked.schema)}
        if computed.finalized.by_task is not None:
            record["by_task_sha256"] = by_task_digest(run_id, computed.finalized.by_task)
        if computed.review is not None:
            record["review_sha256"] = review_digest(run_id, computed.review.table)
        if checked.secret is not None:
            keep_record(storage, run_id, record)
            record = public_record(record)
        clear = partial(begin, storage, session, run_id, delivery.place)
        with kept_for_changes(computed, changed) as kept:
            documents, record = presented(computed, {**record, **kept.told}, delivery.shown, with_report=with_report)
            documents = kept.documents | documents
            write.publish(
                storage,
                run_id,
                tables | kept.tables,
                documents,
                commit,
                clear,
                lease.require,
                force=delivery.force,
                # How long a private run writes would tell of its table.
                published=None if checked.secret is None else record["created"],
            )
        if delivery.mlflow:
            tracking.track(record, documents)
    return {**record, "stages": stages.record()}  # this one among them, which ended after the record was written


def _outputs(
    computed: Computed, storage: Storage, destination: ValuesTable | None, *, with_report: bool
) -> dict[str, str]:
    """Return where results are, in the form in which the record names them."""
    run_id, shown = computed.checked.run_id, storage.shown_path
    names = {"run": "run.json", "metrics": "metrics.prom"}
    if with_report:
        names["report"] = "report.html"
    outputs = {"values": shown(f"values/run_id={run_id}") if destination is None else destination.place}
    outputs |= {name: shown(f"runs/{run_id}/{file}") for name, file in names.items()}
    if computed.finalized.by_task is not None:
        outputs["by_task"] = shown(f"by_task/run_id={run_id}")
    if computed.review is not None:
        outputs["review"] = shown(f"review/run_id={run_id}")
    if computed.checked.inputs.rejected is not None:
        outputs["rejected"] = shown(f"{_rejected(computed)}/run_id={run_id}")
    return outputs


def _rejected(computed: Computed) -> str:
    """Return the name of the table of rejected rows."""
    return "rejected" if computed.checked.secret is None else PRIVATE_REJECTED


def _tables(
    computed: Computed, session: Session, destination: ValuesTable | None, values: pa.Table, *, to_owners: bool
) -> tuple[dict[str, pa.Table | Counted], Callable[[], None] | None]:
    """Return the tables to stage, by name, and a function that commits values to a table of their own, or None."""
    checked = computed.checked
    tables: dict[str, pa.Table | Counted] = {}
    commit: Callable[[], None] | None = None
    if destination is None:
        tables["values"] = values.drop_columns(["run_id"])  # the folder's name says it
        if to_owners:
            frame = typed_values(session, tables["values"], checked.types)
            tables["values"] = Counted(frame, len(values), by=OWNER.name)
    else:
        run = RunKey(checked.run_id, checked.fingerprint)
        commit = partial(commit_values, destination, values, checked.schema, run)
    if computed.finalized.by_task is not None:
        tables["by_task"] = computed.finalized.by_task
    if computed.review is not None:
        tables["review"] = computed.review.table
    if checked.inputs.rejected is not None:
        tables[_rejected(computed)] = counted(checked.inputs.rejected, checked.inputs.n_rejected)
    return tables, commit
