"""Spark Connect: the same call, no SparkContext, the same values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from drivers import DATA, SOFT_OPTIONS
from standalone_cluster import Cluster

import dvspark

pytestmark = pytest.mark.spark

CONF = {
    "spark.connect.grpc.binding.address": "127.0.0.1",  # the server answers this machine only
    "spark.connect.grpc.binding.port": "0",  # any free port: its own is fixed
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "4",
    "spark.log.level": "ERROR",
}


def test_connect__values_equal_the_local_engine(java_home: Path, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="needs the extra `connect`")
    conf = {**CONF, "spark.sql.warehouse.dir": str(tmp_path / "warehouse")}
    here = Cluster("local[2]", tmp_path, java_home)  # for its environment; there is no cluster
    ended = here.run_driver(Path(__file__).parent / "drivers.py", "connect", json.dumps({"conf": conf}))
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    assert "connect" in report["client"]
    assert set(report["findings"]) == {"pass"}
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, **SOFT_OPTIONS)
    np.testing.assert_allclose(report["values"], local, rtol=0, atol=1e-12)
