"""Drivers for sessions that need a process of their own; each prints what it saw as one line of JSON.

python drivers.py cluster '{"master": ..., "conf": {...}, "shared": FOLDER}'
python drivers.py connect '{"conf": {...}, "shared": FOLDER}'
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from frames import draw_data, frames_of, values_by_id

from dvspark.arrays.games import value_game
from dvspark.engine.planning.plan import Plan
from dvspark.engine.replicated import packing, replicated
from dvspark.errors import ConfigError
from dvspark.functions import build_index, chg_values, register_sources, top_contributors
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.run import plan as plan_stage
from dvspark.run.frames.value_frames import value_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.functions import ColumnFunction

DATA = draw_data(150, 80, seed=51, label_type="array<string>", id_type="string")
OPTIONS: dict[str, Any] = {"method": "knn_shapley", "k": 4, "precision": "float64"}
# A method of another kind, so that more than one goes over the wire; its index is another one, too.
SOFT_OPTIONS: dict[str, Any] = {**OPTIONS, "method": "soft_knn_shapley", "metric": "cosine", "ties": "average"}
N_PROBES = 8


def on_cluster(master: str, conf: dict[str, str], shared: str) -> dict[str, Any]:
    """Value on a standalone cluster, the index shipped with the job, then from a shared folder."""
    spark = _session("master", master, conf)
    try:
        train, validation = frames_of(spark, DATA)
        shipped = value_table(train, validation, **OPTIONS)
        reference = packing.build_index(
            train.select("id", "embedding", "label"),
            n_train=len(DATA.train),
            n_features=DATA.train.x.shape[1],
            dtype="float32",
            metric="euclidean",
            directory=Path(shared) / "probed",
        )
        reference = replicated.ship_index(spark, reference, "artifact")
        mapped = _probe(spark, reference)
        from_shared = value_table(train, validation, **SOFT_OPTIONS, work_dir=shared)
        with sharded_plan():
            in_blocks = value_table(train, validation, **SOFT_OPTIONS, work_dir=shared)
        report = {
            "shipped": _values(shipped),
            "shared": _values(from_shared),
            "sharded": _values(in_blocks),
            "shipping": reference.shipping,
            "digest": reference.digest,
            "findings": [finding.verdict for finding in shipped.findings],
            "mapped": mapped,
        }
    finally:
        spark.stop()
    return {**report, "stopped": _refusals_of_stopped(train, validation)}


def on_connect(conf: dict[str, str], shared: str) -> dict[str, Any]:
    """Value through a Spark Connect server in local mode."""
    spark = _session("remote", "local[2]", conf)
    try:
        train, validation = frames_of(spark, DATA)
        with mock.patch.object(type(spark), "addTag", autospec=True, side_effect=type(spark).addTag) as tagged:
            result = value_table(train, validation, **SOFT_OPTIONS, run_id="tagged")
        with sharded_plan():
            in_blocks = value_table(train, validation, **SOFT_OPTIONS, work_dir=shared)
        given = {
            "n_train": len(DATA.train),
            "n_features": DATA.train.x.shape[1],
            "dtype": "float32",
            "metric": "cosine",
        }
        rows = train.select("id", "embedding", "label")
        through = {"driver": False, "files": True}
        report = {
            "digests": [
                packing.build_index(rows, **given, directory=Path(shared) / name, shared=shared_too).digest
                for name, shared_too in through.items()
            ],
            "client": type(spark).__module__,
            "tags": [call.args[1] for call in tagged.call_args_list],
            "tags_left": sorted(spark.getTags()),
            "values": _values(result),
            "sharded": _values(in_blocks),
            "contributors": _lengths(train, top_contributors(build_index(train), k=3, top=1)),
            "npy": _values_of_shards(spark, Path(shared) / "npy"),
            "gradients": values_by_id(chg_values(train, gradient="embedding"), DATA.train.ids).tolist(),
            "findings": [finding.verdict for finding in result.findings],
        }
    finally:
        spark.stop()
    return {**report, "stopped": _refusals_of_stopped(train, validation)}


def _values_of_shards(spark: SparkSession, folder: Path) -> list[float]:
    """Return the values of the training rows, read from NumPy shards by a data source."""
    for part in ("img_emb", "metadata"):
        (folder / part).mkdir(parents=True)
    np.save(folder / "img_emb" / "0.npy", DATA.train.x)
    keys = pa.table({"id": list(DATA.train.ids), "label": list(DATA.train.labels)})
    pq.write_table(keys, folder / "metadata" / "0.parquet")
    register_sources(spark)
    rows = spark.read.format("dvspark-npy").load(str(folder))
    return _values(value_table(rows, frames_of(spark, DATA)[1], **SOFT_OPTIONS))


def _refusals_of_stopped(train: DataFrame, validation: DataFrame) -> list[str]:
    """Return with what words frames and sessions are refused that were stopped."""
    spark = train.sparkSession
    return [
        _refusal(value_table, train, validation, k=1),
        _refusal(build_index, train),
        _refusal(chg_values, train, gradient="embedding"),
        _refusal(register_sources, spark),
        _refusal(value_game, len, 3, evaluations=100, spark=spark),
    ]


def _refusal(function: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Return the words with which a function refuses its arguments."""
    try:
        function(*args, **options)
    except ConfigError as refused:
        return str(refused)
    return "no words"


def _lengths(rows: DataFrame, contributors: ColumnFunction) -> list[int]:
    """Return how many contributors each row has as a validation point."""
    found = rows.select(contributors("embedding", "label").alias("contributors")).collect()
    return [len(row["contributors"]) for row in found]


@contextmanager
def sharded_plan() -> Iterator[None]:
    """Value by blocks, whatever the sizes, while the block runs."""
    plan_of = plan_stage.make_plan

    def sharded(*sizes: Any, **asked: Any) -> Plan:
        return replace(plan_of(*sizes, **asked), name="sharded", block_rows=TILE_ROWS)

    with mock.patch.object(plan_stage, "make_plan", sharded):
        yield


def _session(how: str, where: str, conf: dict[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = getattr(SparkSession.builder.appName("dvspark tests"), how)(where)
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _values(result: Any) -> list[float]:
    return values_by_id(result.values, DATA.train.ids).tolist()


def _probe(spark: SparkSession, reference: Any) -> list[dict[str, Any]]:
    """Return from each task: its worker's daemon, of which an executor has one, and the x.npy it has mapped."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            x = replicated.open_here(reference).arrays.x
            total = float(np.sum(x, dtype=np.float64))  # every page is touched
            for line in Path("/proc/self/maps").read_text().splitlines():
                if line.endswith("x.npy"):
                    _, mode, _, device, inode, path = line.split(maxsplit=5)
                    row = {"executor": os.getppid(), "mode": mode, "file": f"{device} {inode}", "path": path}
                    yield pa.RecordBatch.from_pylist([{**row, "total": total}])

    ddl = "executor bigint, mode string, file string, path string, total double"
    probes: DataFrame = spark.range(0, N_PROBES, 1, N_PROBES).mapInArrow(look, ddl)
    return probes.toArrow().to_pylist()


if __name__ == "__main__":
    drivers = {"cluster": on_cluster, "connect": on_connect}
    sys.stdout.write(json.dumps(drivers[sys.argv[1]](**json.loads(sys.argv[2]))) + "\n")
