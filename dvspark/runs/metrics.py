"""Metrics: a run in a text that is valid both in the format of Prometheus and in OpenMetrics."""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from dvspark.schemas.finding import VERDICTS

Samples = Iterable[tuple[Mapping[str, Any], Any]]


def run_metrics(record: Mapping[str, Any]) -> str:
    """Return the metrics of a run from its record: gauges named ``dvspark_…``, all with the label ``run_id``.

    The text follows the exposition format 0.0.4. Its last line ends it for OpenMetrics 1.0, and is a comment for
    Prometheus. Anything that the record does not have is left out.
    """
    inputs, method, plan = record["inputs"], record["method"]["name"], record["plan"]
    findings = record["findings"]
    info = {"method": method, "metric": record["metric"], "ranking": record["ranking"], "plan": plan.get("name")}
    info |= {"version": record["dvspark_version"], "fingerprint": record["fingerprint"]}
    sides = [(side, inputs[side]) for side in ("train", "validation")]
    n_rows, n_rejected = ([({"side": s}, t.get(n)) for s, t in sides] for n in ("n_rows", "n_rejected"))
    created = calendar.timegm(time.strptime(record["created"], "%Y-%m-%dT%H:%M:%SZ"))
    families: list[tuple[str, str, Samples]] = [
        ("run_info", "what ran; always 1", [(info, 1)]),
        ("run_created_timestamp_seconds", "when the run record was written", [({}, created)]),
        (
            "rows",
            "rows of each table that were valued, or valued by",
            n_rows,
        ),
        ("rejected_rows", "rows of each table set aside", n_rejected),
        ("validation_points", "validation rows the values rest on", [({}, inputs["n_validation"])]),
        ("evaluations", "sets whose worth was asked for", [({}, record.get("game", {}).get("n_evaluations"))]),
        ("features", "length of an embedding", [({}, inputs["n_features"])]),
        ("classes", "distinct labels", [({}, inputs["n_classes"])]),
        ("stage_seconds", "wall time of each stage", [({"stage": s["stage"]}, s["seconds"]) for s in record["stages"]]),
        ("index_bytes", "size of the training index, as planned", [({}, plan.get("index_bytes"))]),
        ("error_bound", "how far any value may be from the exact one", [({}, record["error_bound"])]),
        (
            "finding_measured",
            "what a check of the audit saw",
            [({"finding": f["name"]}, f["measured"]) for f in findings],
        ),
        ("finding_allowed", "what it allows", [({"finding": f["name"]}, f["allowed"]) for f in findings]),
        (
            "finding_verdict",
            "1 for the verdict of each check, 0 for the others",
            [({"finding": f["name"], "verdict": v}, int(f["verdict"] == v)) for f in findings for v in VERDICTS],
        ),
    ]
    lines = [line for family in families for line in _family(*family, record["run_id"])]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _family(name: str, meaning: str, samples: Samples, run_id: str) -> Iterable[str]:
    known = [(labels, value) for labels, value in samples if value is not None]
    if known:
        yield f"# HELP dvspark_{name} {meaning}"
        yield f"# TYPE dvspark_{name} gauge"
    for labels, value in known:
        given = {"run_id": run_id, **{label: text for label, text in labels.items() if text is not None}}
        pairs = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in given.items())
        yield f"dvspark_{name}{{{pairs}}} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else f"{'+' if value > 0 else '-'}Inf"
