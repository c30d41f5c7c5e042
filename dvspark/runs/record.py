"""The run record: inputs, options, plan, seconds, findings and environment of a run."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict
from importlib import metadata
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels import loops
from dvspark.methods.options import ValueOptions
from dvspark.privacy import Release
from dvspark.schemas import EXACT, SCHEMA_VERSION, Finding
from dvspark.version import __version__

PACKAGES = ("numpy", "scipy", "pyarrow")


def run_record(
    *,
    run_id: str,
    fingerprint: str,
    options: ValueOptions,
    parameters: dict[str, Any],
    ranking: str | None,
    error_bound: float | None,
    inputs: dict[str, Any],
    plan: dict[str, Any],
    stages: list[dict[str, Any]],
    parent: dict[str, Any] | None,
    release: Release | None,
    findings: list[Finding],
    warnings: tuple[Problem, ...],
    outputs: dict[str, str],
    spark_version: str | None,
) -> dict[str, Any]:
    """Return the run record as plain data, ready for JSON; ``spark_version`` None: without Spark."""
    settings = options.record()
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "fingerprint": fingerprint,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "dvspark_version": __version__,
        "engine": "local" if spark_version is None else "spark",
        "method": {
            "name": options.method,
            "parameters": parameters,
            "reference": options.declaration.reference,
        },
        **{name: settings[name] for name in ("metric", "precision", "ties", "aggregate", "self_validation")},
        "ranking": ranking,
        "tolerance": options.tolerance,
        "error_bound": error_bound,
        "row_bounds": options.row_bounds,
        **({"by_class": True} if options.by_class else {}),
        "inputs": inputs,
        "plan": plan,
        "stages": stages,
        "parent": parent,
        "privacy": None if release is None else asdict(release),
        "findings": [asdict(finding) for finding in findings],
        "warnings": [asdict(problem) for problem in warnings],
        "outputs": outputs,
        "environment": {
            "loops": loops.name(loops.fastest()),
            "python": platform.python_version(),
            "spark": spark_version,
            "pyspark": None if spark_version is None else _version("pyspark"),
            **{name: _version(name) for name in PACKAGES},
            **({} if options.index == EXACT else {"faiss-cpu": _version("faiss-cpu")}),
            "platform": platform.platform(),
        },
    }


def _version(package: str) -> str:
    """Return the version of an installed package, or "unknown" if the package travels as a zip file."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
