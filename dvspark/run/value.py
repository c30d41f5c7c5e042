"""Value: the index and chunks of validation rows become partials, and these become totals."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.engine.engines import Index
from dvspark.kernels import loops
from dvspark.logs import Stages
from dvspark.run.change.change import Parent
from dvspark.run.checks.spot_checks import Summed
from dvspark.run.kinds.shared_game import SharedValues
from dvspark.run.prepare import Prepared
from dvspark.run.totals import add_up
from dvspark.runs.ledger import Ledger
from dvspark.schemas import Partial


@dataclass(frozen=True)
class Valued:
    """Totals over this run's ``own`` validation rows, and over all rows on which its values rest.

    ``shared``: what is known besides of values of one game that all validation rows share.
    """

    own: Summed
    totals: Partial
    n_validation: int
    shared: SharedValues | None = None


def value_rows(
    prepared: Prepared,
    index: Index,
    ledger: Ledger | None,
    parent: Parent | None,
    ranking: str | None,
    stages: Stages,
) -> Valued:
    """Return the totals. Each wave is committed to the ledger, if there is one. Raises: ComputeError."""
    work = prepared.work
    with stages.stage("value") as now:
        if prepared.shared is not None:
            shared = prepared.shared.value(ledger, now)
            now.rows, now.note = shared.n_validation, shared.note
            own = Summed(shared.totals, prepared.n_chunks)
            return Valued(own, shared.totals, shared.n_validation, shared)
        own = add_up(prepared.validation_rows, prepared.n_chunks, index, work, ledger, now, prepared.groups)
        now.rows = own.totals.n_validation
        totals = own.totals if parent is None else parent.changed(own.totals)
        how = f"{ranking} ranking" if ranking else work.options.declaration.kind
        now.note = f"{how}, loops in {loops.name(loops.fastest())}"
    return Valued(own, totals, totals.n_validation)
