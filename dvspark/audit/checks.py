"""Checks: the efficiency axiom over all points, and a sample of points against an independent reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dvspark.errors import AuditError, Problem
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Finding, Float64s, Partial
from dvspark.schemas.finding import Verdict, worst_verdict

# In proportion to the size: sums of N float64 values keep 12 digits at N = 10 million.
EFFICIENCY_TOLERANCE = 1e-9

# Rounding error of a value, in proportion to the size.
ROUNDING = 1e-12

AGAIN = "nothing was published; run it again, and if it stays, report it with the run's log"
IN_FLOAT64 = "nothing was published; precision: float64 compares all rows exactly, in more time; report what stays"

# Relative, so for both precisions: of another processor, whose float32 products may order far rows otherwise. Other
# options, such as k = 6 for 5, differ by a hundredth and more.
TAKEN_OVER_TOLERANCE = 1e-6


def check_efficiency(values: Float64s, totals: Partial, aggregate: str) -> Finding:
    """Return whether the values sum to U(N) - U(∅), as the efficiency axiom demands.

    The utilities are counted from labels of nearest rows, and never computed from the values. Rounding is in proportion
    to the size of the terms of the values.
    """
    scale = totals.n_validation if aggregate == "mean" else 1
    full, empty, size = (part / scale for part in (totals.utility, totals.empty_utility, totals.size))
    gap = abs(float(np.sum(values)) - (full - empty))
    allowed = EFFICIENCY_TOLERANCE * max(size, abs(full), abs(empty))
    meaning = f"sum of values against U(N) - U(∅) = {full:.9g} - {empty:.9g}"
    return finding("efficiency", gap, allowed, meaning)


def check_sample(engine: Partial, reference: Partial, own_error: float = 0.0) -> Finding:
    """Return whether a sample of points, valued by the engine, agrees with the reference within the certificates.

    Both partials are over the same points. The largest difference of a mean value is compared with the points'
    certificates. ``own_error`` is the part of these that belongs to the method itself, which the reference shares.
    """
    n = max(reference.n_validation, 1)
    size = reference.size / n
    gap = float(np.max(np.abs(engine.value - reference.value))) / n
    points = f"{reference.n_validation} validation point{'s' * (reference.n_validation != 1)}"
    meaning = f"largest difference to the float64 reference over {points}"
    if engine.n_validation != reference.n_validation:
        gap, meaning = np.inf, f"engine valued {engine.n_validation} of {reference.n_validation} sampled points"
    certified = max(engine.error_bound / n - own_error, 0.0)
    return finding("sample", gap, ROUNDING * size + certified, meaning)


def check_arrival(found: str, arrived: str) -> Finding:
    """Return whether the sums of a point arrived here as its task found them; both are sha256 of the sums."""
    meaning = "sums of one point that arrived otherwise than its task has found them"
    return finding("sample", float(found != arrived), 0.0, meaning)


def worst(findings: Sequence[Finding]) -> Finding:
    """Return the finding of one check that failed, or that came nearest to failing."""
    failed = [finding for finding in findings if finding.verdict == "fail"]
    found = max(failed or findings, key=lambda one: one.measured / max(one.allowed, np.finfo(float).tiny))
    return replace(found, meaning=f"{found.meaning}, the worst of {len(findings)}")


def check_taken_over(name: str, apart: float, what: str) -> Finding:
    """Return whether what a run takes over is what it would have computed; ``apart`` as in `sketch.distance`."""
    return finding(name, apart, TAKEN_OVER_TOLERANCE, f"largest difference, relative, to {what}")


def check_finite(values: Float64s) -> Finding:
    """Return whether every value is a finite number."""
    bad = int(np.count_nonzero(~np.isfinite(values)))
    return finding("finite", float(bad), 0.0, "values that are NaN or infinite")


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict over all findings: fail if one fails, else warn if one warns, else pass."""
    return worst_verdict(finding.verdict for finding in findings)


def require(findings: Sequence[Finding], options: ValueOptions) -> None:
    """Raise AuditError naming every finding that failed."""
    failed = [
        Problem(
            f"audit: {f.name}",
            f"at most {f.allowed:g}",
            f"{f.measured:g}: {f.meaning} ({options.method})",
            AGAIN if f.name != "sample" or options.has_exact_keys else IN_FLOAT64,
        )
        for f in findings
        if f.verdict == "fail"
    ]
    if failed:
        raise AuditError(failed)


def finding(name: str, measured: float, allowed: float, meaning: str) -> Finding:
    """Return a finding with its verdict: ``measured`` against ``allowed``."""
    # Written so that NaN fails, and infinity against an infinite allowance too.
    passed = np.isfinite(measured) and measured <= allowed
    return Finding(name, "pass" if passed else "fail", measured, allowed, meaning)
