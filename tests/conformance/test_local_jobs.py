"""A job without Spark publishes what the job on Spark publishes: values, record and report, for every method."""

from __future__ import annotations

import json
import re
import shutil
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import Data, Side, draw_data, with_rows, write_parquet

from dvspark.config.sources import load_config
from dvspark.methods import METHODS
from dvspark.run import pipeline
from dvspark.schemas import OWNED

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dvspark.local.session import LocalSession, Session

pytestmark = pytest.mark.spark

Tables = dict[str, pa.Table]
N_TRAIN, N_VALIDATION = 90, 50
# Several chunks, in several waves.
SETTINGS: dict[str, Any] = {"chunk_rows": 8, "on_bad_row": "reject"}
# What a method asks for beside its defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "knn_shapley": {"k": 3, "metric": "cosine"},
    "soft_knn_shapley": {"k": 3, "ties": "average"},
    "truncated_knn_shapley": {"k": 2, "epsilon": 0.1},
    "knn_regression_shapley": {"k": 3},
    "weighted_knn_shapley": {"k": 2, "kind": "normalized", "weight": "rbf"},
    "owner_knn_shapley": {"k": 3},
    "dp_threshold_knn_shapley": {"epsilon": 1.0, "delta": 1e-4, "sampling_rate": 0.5},
    "cleanlab_knn_shapley": {"k": 3},
    "chg_shapley": {"epochs": 3, "by": "label", "variant": "gradient"},
    "dvrl": {"steps": 20, "batch_rows": 50},
    "monte_carlo_shapley": {"utility": "knn(utility='wang2023')", "k": 3, "metric": "cosine", "utility_range": 1.0},
    "monte_carlo_banzhaf": {"utility": "sklearn.naive_bayes.GaussianNB", "evaluations": 300, "cache_worths": True},
    "ame": {"utility": "threshold_knn", "radius": 4, "players": "owners", "evaluations": 400},
    "data_oob": {"evaluations": 120},
}


def _tables(folder: Path, data: Data, method: str, *, bad_rows: bool = True) -> dict[str, Any]:
    """Write both tables, a bad row in each if asked, and return the settings that name them."""
    rng = np.random.default_rng(3)
    is_target = METHODS[method].target == "number"
    sides = {"train": data.train, "validation": data.validation}
    settings: dict[str, Any] = {}
    for name, side in sides.items():
        labels = rng.normal(size=len(side)).tolist() if is_target else list(side.labels)
        owners = [f"owner {row % 7}" for row in range(len(side))]
        numbers = rng.random(len(side)).tolist()
        columns = {
            "owner": owners,
            "weight": numbers,
            "loss": numbers,
            "label": [None if bad_rows else labels[0], *labels[1:]],
        }
        settings[name] = {"path": write_parquet(folder / f"{name}.parquet", side, **columns)}
    settings["train"]["owner"] = "owner"
    if OWNED.name in METHODS[method].asks({}):
        settings["owned"] = {"path": write_parquet(folder / "owned.parquet", _owned(data.train))}
    if METHODS[method].self_validates:
        del settings["validation"]
    return settings


def _owned(train: Side) -> Side:
    """Return rows that are owned, near those of the table, under ids of their own."""
    half = train.take(slice(len(train) // 2))
    return with_rows(half, ids=[f"owned {one}" for one in half.ids])


def _published(
    session: Session, settings: dict[str, Any], out: Path
) -> tuple[dict[str, Any], dict[str, pa.Table], str]:
    """Run a job; return its record, its tables by name, and its report, "" where there is none."""
    config = load_config(None, {**SETTINGS, **settings, "output": {"path": str(out)}})
    told = pipeline.run(config, session)
    record = json.loads((out / "runs" / told["run_id"] / "run.json").read_text())
    names = ("values", "rejected", "validation_rows", "private/rejected")
    tables = {name: _rows(out / name) for name in names if (out / name).exists()}
    report = out / "runs" / told["run_id"] / "report.html"
    return record, tables, report.read_text() if report.exists() else ""


def _rows(place: Path) -> pa.Table:
    table = pq.read_table(place)
    table = table.cast(pa.schema([one.with_type(_plain(one.type)) for one in table.schema]))
    return table.sort_by([(name, "ascending") for name in ("id", *sorted({*table.column_names} - {"id"}))])


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _told(record: dict[str, Any], out: Path) -> dict[str, Any]:
    """Return what a record tells of the run, and not of the engine, the time or the place."""
    record = json.loads(json.dumps(record).replace(str(out), "OUT"))
    for name in ("engine", "created", "sha256"):
        record.pop(name, None)  # of a private run it is not published
    for name in ("spark", "pyspark"):
        del record["environment"][name]
    return {**record, "stages": [(one["stage"], one["rows"]) for one in record["stages"]]}


# Of a report: when, how long, and the versions of Spark.
TIMES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|width: [\d.]+%|\b[\d.,]+ (ms|s|min|h)( \d+ (s|min))?\b")
SPARK = re.compile(r"<tr><th[^>]*><bdi>(py)?spark</bdi>.*?</tr>\s*", re.DOTALL)


def _apart(report: str, here: Path, report_there: str, there: Path) -> list[tuple[str, str]]:
    """Return the first lines of two reports that differ, but for times, versions of Spark, and the place."""
    reports = ((report, here), (report_there, there))
    lines, others = (
        TIMES.sub("TIME", SPARK.sub("", text).replace(str(out), "OUT")).splitlines() for text, out in reports
    )
    return [pair for pair in zip_longest(lines, others, fillvalue="") if pair[0] != pair[1]][:3]


# Rows are set aside, and reports made, for one method of each kind: both are half of a job's time.
ONE_OF_EACH_KIND = {
    (method.kind, method.players, method.is_private): name
    for name, method in reversed(METHODS.items())
    if method.in_jobs
}.values()
# Jobs of methods that rest on other columns, or value rows in another way.
OTHERS: dict[str, dict[str, Any]] = {
    "gradients given": {"method": "chg_shapley", "source": "gradients"},
    "gradients of epochs": {"method": "chg_shapley", "source": "gradients", "by": "label"},
}


@pytest.mark.parametrize("name", [*sorted(name for name in METHODS if METHODS[name].in_jobs), *OTHERS])
def test_local_job__publishes_what_the_job_on_spark_publishes(
    spark: SparkSession, local: LocalSession, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvspark.kernels.gradients.row_pass.STRETCH_ROWS", 32)  # so that tasks share the rows
    data = draw_data(N_TRAIN, N_VALIDATION, seed=5, id_type="string", label_type="string")
    given = OTHERS.get(name) or {"method": name, **OPTIONS.get(name, {})}
    method = given["method"]
    whole = method in ONE_OF_EACH_KIND
    settings = {**given, **_tables(tmp_path, data, method, bad_rows=whole), "report": whole}
    if name == "gradients of epochs":
        _put_in_epochs(settings, 3)
    here, there = tmp_path / "here", tmp_path / "there"
    record, tables, report = _published(local, settings, here)
    if METHODS[method].is_private:  # noise is drawn once
        shutil.copytree(here / "private", there / "private", ignore=shutil.ignore_patterns("record.json", "rejected"))
    if whole:  # validation rows that are not few stay on Spark
        monkeypatch.setattr("dvspark.engine.replicated.chunk_frames.HELD_BYTES", 0)
    record_there, tables_there, report_there = _published(spark, settings, there)
    assert _told(record, here) == _told(record_there, there)
    assert {name: table.schema for name, table in tables.items()} == {
        name: table.schema for name, table in tables_there.items()
    }
    assert tables == tables_there
    assert _apart(report, here, report_there, there) == []


def _put_in_epochs(settings: dict[str, Any], n_epochs: int) -> None:
    """Write each row of both tables in each epoch, in any order, with gradients and losses of the epoch."""
    rng = np.random.default_rng(4)
    for side in ("train", "validation"):
        path, epochs = settings[side]["path"], list[pa.Table]()
        table = pq.read_table(path)
        for epoch in range(n_epochs):
            gradients = pa.array([rng.normal(size=3 + epoch).astype(np.float32) for _ in range(len(table))])
            place = table.column_names.index("embedding")
            told = table.set_column(place, "embedding", gradients).append_column(
                "epoch", pa.array([epoch] * len(table))
            )
            epochs.append(told.set_column(table.column_names.index("loss"), "loss", pa.array(rng.random(len(table)))))
        together = pa.concat_tables(epochs)
        pq.write_table(together.take(rng.permutation(len(together))), path)
        settings[side]["epoch"] = "epoch"


FORMATS = ("csv", "csv of float32", "numpy")


@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
def test_formats__that_arrow_reads_give_the_bits_of_parquet_in_both_engines(
    spark: SparkSession, local: LocalSession, tmp_path: Path, kind: str
) -> None:
    data = draw_data(N_TRAIN, N_VALIDATION, seed=6, id_type="string", label_type="string")
    settings = {"method": "knn_shapley", "k": 3, **_tables(tmp_path, data, "knn_shapley")}
    if kind == "csv":
        _widen(settings, tmp_path)
    _, plain, _ = _published(local, {**settings, "run_id": "same"}, tmp_path / "plain")
    for name in ("train", "validation"):
        settings[name] = {**settings[name], **_written(kind, Path(settings[name]["path"]))}
    here, there = tmp_path / "here", tmp_path / "there"
    record, tables, report = _published(local, {**settings, "run_id": "same"}, here)
    record_there, tables_there, report_there = _published(spark, {**settings, "run_id": "same"}, there)
    assert _told(record, here) == _told(record_there, there)
    assert tables == tables_there
    assert tables == plain
    assert _apart(report, here, report_there, there) == []


def _widen(settings: dict[str, Any], folder: Path) -> None:
    """Write both tables again with embeddings of float64, as texts hold them."""
    for name in ("train", "validation"):
        table = pq.read_table(settings[name]["path"])
        place, wide = folder / f"wide-{name}.parquet", table["embedding"].cast(pa.list_(pa.float64()))
        pq.write_table(table.set_column(table.schema.get_field_index("embedding"), "embedding", wide), place)
        settings[name]["path"] = str(place)


def _written(kind: str, path: Path) -> dict[str, Any]:
    """Write a table in a kind of format; return the settings that name it."""
    table = pq.read_table(path)
    x = np.array([[np.nan] * 4 if row is None else row for row in table["embedding"].to_pylist()])
    others = table.drop_columns(["embedding"])
    if kind == "numpy":
        place = path.with_name(f"others-{path.name}")
        np.save(path.with_suffix(".npy"), x.astype(np.float32))
        pq.write_table(others, place, row_group_size=33)
        return {"path": str(place), "embedding_file": str(path.with_suffix(".npy"))}
    frame = others.to_pandas()
    for column, numbers in enumerate(x.astype(np.float32 if "float32" in kind else np.float64).T):
        frame[f"embedding_{column}"] = numbers
    place = path.with_suffix("")
    place.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[rows].to_csv(place / f"{number}.csv", index=False)
    dtype = {"embedding_dtype": "float32"} if "float32" in kind else {}
    return {"path": str(place), "format": "csv", **dtype}
