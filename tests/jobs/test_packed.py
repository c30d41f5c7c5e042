"""The package as a zip and as a packed environment: `spark-submit` brings it to hosts that do not have it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from importlib.metadata import distribution
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import yaml
from frames import draw_data, write_parquet
from packaging.requirements import Requirement
from standalone_cluster import REPOSITORY, SPARK_HOME, run_process

if TYPE_CHECKING:
    from standalone_cluster import Cluster

pytestmark = pytest.mark.spark

JOB = REPOSITORY / "jobs" / "value.py"
TELL_ORIGINS = Path(__file__).parent / "tell_origins.py"
N_TRAIN = 80
# Spark comes from the cluster; what dvspark adds to it is in its own requirements. pandas is Spark's own need.
LEFT_OUT = ("pyspark",)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with everything dvspark needs and without dvspark: a host's own Python."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    venv.create(folder, symlinks=False)  # a copied interpreter finds its packages wherever the folder goes
    site = _site_packages(folder)
    for name in _requirements("dvspark"):
        for file in distribution(name).files or ():
            if ".." not in file.parts and "tests" not in file.parts:  # scripts name this environment; tests are 60 MB
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), site / file)  # with its time, by which Python trusts compiled files
    return folder


@pytest.fixture(scope="module")
def full(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same environment with dvspark in it."""
    folder = tmp_path_factory.mktemp("full") / "environment"
    shutil.copytree(bare, folder, copy_function=os.link)  # links: 350 MB are there once
    shutil.copytree(REPOSITORY / "dvspark", _site_packages(folder) / "dvspark")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A job whose folders are its own; its report is there to show that the driver has its files, too."""
    data = draw_data(N_TRAIN, 40, seed=67)
    write_parquet(tmp_path / "train.parquet", data.train)
    write_parquet(tmp_path / "validation.parquet", data.validation)
    places = {name: str(tmp_path / f"{name}.parquet") for name in ("train", "validation")}
    path = tmp_path / "value.yaml"
    path.write_text(yaml.safe_dump({**places, "output": str(tmp_path / "out"), "run_id": "packed", "report": False}))
    return path


def test_zip_of_the_package__runs_where_dvspark_is_not_installed(
    cluster: Cluster, bare: Path, config: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "dvspark.zip"
    subprocess.run([sys.executable, "-m", "dvspark", "pack", archive], cwd=REPOSITORY, check=True)
    python = bare / "bin" / "python"
    ended = _submit(cluster, config, python, str(python), "--py-files", str(archive))
    found = _origins(ended)
    assert all("/dvspark.zip/" in each["dvspark"] for each in [found["driver"], *found["executors"]])
    assert {each["python"] for each in found["executors"]} == {str(bare)}
    _assert_published(ended, tmp_path)


def test_packed_environment__runs_on_executors_out_of_its_archive(
    cluster: Cluster, full: Path, config: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "environment.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(full, ".")
    options = ("--archives", f"{archive}#environment")
    ended = _submit(cluster, config, full / "bin" / "python", "./environment/bin/python", *options)
    for each in _origins(ended)["executors"]:
        unpacked = Path(each.pop("python"))
        assert unpacked.name == "environment"
        assert unpacked.is_relative_to(cluster.folder)  # where the executors' work folders are
        assert all(Path(file).is_relative_to(unpacked) for file in each.values())
    _assert_published(ended, tmp_path)


def _requirements(name: str) -> set[str]:
    """Return the names of all distributions that ``name`` needs at least, and pandas."""
    todo, found = [name, "pandas"], set[str]()
    while todo:
        wanted = todo.pop()
        if wanted not in found:
            found.add(wanted)
            asked = map(Requirement, distribution(wanted).requires or ())
            todo += [each.name for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found - {name}


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
    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster.master, *settings, *options]
    return run_process([*command, str(TELL_ORIGINS), str(JOB), str(config), "--json"], environment, cluster.folder)


def _origins(ended: CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    line = next(line for line in ended.stdout.splitlines() if line.startswith('{"driver"'))
    return json.loads(line)


def _assert_published(ended: CompletedProcess[str], folder: Path) -> None:
    assert json.loads(ended.stdout.splitlines()[-1])["run_id"] == "packed"
    assert pq.read_table(folder / "out" / "values" / "run_id=packed").num_rows == N_TRAIN
