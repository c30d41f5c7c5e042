"""Whole jobs without Spark give every worked case its exact values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worked_cases import WorkedCase, worked_cases

from dvspark.config.sources import load_config
from dvspark.local.session import LocalSession
from dvspark.run import pipeline

TOLERANCE = 1e-12
# What a case has beside the settings of a job: columns of the training table.
COLUMNS = {"owners": "owner", "column": "weight"}


def _write(place: Path, case: WorkedCase, ids: list[Any], x: Any, y: Any, **columns: Any) -> dict[str, Any]:
    numbers = pa.float64() if case.options["method"] == "knn_regression_shapley" else pa.int64()
    embedding = pa.array(np.array(x, np.float64).tolist(), pa.list_(pa.float64()))
    rows = {"id": pa.array(ids, None if ids else pa.int64()), "embedding": embedding, "label": pa.array(y, numbers)}
    pq.write_table(pa.table({**rows, **columns}), place)
    return {"path": str(place), **{name: name for name in columns}}


def _values(case: WorkedCase, local: LocalSession, folder: Path) -> np.ndarray:
    folder.mkdir()
    x_train, y_train, *validation = case.data
    ids = case.options["train_ids"]
    columns = {name: case.options[given] for given, name in COLUMNS.items() if given in case.options}
    settings = {name: value for name, value in case.options.items() if name not in ("train_ids", *COLUMNS)}
    settings["train"] = _write(folder / "train.parquet", case, ids, x_train, y_train, **columns)
    if "x_owned" in settings:
        x, y, names = (settings.pop(name) for name in ("x_owned", "y_owned", "owned_ids"))
        settings["owned"] = _write(folder / "owned.parquet", case, names, x, y)
    if validation:
        names = list(range(len(validation[1])))
        settings["validation"] = _write(folder / "validation.parquet", case, names, *validation)
    given = {**settings, "output": {"path": str(folder / "out")}, "precision": "float64", "report": False}
    record = pipeline.run(load_config(None, given), local)
    table = pq.read_table(record["outputs"]["values"]).to_pydict()
    found = dict(zip(table["id"], table["value"], strict=True))
    return np.array([found[name] for name in (sorted(set(columns["owner"])) if "owner" in columns else ids)])


@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case.name)
def test_local_job__equals_the_worked_case(case: WorkedCase, local: LocalSession, tmp_path: Path) -> None:
    # A column of weights holds those of one point: each point is a run of its own, and values are means over points.
    cases = [case] if case.is_for_tables else case.points_alone()
    found = [_values(one, local, tmp_path / str(number)) for number, one in enumerate(cases)]
    np.testing.assert_allclose(np.mean(found, axis=0), [float(value) for value in case.values], rtol=0, atol=TOLERANCE)
