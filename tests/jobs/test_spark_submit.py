"""`spark-submit jobs/value.py`: its exit code, its last line, its files, its messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from frames import draw_data, write_parquet
from standalone_cluster import REPOSITORY, driver_environment, run_process, submit

import dvspark
from dvspark.errors import AuditError, ConfigError, InputError, OutputConflictError
from dvspark.spark.session import LOCAL_CONF

if TYPE_CHECKING:
    from standalone_cluster import Cluster

pytestmark = pytest.mark.spark

# Submits a script with words to Spark.
Submitted = Callable[..., CompletedProcess[str]]
JOB = REPOSITORY / "jobs" / "value.py"
DATA = draw_data(80, 40, seed=61)


def _config(folder: Path, **changes: Any) -> str:
    settings = {
        "train": {"path": str(folder / "train.parquet")},
        "validation": str(folder / "validation.parquet"),
        "output": {"path": str(folder / "out")},
        "run_id": "submitted",
        "k": 3,
        "report": False,
    }
    path = folder / f"config-{len(list(folder.glob('config-*')))}.yaml"
    path.write_text(yaml.safe_dump({**settings, **changes}))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("job")
    write_parquet(place / "train.parquet", DATA.train)
    write_parquet(place / "validation.parquet", DATA.validation)
    x = DATA.train.x.copy()
    x[5, 0] = np.nan
    write_parquet(place / "bad.parquet", replace(DATA.train, x=x, ids=[*DATA.train.ids[:-1], DATA.train.ids[0]]))
    return place


@pytest.fixture(scope="module")
def good(cluster: Cluster, folder: Path) -> CompletedProcess[str]:
    """A job that goes well; the ones after it find its output."""
    return cluster.spark_submit(JOB, _config(folder), "--json")


@pytest.fixture
def submitted(java_home: Path, folder: Path) -> Submitted:
    """Submit a job in Spark's local mode: a job that is refused never comes to executors."""

    def run(script: Path, *words: str) -> CompletedProcess[str]:
        return submit("local[2]", LOCAL_CONF, script, *words, environment=driver_environment(java_home), folder=folder)

    return run


def _assert_refused(ended: CompletedProcess[str], exit_code: int, *says: str) -> None:
    # spark-submit in client mode joins the script's standard error to its own standard output.
    said = ended.stdout + ended.stderr
    assert ended.returncode == exit_code, said
    assert [part for part in says if part not in said] == [], said
    assert "Traceback" not in said
    assert '"run_id": ' not in ended.stdout  # no summary


@pytest.mark.long
def test_good_job__exits_0_and_tells_where_its_files_are(good: CompletedProcess[str], folder: Path) -> None:
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Traceback" not in good.stdout + good.stderr
    summary = json.loads(good.stdout.splitlines()[-1])
    assert summary["run_id"] == "submitted"
    assert {finding["verdict"] for finding in summary["findings"]} == {"pass"}
    for place in summary["outputs"].values():
        assert Path(place.removeprefix("file://")).exists()
    values = pq.read_table(folder / "out" / "values" / "run_id=submitted")
    found = dict(zip(values["id"].to_pylist(), values["value"].to_pylist(), strict=True))
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, k=3)
    np.testing.assert_allclose([found[i] for i in DATA.train.ids], local, rtol=0, atol=1e-12)


def test_bad_configuration__exits_2_and_tells_all_problems(submitted: Submitted, folder: Path) -> None:
    config = _config(folder, k=0, metric="manhattan", run_id="../up", ties="random")
    says = ("4 problems", "parameter 'k'", "'manhattan'", "'../up'", "'random'")
    _assert_refused(submitted(JOB, config), ConfigError.exit_code, *says)


@pytest.mark.long
def test_bad_data__exits_3_and_tells_all_problems(submitted: Submitted, folder: Path) -> None:
    config = _config(folder, train={"path": str(folder / "bad.parquet")}, run_id="bad-data")
    says = ("2 problems", "NaN or infinity in 1 rows", "1 ids more than once")
    _assert_refused(submitted(JOB, config), InputError.exit_code, *says)
    assert not (folder / "out" / "runs" / "bad-data").exists()


@pytest.mark.long
def test_output_conflict__exits_4_and_leaves_the_first_run(
    submitted: Submitted, folder: Path, good: CompletedProcess[str]
) -> None:
    record = (folder / "out" / "runs" / "submitted" / "run.json").read_bytes()
    ended = submitted(JOB, _config(folder), "--k", "4")
    _assert_refused(ended, OutputConflictError.exit_code, "run_id submitted", "choose another run_id or output")
    assert (folder / "out" / "runs" / "submitted" / "run.json").read_bytes() == record


@pytest.mark.long
def test_failed_audit__exits_6_and_publishes_nothing(submitted: Submitted, folder: Path) -> None:
    config = _config(folder, output={"path": str(folder / "planted")})
    ended = submitted(Path(__file__).parent / "planted_error.py", config)
    _assert_refused(ended, AuditError.exit_code, "audit: efficiency", "nothing was published")
    assert not any((folder / "planted").iterdir())


@pytest.mark.long
def test_value__without_spark_submit_runs_where_spark_defaults_say(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    lines = {"spark.master": cluster.master, **cluster.conf()}
    (tmp_path / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    words = ["value", _config(folder, output={"path": str(tmp_path / "out")}), "--json"]
    variables = {**cluster.environment(), "SPARK_CONF_DIR": str(tmp_path)}
    before = _registered(cluster)
    ended = run_process([sys.executable, "-m", "dvspark", *words], variables, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert f"spark-defaults.conf names {cluster.master}" in ended.stderr
    assert _registered(cluster) == before + 1  # the cluster has had one more application
    assert pq.read_table(tmp_path / "out" / "values").num_rows == len(DATA.train)


def _registered(cluster: Cluster) -> int:
    return (cluster.folder / "master.log").read_text(errors="replace").count("Registered app dvspark")
