"""Tracking: logs a published run to MLflow if `mlflow: true` asks for it; needs the extra `mlflow`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.extras import import_extra
from dvspark.logs import log_event


def require_mlflow() -> None:
    """Raise ConfigError if MLflow is not installed, so that a run does not find out only at its end."""
    _mlflow()


def track(record: Mapping[str, Any], documents: Mapping[str, str | bytes]) -> None:
    """Log a published run to the server that MLFLOW_TRACKING_URI names, with its documents as artifacts.

    The run stays published whatever happens here. Errors are logged, not raised.
    """
    mlflow = _mlflow()
    try:
        with mlflow.start_run(run_name=record["run_id"]):
            mlflow.set_tags({"dvspark.run_id": record["run_id"], "dvspark.fingerprint": record["fingerprint"]})
            mlflow.log_params(_parameters(record))
            mlflow.log_metrics(_measures(record))
            for name, content in documents.items():
                if isinstance(content, str):
                    mlflow.log_text(content, name)
    except Exception as error:
        log_event(f"published, but not logged to MLflow: {error}", level=40, run_id=record["run_id"])


def _parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: record[name] for name in ("metric", "precision", "ties", "aggregate", "ranking")}
    return {"method": record["method"]["name"], **record["method"]["parameters"], **settings}


def _measures(record: Mapping[str, Any]) -> dict[str, float]:
    inputs = record["inputs"]
    sizes = {"train_rows": inputs["train"].get("n_rows"), "validation_points": inputs["n_validation"]}
    seconds = {f"seconds_{stage['stage']}": stage["seconds"] for stage in record["stages"]}
    audit = {f"audit_{finding['name']}": finding["measured"] for finding in record["findings"]}
    found = {**sizes, "error_bound": record["error_bound"], **seconds, **audit}
    return {name: value for name, value in found.items() if value is not None}  # a private run has fewer


def _mlflow() -> Any:
    return import_extra("mlflow", "mlflow", "mlflow", "MLflow", instead=", or leave mlflow out")
