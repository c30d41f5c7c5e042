"""A cluster that authenticates and encrypts: a job works on it, and nothing it leaves behind holds the secret."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import yaml
from frames import draw_data, write_parquet
from oracles import FLOAT_ORDER_TOLERANCE, reference_values
from standalone_cluster import N_WORKERS, run_process, start_cluster

pytestmark = [pytest.mark.spark, pytest.mark.long]

SECRET = "a-secret-of-this-cluster"
SECURITY = {
    "spark.authenticate": "true",
    "spark.authenticate.secret": SECRET,
    "spark.network.crypto.enabled": "true",
    "spark.io.encryption.enabled": "true",
}
DATA = draw_data(60, 20, seed=61)


@contextmanager
def command_lines_of_all() -> Iterator[set[str]]:
    """Yield the command lines of all processes of this host, as any of its users may read them meanwhile."""
    found, over = set[str](), threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    found.add(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def test_value__works_on_a_cluster_that_authenticates_and_encrypts(java_home: Path, tmp_path: Path) -> None:
    train = write_parquet(tmp_path / "train.parquet", DATA.train)
    validation = write_parquet(tmp_path / "validation.parquet", DATA.validation)
    out, config = tmp_path / "out", tmp_path / "job.yaml"
    (tmp_path / "cluster").mkdir()
    with start_cluster(tmp_path / "cluster", java_home, security=SECURITY) as cluster:
        settings = {"train": train, "validation": validation, "output": str(out), "run_id": "run", "k": 3}
        config.write_text(yaml.safe_dump({**settings, "spark": {"master": cluster.master, "conf": cluster.conf()}}))
        command = [sys.executable, "-m", "dvspark", "value", str(config)]
        with command_lines_of_all() as command_lines:
            ended = run_process(command, cluster.environment(), cluster.folder)
        logs = [(cluster.folder / f"{name}.log").read_text() for name in ("master", "worker-0", "worker-1")]
    assert ended.returncode == 0, ended.stderr
    assert all("authentication enabled" in log for log in logs)
    executors = [path.read_text() for path in (tmp_path / "cluster").glob("worker-*/app-*/*/stderr")]
    assert len(executors) == N_WORKERS
    assert all("authentication enabled" in log for log in executors)

    found = {row["id"]: row["value"] for row in pyarrow.dataset.dataset(out / "values").to_table().to_pylist()}
    arrays, given = DATA.arrays()
    expected = reference_values(*arrays, **given, method="knn_shapley", k=3)
    values = [found[row] for row in DATA.train.ids]
    np.testing.assert_allclose(values, expected, rtol=0, atol=FLOAT_ORDER_TOLERANCE["default"])

    assert json.loads((out / "runs" / "run" / "run.json").read_text())["run_id"] == "run"
    assert any("org.apache.spark.deploy.SparkSubmit" in line for line in command_lines)
    told = [ended.stdout, ended.stderr, *logs, *executors, *command_lines]
    told += [path.read_text(errors="replace") for path in out.rglob("*") if path.is_file()]
    assert [text for text in told if SECRET in text] == []
