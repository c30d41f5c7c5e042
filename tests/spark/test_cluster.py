"""A real standalone cluster: the values are those of this process, and the index is there once a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drivers import DATA, N_PROBES, OPTIONS, SOFT_OPTIONS
from standalone_cluster import N_WORKERS

import dvspark

if TYPE_CHECKING:
    from standalone_cluster import Cluster

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder all hosts of the cluster see."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def report(cluster: Cluster, shared: Path) -> dict[str, Any]:
    """What one driver on the cluster saw."""
    words = json.dumps({"master": cluster.master, "conf": cluster.conf(), "shared": str(shared)})
    ended = cluster.run_driver(Path(__file__).parent / "drivers.py", "cluster", words)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("shipping", "options"), [("shipped", OPTIONS), ("shared", SOFT_OPTIONS), ("sharded", SOFT_OPTIONS)]
)
def test_cluster__values_equal_the_local_engine(report: dict[str, Any], shipping: str, options: dict[str, Any]) -> None:
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, **options)
    np.testing.assert_allclose(report[shipping], local, rtol=0, atol=1e-12)
    assert set(report["findings"]) == {"pass"}


def test_cluster__stopped_sessions_are_told_as_such(report: dict[str, Any]) -> None:
    assert [said for said in report["stopped"] if "got: one that was stopped" not in said] == []


def test_cluster__all_workers_map_one_and_the_same_file(report: dict[str, Any], cluster: Cluster) -> None:
    mapped = report["mapped"]
    assert report["shipping"] == "artifact"
    assert len(mapped) == N_PROBES
    assert len({probe["executor"] for probe in mapped}) == N_WORKERS
    assert {probe["path"] for probe in mapped} == {str(cluster.cache / report["digest"] / "x.npy")}
    assert len({probe["file"] for probe in mapped}) == 1
    assert {probe["mode"] for probe in mapped} == {"r--s"}  # read-only, shared
    assert {probe["total"] for probe in mapped} == {mapped[0]["total"]}
    np.testing.assert_allclose(mapped[0]["total"], DATA.train.x.sum(dtype=np.float64), rtol=1e-12)


def test_cluster__the_cache_holds_each_index_once(report: dict[str, Any], cluster: Cluster) -> None:
    # The shipped index and the probed one are the same rows under the same metric: one copy. The other one
    # is the cosine index from the shared folder.
    folders = [path for path in cluster.cache.iterdir() if path.is_dir()]
    assert len(folders) == 2
    assert report["digest"] in {path.name for path in folders}
    assert all((folder / "x.npy").stat().st_nlink == 1 for folder in folders)


def test_cluster__the_shared_folder_is_left_as_it_was(report: dict[str, Any], shared: Path) -> None:
    assert [path.name for path in shared.iterdir()] == ["probed"]
