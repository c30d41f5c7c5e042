"""Spark Connect: the same call, no SparkContext, the same values."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from drivers import DATA, SOFT_OPTIONS
from standalone_cluster import driver_environment, run_process

import dvspark

pytestmark = pytest.mark.spark

CONF = {
    "spark.connect.grpc.binding.address": "127.0.0.1",  # the server answers this machine only
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "4",
    "spark.log.level": "WARN",
    "spark.ui.showConsoleProgress": "false",
}


@pytest.mark.long
def test_connect__values_equal_the_local_engine(java_home: Path, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="needs the extra `connect`")
    conf = {**CONF, "spark.sql.warehouse.dir": str(tmp_path / "warehouse")}
    words = json.dumps({"conf": conf, "shared": str(tmp_path)})
    driver = Path(__file__).parent / "drivers.py"
    # PySpark's own switch for a server, and its client, on any free port; else both insist on 15002.
    environment = {**driver_environment(java_home), "SPARK_TESTING": "1", "DVSPARK_CACHE": str(tmp_path / "cache")}
    ended = run_process([sys.executable, str(driver), "connect", words], environment, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr  # not even from a thread that watches progress
    report = json.loads(ended.stdout.splitlines()[-1])
    assert "connect" in report["client"]
    assert {"dvspark tagged: validate", "dvspark tagged: value"} <= set(report["tags"])
    assert report["tags_left"] == []
    assert set(report["findings"]) == {"pass"}
    assert len(set(report["digests"])) == 1  # rows that stream and rows through files make one index
    assert len(report["contributors"]) == len(DATA.train.ids)
    assert set(report["contributors"]) <= {1, 2}
    assert [said for said in report["stopped"] if "got: one that was stopped" not in said] == []
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, **SOFT_OPTIONS)
    for plan in ("values", "sharded", "npy"):
        np.testing.assert_allclose(report[plan], local, rtol=0, atol=1e-12)
    np.testing.assert_allclose(report["gradients"], dvspark.chg_value_arrays(DATA.train.x), rtol=0, atol=1e-12)
