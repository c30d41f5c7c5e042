"""Audit: values, totals and a few points become findings. If one finding fails, nothing is published."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.audit import checks
from dvspark.engine.engines import Index
from dvspark.logs import Stages
from dvspark.run.change.change import Parent
from dvspark.run.checks.findings import run_findings
from dvspark.run.checks.spot_checks import earlier_waves_findings, parent_findings
from dvspark.run.prepare import Prepared
from dvspark.run.value import Valued
from dvspark.schemas import Finding, Float64s


@dataclass(frozen=True)
class Audited:
    """The findings of a run's audit, none of which fails."""

    findings: list[Finding]


def audit_values(
    values: Float64s,
    valued: Valued,
    prepared: Prepared,
    index: Index,
    parent: Parent | None,
    stages: Stages,
) -> Audited:
    """Return the findings about the values that the totals gave. Raises: AuditError if one of them fails."""
    rows, work = prepared.validation_rows, prepared.work
    with stages.stage("audit") as now:
        if valued.shared is not None:
            findings = valued.shared.findings(values)
        else:
            findings = run_findings(rows, index, work, valued.own, valued.totals, values)
            findings += earlier_waves_findings(rows, index, work, valued.own)
        if parent is not None:
            findings += parent_findings(parent, index, work)
        now.note = f"{checks.verdict(findings)}: {', '.join(f.name for f in findings)}"
    checks.require(findings, work.options)
    return Audited(findings)
