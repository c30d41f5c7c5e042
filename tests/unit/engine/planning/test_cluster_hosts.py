"""How many tasks and how much memory a host has, as told by what a session says of itself: no session is started."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dvspark.engine.planning import cluster
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.planning.plan import Hosts, group_limits, this_host_bytes

GIB = 2**30


class Session:
    """A classic session with so many cores in all."""

    def __init__(self, n_cores: int, **settings: str) -> None:
        self.conf = SimpleNamespace(get=lambda key, default: settings.get(key.replace(".", "_"), default))
        self.sparkContext = SimpleNamespace(defaultParallelism=n_cores)


class ConnectSession(Session):
    """A Connect client, which answers queries alone."""

    def __init__(self, n_cores: int, **settings: str) -> None:
        super().__init__(n_cores, **settings)
        del self.sparkContext
        self.n_cores = n_cores

    def range(self, _n_rows: int) -> ConnectSession:
        return self

    def selectExpr(self, _expression: str) -> ConnectSession:
        return self

    def collect(self) -> list[dict[str, int]]:
        return [{"n": self.n_cores}]


ConnectSession.__module__ = "pyspark.sql.connect.session"


@pytest.fixture(autouse=True)
def _this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.os, "cpu_count", lambda: 16)


@pytest.mark.parametrize("kind", [Session, ConnectSession])
def test_read_hosts__an_executor_s_cores_are_a_host_s_tasks(kind: Any) -> None:
    session = kind(40, spark_master="spark://master:7077", spark_executor_cores="8")
    assert read_hosts(session, "64g") == Hosts(n_tasks=40, n_tasks_here=8, memory_bytes=64 * GIB)


def test_read_hosts__local_mode_is_one_host() -> None:
    session = Session(40, spark_master="local[40]", spark_executor_cores="8")
    assert read_hosts(session, "1g") == Hosts(40, 40, GIB)


def test_read_hosts__tasks_of_several_cores_are_fewer() -> None:
    session = Session(40, spark_master="yarn", spark_executor_cores="8", spark_task_cpus="4")
    assert read_hosts(session, "1g") == Hosts(10, 2, GIB)


def test_read_hosts__what_is_not_said_is_as_here() -> None:
    found = read_hosts(Session(40, spark_master="spark://master:7077"), None)
    assert found == Hosts(40, 16, this_host_bytes())
    assert 0 < found.memory_bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("groups", "limits", "found"),
    [
        ("0::/\n", {"memory.max": "4294967296\n"}, [4 * GIB]),
        ("0::/\n", {"memory.max": "max\n"}, []),
        (
            "0::/a/b\n",
            {"a/b/memory.max": "max", "a/memory.max": f"{2 * GIB}", "memory.max": f"{8 * GIB}"},
            [2 * GIB, 8 * GIB],
        ),
        ("5:devices:/\n4:memory:/job/1\n0::/\n", {"memory/job/1/memory.limit_in_bytes": f"{GIB}"}, [GIB]),
        # A container that sees its own group as the root, by a name that only its host knows.
        ("4:cpu,memory:/docker/1f\n", {"memory/memory.limit_in_bytes": f"{GIB}"}, [GIB]),
        ("9:name=systemd:/user\n", {"memory/memory.limit_in_bytes": f"{GIB}"}, []),
        ("0::/a/b\n", {}, []),
        (None, {"memory.max": f"{GIB}"}, []),
    ],
)
def test_group_limits__are_those_of_all_groups_around_the_process(
    tmp_path: Path, groups: str | None, limits: dict[str, str], found: list[int]
) -> None:
    files = {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    files |= {} if groups is None else {"proc/self/cgroup": groups}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert group_limits(tmp_path) == found


def test_this_host_bytes__is_what_the_smallest_group_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvspark.engine.planning.plan.group_limits", lambda _: [2**20, 2**62])
    assert this_host_bytes() == 2**20


def test_read_hosts__never_more_tasks_on_a_host_than_in_all_and_at_least_one() -> None:
    assert read_hosts(Session(4, spark_master="yarn", spark_executor_cores="8"), "1g") == Hosts(4, 4, GIB)
    assert read_hosts(Session(1, spark_master="yarn", spark_task_cpus="64"), "1g") == Hosts(1, 1, GIB)
