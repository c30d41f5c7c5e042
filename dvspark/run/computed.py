"""Computed: the results of all stages up to the audit, and the run record that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.engine.planning.plan import Plan
from dvspark.engine.reduce import sketch_of
from dvspark.local.session import LocalSession
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.review.result import ReviewResult
from dvspark.run.audit import Audited
from dvspark.run.finalize import Finalized
from dvspark.run.prepare import Prepared
from dvspark.run.validate import Checked
from dvspark.run.value import Valued
from dvspark.runs.kept_totals import KeptTotals
from dvspark.runs.record import run_record
from dvspark.schemas import OWNED
from dvspark.tables.sources.rows import Rows
from dvspark.tables.table_checks import Facts

if TYPE_CHECKING:
    from dvspark.local.session import Session


@dataclass(frozen=True)
class Computed:
    """Audited values and the results of the stages before; ``extremes`` and ``review`` are there if asked for."""

    checked: Checked
    plan: Plan
    prepared: Prepared
    valued: Valued
    finalized: Finalized
    audited: Audited
    extremes: pa.Table
    review: ReviewResult | None = None

    def kept_totals(self) -> KeptTotals:
        """Return the totals that a later change of this run needs."""
        totals, own, parent = self.valued.totals, self.valued.own, self.checked.parent
        before, sign = np.zeros_like(sketch_of(totals)), 1
        if parent is not None:
            before, sign = sketch_of(parent.kept.totals), parent.sign
        return KeptTotals(totals, own.chunks, own.n_chunks, before, sign)

    def record(self, outputs: dict[str, str], stages: Stages, session: Session) -> dict[str, Any]:
        """Return the run record."""
        checked, inputs = self.checked, self.checked.inputs
        parent = checked.parent
        record = run_record(
            run_id=checked.run_id,
            fingerprint=checked.fingerprint,
            options=checked.options,
            parameters=self.prepared.work.parameters.plain(),
            ranking=checked.ranking,
            error_bound=self.finalized.error_bound,
            inputs=_inputs_record(checked, self.valued.n_validation) | self._owned_record(),
            parent=parent.described(inputs.validation_facts.n_rows) if parent else None,
            plan=self.plan.record(),
            stages=stages.record(),
            release=self.prepared.release,
            findings=self.audited.findings,
            warnings=inputs.warnings,
            outputs=outputs,
            spark_version=None if isinstance(session, LocalSession) else session.version,
        )
        record |= {} if self.valued.shared is None else self.valued.shared.record()
        record |= self._groups_record()
        return record if self.review is None else {**record, "review": self.review.record()}

    def _groups_record(self) -> dict[str, Any]:
        """Return by what validation rows were told apart, and what each task's sum to, if they were."""
        groups = self.checked.groups
        if groups is None:
            return {}
        record: dict[str, Any] = {"groups": {"by": list(groups.columns), "n_groups": len(groups.members)}}
        tasks = [
            {"task": of.task, "n_validation": of.totals.n_validation, "weight": of.weight}
            for of in self.valued.own.by_task
        ]
        return {**record, "tasks": tasks} if tasks else record

    def _owned_record(self) -> dict[str, int]:
        """Return how many of the training rows are owned, where some may be."""
        if OWNED.name not in self.checked.options.asks:
            return {}
        return {"n_owned": len(self.finalized.values) - len(self.finalized.table)}


def _inputs_record(checked: Checked, n_validation: int) -> dict[str, Any]:
    inputs = checked.inputs
    n_classes, absent_labels = inputs.n_classes, inputs.absent_labels
    if checked.parent is not None:
        n_classes, absent_labels = checked.parent.classes(inputs)
    return {
        "train": _side_record(inputs.train, inputs.train_facts),
        "validation": _side_record(inputs.validation, inputs.validation_facts),
        "n_features": inputs.n_features,
        **_classes_record(n_classes, checked.options),
        "absent_labels": absent_labels,
        "n_validation": n_validation,
    }


def _classes_record(n_classes: int, options: ValueOptions) -> dict[str, Any]:
    if options.target == "number":
        return {"n_classes": None, "n_classes_source": "none: labels are numbers to predict"}
    if options.parameters.get("n_classes") is not None:
        return {"n_classes": n_classes, "n_classes_source": "given"}
    tables = "validation" if options.declaration.is_private else "train and validation"
    return {"n_classes": n_classes, "n_classes_source": f"distinct labels in {tables}"}


def _side_record(rows: Rows, facts: Facts) -> dict[str, Any]:
    counts = {"n_rows": facts.n_rows, "n_rejected": facts.n_rejected, "n_labels": len(facts.labels)}
    return {"reference": rows.reference, **rows.source, **counts, "types": rows.types, "digest": facts.digest}
