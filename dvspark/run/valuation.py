"""A valuation on its way: what is asked, and what each stage has added so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.engine import tasks
from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.engine.planning.plan import Plan
from dvspark.engine.reduce import sketch_of
from dvspark.methods.kinds.sums import SettledGame
from dvspark.methods.options import ValueOptions
from dvspark.privacy import Release
from dvspark.run.change import Parent
from dvspark.run.spot_checks import Summed
from dvspark.runs.files import Files
from dvspark.runs.kept_totals import KeptTotals
from dvspark.runs.ledger import Ledger
from dvspark.runs.record import run_record
from dvspark.schemas import Finding, Partial
from dvspark.tables.sinks.values_tables import values_schema
from dvspark.tables.sources.read import Rows
from dvspark.tables.validate import Facts, ValidatedInputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Request:
    """What is asked for besides the tables; see `dvspark.config.job.JobConfig` for each."""

    options: ValueOptions
    on_bad_row: str = "fail"
    chunk_rows: int = CHUNK_ROWS
    run_id: str | None = None
    work_dir: str | None = None
    plan: str = "auto"
    host_memory: str | None = None
    extremes: bool = True
    to_owners: bool = False


@dataclass
class Valuation:
    """A valuation on its way: what each stage has added so far.

    ``secret``: of a private run, the fingerprint that tells its table, which is never shown; `fingerprint` is random.
    """

    request: Request
    inputs: ValidatedInputs
    parameters: dict[str, Any]
    fingerprint: str
    run_id: str
    stages: list[dict[str, Any]]
    plan: Plan | None = None
    error_bound: float = 0.0
    values: pa.Table | None = None
    extremes: pa.Table = field(default_factory=lambda: pa.table({}))
    findings: list[Finding] = field(default_factory=list)
    totals: Partial | None = None
    own: Summed | None = None
    parent: Parent | None = None
    validation_rows: DataFrame | None = None
    secret: str | None = None
    release: Release | None = None
    sample_key: bytes | None = None
    settled: SettledGame | None = None

    def ledger(self, files: Files) -> Ledger:
        """Return the run's ledger."""
        return Ledger(files, self.run_id, self.fingerprint)

    @property
    def ranking(self) -> str | None:
        """How rows are ranked, sorted or binned; None where the method needs no ranking of all of them."""
        options = self.request.options
        return options.ranking_for(self.inputs.train_facts.n_rows) if options.declaration.ranks else None

    @property
    def work(self) -> tasks.ChunkWork:
        """What tasks must know."""
        return tasks.ChunkWork(self.request.options, self.parameters, self.sample_key, self.settled)

    @property
    def may_change(self) -> bool:
        """Whether rows may be added or removed later: a release is not changed, and totals tell of all its values."""
        options = self.request.options
        return options.declaration.adds_up and not (options.self_validation or options.declaration.is_private)

    @property
    def summed(self) -> Partial:
        """The totals over all validation rows, once they are computed."""
        if self.totals is None:
            raise RuntimeError("compute() comes first")
        return self.totals

    def kept_totals(self) -> KeptTotals:
        """Return what a change of this run needs of its totals, once they are computed."""
        if self.own is None:
            raise RuntimeError("compute() comes first")
        before, sign = np.zeros_like(sketch_of(self.summed)), 1
        if self.parent is not None:
            before, sign = sketch_of(self.parent.kept.totals), self.parent.sign
        return KeptTotals(self.summed, self.own.chunks, self.own.n_chunks, before, sign)

    @property
    def table(self) -> pa.Table:
        """The values, once they are computed."""
        if self.values is None:
            raise RuntimeError("compute() comes first")
        return self.values

    @property
    def types(self) -> dict[str, str]:
        """The Spark types of the values' id, label and owner."""
        types = self.inputs.train.types
        return types if self.request.options.declaration.players == "rows" else {**types, "id": types["owner"]}

    @property
    def schema(self) -> pa.Schema:
        """The columns of the values, with their meanings."""
        options, types = self.request.options, dict(self.types)
        if options.declaration.players != "rows":
            types.pop("owner", None)  # they are the ids
        return values_schema(types, row_bounds=options.error_bound)

    def record(self, outputs: dict[str, str], spark_version: str) -> dict[str, Any]:
        """Return the run record."""
        train, validation = self.inputs.train, self.inputs.validation
        n_classes, absent_labels = self.inputs.n_classes, self.inputs.absent_labels
        if self.parent is not None:
            n_classes, absent_labels = self.parent.classes(self.inputs)
        return run_record(
            run_id=self.run_id,
            fingerprint=self.fingerprint,
            options=self.request.options,
            parameters=self.parameters,
            ranking=self.ranking,
            error_bound=self.error_bound,
            inputs={
                "train": _side_record(train, self.inputs.train_facts),
                "validation": _side_record(validation, self.inputs.validation_facts),
                "n_features": self.inputs.n_features,
                **_classes_record(n_classes, self.request.options),
                "absent_labels": absent_labels,
                "n_validation": self.totals.n_validation if self.totals else 0,
            },
            parent=self.parent.described(self.inputs.validation_facts.n_rows) if self.parent else None,
            plan=self.plan.record() if self.plan else {},
            stages=self.stages,
            release=self.release,
            findings=self.findings,
            warnings=self.inputs.warnings,
            outputs=outputs,
            spark_version=spark_version,
        )


def _classes_record(n_classes: int, options: ValueOptions) -> dict[str, Any]:
    if options.declaration.target == "number":
        return {"n_classes": None, "n_classes_source": "none: labels are numbers to predict"}
    if options.parameters.get("n_classes") is not None:
        return {"n_classes": n_classes, "n_classes_source": "given"}
    tables = "validation" if options.declaration.is_private else "train and validation"
    return {"n_classes": n_classes, "n_classes_source": f"distinct labels in {tables}"}


def _side_record(rows: Rows, facts: Facts) -> dict[str, Any]:
    counts = {"n_rows": facts.n_rows, "n_rejected": facts.n_rejected, "n_labels": len(facts.labels)}
    return {"reference": rows.reference, **rows.source, **counts, "types": rows.types, "digest": facts.digest}
