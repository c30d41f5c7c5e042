"""Run records: what a published run tells of itself, as commands and metrics are given it."""

from __future__ import annotations

import math
from typing import Any

HOSTILE = 'a "quoted" \\ name\nwith # EOF and {braces="x"} 1'
SIDE = {"n_rows": 120, "n_rejected": 3}
RECORD: dict[str, Any] = {
    "run_id": "run-1",
    "created": "2026-01-02T03:04:05Z",
    "fingerprint": "f" * 64,
    "dvspark_version": "1.2.3",
    "method": {"name": HOSTILE, "parameters": {"k": 5}},
    "metric": "cosine",
    "ranking": None,
    "error_bound": 1.25e-9,
    "plan": {"name": "replicated", "index_bytes": 4096},
    "inputs": {
        "train": SIDE,
        "validation": {"n_rows": 30, "n_rejected": 0},
        "n_validation": 50,
        "n_features": 7,
        "n_classes": None,
    },
    "stages": [{"stage": "read", "seconds": 0.5, "rows": None}, {"stage": "value", "seconds": 2.0, "rows": 30}],
    "findings": [
        {"name": "finite", "verdict": "pass", "measured": 0.0, "allowed": 0.0},
        {"name": "recall", "verdict": "warn", "measured": math.nan, "allowed": math.inf},
    ],
}

TABLE = {"reference": "t", "n_rows": 12_345, "n_rejected": 0, "n_labels": 2}
PUBLISHED: dict[str, Any] = {
    "run_id": "knn_shapley-0123",
    "method": {"name": "knn_shapley", "parameters": {"k": 10}},
    "inputs": {"train": TABLE, "validation": {**TABLE, "n_rows": 678}, "n_validation": 678},
    "findings": [{"name": "efficiency", "verdict": "pass", "measured": 1e-17, "allowed": 1e-9, "meaning": "sum"}],
    "outputs": {"values": "o/values/run_id=knn_shapley-0123"},
    "plan": {"name": "replicated"},
}
