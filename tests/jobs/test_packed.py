"""The package as a zip and as a packed environment: `spark-submit` brings it to hosts that do not have it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import yaml
from bare_environment import built, installed, run, variables
from frames import draw_data, write_parquet
from standalone_cluster import REPOSITORY, submit

if TYPE_CHECKING:
    from standalone_cluster import Cluster

# The first test waits for an environment to be installed and packed, which is not what its time limit is for.
pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(300, func_only=True)]

JOB = REPOSITORY / "jobs" / "value.py"
TELL_ORIGINS = Path(__file__).parent / "tell_origins.py"
N_TRAIN = 80
# What Spark's Python workers need beside dvspark's own requirements, which have the rest of pandas' needs.
PANDAS = ("pandas", "pytz")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `dvspark pack --environment` writes in an environment into which a wheel was installed."""
    folder = tmp_path_factory.mktemp("archive")
    installed_one = installed(built("wheel", folder / "dist"), folder / "environment", *PANDAS)
    words = ["pack", "--environment", "environment.tar.gz"]
    run([str(installed_one / "bin" / "dvspark"), *words], folder, variables(installed_one))
    shutil.rmtree(installed_one)  # nothing can be found where it was
    return folder / "environment.tar.gz"


@pytest.fixture(scope="module")
def full(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked elsewhere."""
    folder = tmp_path_factory.mktemp("full") / "environment"
    shutil.unpack_archive(archive, folder)
    return folder


@pytest.fixture(scope="module")
def bare(full: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same environment without dvspark: a host's own Python."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    shutil.copytree(full, folder, copy_function=os.link)  # links: 350 MB are there once
    shutil.rmtree(_site_packages(folder) / "dvspark")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A job whose folders are its own; its report is there to show that the driver has its files, too."""
    data = draw_data(N_TRAIN, 40, seed=67)
    write_parquet(tmp_path / "train.parquet", data.train)
    write_parquet(tmp_path / "validation.parquet", data.validation)
    places = {name: str(tmp_path / f"{name}.parquet") for name in ("train", "validation")}
    path = tmp_path / "value.yaml"
    path.write_text(yaml.safe_dump({**places, "output": str(tmp_path / "out"), "run_id": "packed"}))
    return path


def test_zip_of_the_package__runs_where_dvspark_is_not_installed(
    cluster: Cluster, bare: Path, config: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "dvspark.zip"
    subprocess.run([sys.executable, "-m", "dvspark", "pack", packed], cwd=REPOSITORY, check=True)
    python = bare / "bin" / "python"
    ended = _submit(cluster, config, python, str(python), "--py-files", str(packed))
    found = _origins(ended)
    assert all("/dvspark.zip/" in each["dvspark"] for each in [found["driver"], *found["executors"]])
    assert {each["python"] for each in found["executors"]} == {str(bare)}
    _assert_published(ended, tmp_path)


def test_packed_environment__runs_on_executors_out_of_its_archive(
    cluster: Cluster, archive: Path, full: Path, config: Path, tmp_path: Path
) -> None:
    options = ("--archives", f"{archive}#environment")
    ended = _submit(cluster, config, full / "bin" / "python", "./environment/bin/python", *options)
    found = _origins(ended)
    assert all(Path(file).is_relative_to(full) for file in found["driver"].values())
    for each in found["executors"]:
        unpacked = Path(each.pop("python"))
        assert unpacked.name == "environment"
        assert unpacked.is_relative_to(cluster.folder)  # where the executors' work folders are
        assert all(Path(file).is_relative_to(unpacked) for file in each.values())
    _assert_published(ended, tmp_path)


def test_packed_environment__runs_without_spark_wherever_it_is_unpacked(
    full: Path, config: Path, tmp_path: Path
) -> None:
    words = ["-m", "dvspark", "value", str(config), "--engine", "local", "--json"]
    printed = run([str(full / "bin" / "python"), *words], tmp_path, variables(full))
    assert json.loads(printed.splitlines()[-1])["run_id"] == "packed"


def _site_packages(folder: Path) -> Path:
    return next(folder.glob("lib/python*/site-packages"))


def _submit(cluster: Cluster, config: Path, driver: Path, python: str, *options: str) -> CompletedProcess[str]:
    """Submit the job to the cluster without the path by which its tests find dvspark."""
    conf = {
        **cluster.conf(),
        "spark.executorEnv.PYTHONPATH": "",
        "spark.pyspark.driver.python": str(driver),
        "spark.pyspark.python": python,
    }
    environment = {name: value for name, value in cluster.environment().items() if name != "PYTHONPATH"}
    words = (str(JOB), str(config), "--json")
    place = cluster.folder
    return submit(cluster.master, conf, TELL_ORIGINS, *words, environment=environment, folder=place, options=options)


def _origins(ended: CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    line = next(line for line in ended.stdout.splitlines() if line.startswith('{"driver"'))
    return json.loads(line)


def _assert_published(ended: CompletedProcess[str], folder: Path) -> None:
    assert json.loads(ended.stdout.splitlines()[-1])["run_id"] == "packed"
    assert pq.read_table(folder / "out" / "values" / "run_id=packed").num_rows == N_TRAIN
