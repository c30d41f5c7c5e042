"""A small run as the report gets it: values, run record, findings and neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

FINDINGS = [
    {
        "name": "efficiency",
        "verdict": "pass",
        "measured": 3.2e-14,
        "allowed": 1e-9,
        "meaning": "sum of values equals U(N) - U(empty)",
    }
]

RUN: dict[str, Any] = {
    "schema_version": 1,
    "run_id": "knn_shapley-1a2b3c4d5e6f",
    "created": "2026-11-22T02:30:00Z",
    "dvspark_version": "0.1.0",
    "method": {
        "name": "knn_shapley",
        "parameters": {"k": 10},
        "reference": "Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637",
    },
    "metric": "cosine",
    "precision": "default",
    "ties": "id",
    "ranking": "sorted",
    "aggregate": "mean",
    "self_validation": False,
    "inputs": {
        "train": {"reference": "lake/train", "n_rows": 8000, "n_rejected": 3},
        "validation": {"reference": "lake/validation", "n_rows": 500, "n_rejected": 0},
        "n_features": 384,
        "n_classes": 58,
        "n_classes_source": "counted in train and validation",
    },
    "plan": {"name": "replicated", "reason": "it fits", "n_chunks": 8, "n_waves": 1, "index_bytes": 12345678},
    "stages": [
        {"stage": "read", "seconds": 1.0, "rows": 8500},
        {"stage": "kernel", "seconds": 3.0, "rows": 500},
    ],
    "warnings": [{"where": "train", "expected": "finite features", "got": "3 with NaN", "hint": "look there"}],
    "environment": {"python": "3.11.7", "pyspark": "4.0.1"},
    "outputs": {"values": "lake/values/run_id=knn_shapley-1a2b3c4d5e6f", "report": None},
}

NO_NEIGHBORS = pa.table(
    {
        "train_id": pa.array([], pa.string()),
        "position": pa.array([], pa.int64()),
        "validation_id": pa.array([], pa.string()),
        "validation_label": pa.array([], pa.string()),
        "distance": pa.array([], pa.float64()),
    }
)


def values_table(values: Any, labels: Any = None, ids: Any = None, errors: Any = None) -> pa.Table:
    """Return a values table; ranks as the package gives them: by falling value, then by row."""
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    rank = np.empty(len(numbers), dtype=np.int64)
    rank[np.argsort(-numbers, kind="stable")] = np.arange(1, len(numbers) + 1)
    return pa.table(
        {
            "id": ids if ids is not None else [f"row_{row}" for row in range(len(numbers))],
            "value": pa.array(values, pa.float64()),
            "standard_error": pa.array(errors if errors is not None else [1e-6] * len(numbers), pa.float64()),
            "rank": rank,
            "label": labels if labels is not None else ["cat"] * len(numbers),
        }
    )


def neighbors_table(*lines: tuple[Any, int, Any, Any, float | None]) -> pa.Table:
    """Return a neighbors table of (train id, position, validation id, validation label, distance)."""
    names = ["train_id", "position", "validation_id", "validation_label", "distance"]
    return pa.table(dict(zip(names, map(list, zip(*lines, strict=True)), strict=True)))


def realistic_values(n_rows: int = 8000, n_classes: int = 58) -> pa.Table:
    """Return values shaped as KNN-Shapley's are: most near zero, a long tail below it."""
    generator = np.random.default_rng(11)
    values = generator.exponential(1e-4, n_rows) - 5e-5
    hurt = generator.random(n_rows) < 0.05
    values[hurt] = -generator.exponential(4e-4, int(hurt.sum()))
    labels = [f"class {code}" for code in generator.integers(0, n_classes, n_rows)]
    return values_table(values.tolist(), labels=labels, errors=generator.exponential(1e-5, n_rows))
