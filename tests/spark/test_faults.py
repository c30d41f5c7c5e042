"""Faults on a real standalone cluster: the bits of an undisturbed run, or a clear failure and nothing published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq
import pytest

from dvspark.errors import ComputeError, ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    from standalone_cluster import Cluster

pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(600)]  # the first test waits for all jobs

FAULT_CONF = {
    "spark.task.maxFailures": "4",
    "spark.speculation": "true",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.multiplier": "1.2",
}
# Eleven jobs, and four executors that must start again; on a machine under load it has taken 160.
DRIVER_SECONDS = 400
# Executors end when their driver has; a machine under load takes a while.
END_SECONDS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def jobs(cluster: Cluster, folder: Path) -> dict[str, dict[str, Any]]:
    """What came of each job of one driver, whose faults come one after the other."""
    cache = folder / "host"  # not the cluster's: other tests count what is in that
    conf = {**cluster.conf(), **FAULT_CONF, "spark.executorEnv.DVSPARK_CACHE": str(cache)}
    words = json.dumps({"master": cluster.master, "conf": conf, "folder": str(folder), "cache": str(cache)})
    script = Path(__file__).parent / "fault_drivers.py"
    ended = cluster.run_driver(script, words, seconds=DRIVER_SECONDS, DVSPARK_CACHE=str(cache))
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def _values(folder: Path, name: str) -> pa.Table:
    return pq.read_table(folder / name / "values" / "run_id=run").sort_by("id")


@pytest.mark.parametrize("name", ["map", "reduce", "speculative", "cache"])
def test_fault__leaves_the_same_bits(jobs: dict[str, dict[str, Any]], folder: Path, name: str) -> None:
    assert jobs[name]["exit_code"] == 0, jobs[name]["said"]
    assert jobs[name]["came"]
    assert not jobs["undisturbed"]["came"]
    undisturbed = "cache_undisturbed" if name == "cache" else "undisturbed"
    assert jobs[undisturbed]["exit_code"] == 0, jobs[undisturbed]["said"]
    assert _values(folder, name).equals(_values(folder, undisturbed))
    assert jobs[name]["building"] == []
    assert sorted(path.name for path in (folder / name).iterdir()) == ["runs", "validation_rows", "values"]


def test_fault__a_copy_of_the_index_that_was_overwritten_is_made_again(
    jobs: dict[str, dict[str, Any]], folder: Path
) -> None:
    assert jobs["overwritten"]["exit_code"] == 0, jobs["overwritten"]["said"]
    assert _values(folder, "overwritten").equals(_values(folder, "undisturbed"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("twice", ["more than once [0, 1, 2"]),
        ("damaged", ["damaged: x.npy"]),
        ("memory", ["Unable to allocate 1.00 GiB", "let fewer run at once"]),
        ("killed", ["Python worker exited unexpectedly", "spark.executor.memoryOverhead"]),
    ],
)
def test_fault__that_cannot_be_mended_is_told(
    jobs: dict[str, dict[str, Any]], folder: Path, name: str, says: list[str]
) -> None:
    _require_told(jobs, folder, name, says, ComputeError.exit_code)


def test_fault__workers_that_lack_a_package_are_told(jobs: dict[str, dict[str, Any]], folder: Path) -> None:
    says = ["ModuleNotFoundError: No module named 'only_here'", "--py-files"]
    _require_told(jobs, folder, "lacking", says, ConfigError.exit_code)


def _require_told(jobs: dict[str, dict[str, Any]], folder: Path, name: str, says: list[str], exit_code: int) -> None:
    assert jobs[name]["exit_code"] == exit_code, jobs[name]["said"]
    (error,) = [line for line in jobs[name]["said"].splitlines() if '"level": "error"' in line]
    assert [part for part in says if part not in json.loads(error)["message"]] == []
    assert "Traceback" not in error
    assert [path.name for path in (folder / name).iterdir() if path.name != "ledger"] == []
    assert jobs[name]["building"] == []


def test_faults__leave_no_process(jobs: dict[str, dict[str, Any]], cluster: Cluster) -> None:
    places = tuple(f"{place}/" for place in cluster.folder.glob("worker-?"))

    def is_left(process: psutil.Process) -> bool:
        try:
            return process.cwd().startswith(places)
        except psutil.Error:
            return False

    _, alive = psutil.wait_procs([process for process in psutil.process_iter() if is_left(process)], END_SECONDS)
    assert alive == []
