"""A run's metrics are what the parsers of Prometheus and OpenMetrics read, whatever the record says."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from run_records import HOSTILE, RECORD, SIDE

from dvspark.errors import ConfigError
from dvspark.runs.metrics import run_metrics
from dvspark.runs.tracking import require_mlflow

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(families: Any) -> Samples:
    found: Samples = {}
    for family in families:
        assert family.type == "gauge"
        assert family.name.startswith("dvspark_")
        assert family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("run_id") == "run-1"
            key = (sample.name.removeprefix("dvspark_"), tuple(sorted(labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


@pytest.mark.parametrize("parse", [parser.text_string_to_metric_families, openmetrics.text_string_to_metric_families])
def test_run_metrics__are_what_both_parsers_read(parse: Any) -> None:
    found = samples_of(parse(run_metrics(RECORD)))
    for side, table in (("train", SIDE), ("validation", RECORD["inputs"]["validation"])):
        assert found["rows", (("side", side),)] == table["n_rows"]
        assert found["rejected_rows", (("side", side),)] == table["n_rejected"]
    assert found["validation_points", ()] == 50
    assert found["features", ()] == 7
    assert ("classes", ()) not in found
    assert found["stage_seconds", (("stage", "value"),)] == 2.0
    assert found["index_bytes", ()] == 4096
    assert found["error_bound", ()] == 1.25e-9
    assert found["run_created_timestamp_seconds", ()] == 1767323045
    assert found["finding_allowed", (("finding", "recall"),)] == math.inf
    assert math.isnan(found["finding_measured", (("finding", "recall"),)])
    verdicts = {
        key[1][1][1]: value for key, value in found.items() if key[0] == "finding_verdict" and "recall" in str(key)
    }
    assert verdicts == {"pass": 0, "warn": 1, "fail": 0}
    ((_, info),) = [key for key in found if key[0] == "run_info"]
    assert dict(info)["method"] == HOSTILE
    assert "ranking" not in dict(info)


def test_mlflow__that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"dvspark\[mlflow\]"):
        require_mlflow()


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is an extra")
@pytest.mark.parametrize("is_private", [False, True])
def test_mlflow__is_told_of_a_run_and_of_its_tables(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, is_private: bool
) -> None:
    mlflow = pytest.importorskip("mlflow")
    from dvspark.runs.tracking import track

    train = {"reference": "data/train", "version": 12, "digest": "a" * 64, "n_rows": 9}
    validation = {"reference": "lake.validation", "digest": "b" * 64, "n_rows": 5}
    tables = {"train": {} if is_private else train, "validation": validation}
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.chdir(tmp_path)
    record = {**RECORD, "precision": "default", "ties": "id", "aggregate": "mean", "findings": RECORD["findings"][:1]}
    record["inputs"] = {**record["inputs"], **tables}
    record["configuration"] = {"train": {"path": "data/train"}, "validation": {"table": "lake.validation"}}
    track(record, {"run.json": "{}", "totals.npz": b""})
    (run,) = mlflow.search_runs(output_format="list")
    assert run.data.params["k"] == "5"
    assert run.data.metrics["validation_points"] == 50
    assert [artifact.path for artifact in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)] == ["run.json"]
    found = {
        one.dataset.name: (one.dataset.digest, json.loads(one.dataset.source), {tag.key: tag.value for tag in one.tags})
        for one in run.inputs.dataset_inputs
    }
    of_validation = ("b" * 36, {"table_name": "lake.validation"}, {"mlflow.data.context": "validation"})
    of_train = ("a" * 36, {"path": "data/train"}, {"mlflow.data.context": "training", "version": "12"})
    assert found == {"lake.validation": of_validation} | ({} if is_private else {"data/train": of_train})
