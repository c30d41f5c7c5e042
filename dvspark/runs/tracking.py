"""Tracking: a published run told to MLflow, where `mlflow: true` asks for it; the extra `mlflow`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import ConfigError, Problem
from dvspark.logs import log_event

# The tables of a run, and what MLflow calls their parts in it.
CONTEXTS = {"train": "training", "validation": "validation"}
# MLflow takes no longer digests, nor names.
DIGEST_LENGTH, NAME_LENGTH = 36, 500
# Which state of a table was read.
STATES = ("version", "snapshot", "schema_id", "n_files")


def require_mlflow() -> None:
    """Raise ConfigError when MLflow is missing; a run should not find that out at its end."""
    _mlflow()


def track(record: Mapping[str, Any], documents: Mapping[str, str | bytes]) -> None:
    """Log a published run to the server that MLflow is set to (MLFLOW_TRACKING_URI), with its texts as artifacts.

    The run is published whatever happens here: what goes wrong is logged.
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
        log_event(f"published, but MLflow was not told: {error}", level=40, run_id=record["run_id"])


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
    return {name: value for name, value in found.items() if value is not None}  # a private run tells less


def _mlflow() -> Any:
    try:
        import mlflow  # noqa: PLC0415 - an extra
        import mlflow.data.meta_dataset  # noqa: PLC0415
        import mlflow.data.spark_dataset_source  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'dvspark[mlflow]', or leave mlflow out"
        raise ConfigError(Problem("mlflow", "MLflow", str(error), hint)) from error
    return mlflow
