"""Tracking: logs a published run to MLflow if `mlflow: true` asks for it; needs the extra `mlflow`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from dvspark.extras import import_extra
from dvspark.logs import log_event

# The tables of a run, and what MLflow calls their parts in it.
CONTEXTS = {"train": "training", "validation": "validation"}
# MLflow takes no longer digests, nor names.
DIGEST_LENGTH, NAME_LENGTH = 36, 500
# Which state of a table was read.
STATES = ("version", "snapshot", "schema_id", "n_files")


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
            for side, context in CONTEXTS.items():
                _log_table(mlflow, record, side, context)
            for name, content in documents.items():
                if isinstance(content, str):
                    mlflow.log_text(content, name)
    except Exception as error:
        log_event(f"published, but not logged to MLflow: {error}", level=40, run_id=record["run_id"])


def _log_table(mlflow: Any, record: Mapping[str, Any], side: str, context: str) -> None:
    """Log a table as an input of the run, by its place and digest; nothing of one that the record does not tell of."""
    told = record["inputs"].get(side, {})
    if "digest" not in told or (side == "validation" and record.get("self_validation")):
        return
    reference, digest = told["reference"], told["digest"][:DIGEST_LENGTH]
    is_table = bool((record.get("configuration", {}).get(side) or {}).get("table"))
    source = mlflow.data.spark_dataset_source.SparkDatasetSource(**{"table_name" if is_table else "path": reference})
    dataset = mlflow.data.meta_dataset.MetaDataset(source, name=reference[-NAME_LENGTH:], digest=digest)
    state = {name: str(told[name]) for name in STATES if told.get(name) is not None}
    mlflow.log_input(dataset, context=context, tags=state)


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
    mlflow = import_extra("mlflow", "mlflow", "mlflow", "MLflow", instead=", or leave mlflow out")
    importlib.import_module("mlflow.data.meta_dataset")
    importlib.import_module("mlflow.data.spark_dataset_source")
    return mlflow
