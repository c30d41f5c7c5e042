"""Which engine a job takes, and why: Spark where it is there or asked for, this machine for what takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import draw_data, write_parquet

from dvspark.config.sources import load_config
from dvspark.engine.planning.calibrate import PointCost
from dvspark.errors import ConfigError
from dvspark.local.session import LocalSession, open_local_session
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.run import engine_choice, plan
from dvspark.run.request import Spread

DATA = draw_data(40, 20, seed=3)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSession]:
    for name in ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(engine_choice, "has_active_session", lambda: False)
    monkeypatch.setattr(engine_choice, "default_master", lambda: None)
    with open_local_session() as session:
        yield session


def _chosen(local: LocalSession, folder: Path, **settings: Any) -> tuple[str, str]:
    given = {
        "train": {"path": write_parquet(folder / "train.parquet", DATA.train)},
        "validation": {"path": write_parquet(folder / "validation.parquet", DATA.validation)},
        "output": {"path": str(folder / "out")},
    }
    return engine_choice.chosen(load_config(None, {**given, **settings}), local)


def test_auto__is_local_for_a_small_job(local: LocalSession, tmp_path: Path) -> None:
    name, why = _chosen(local, tmp_path)
    assert (name, "for 40 rows by 20" in why) == ("local", True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"spark": {"master": "local[2]"}}, "spark.master is local[2]"),
        ({"spark": {"conf": {"spark.executor.memory": "1g"}}}, "spark.conf"),
        ({"plan": "sharded"}, "plan: sharded"),
        ({"train": {"table": "a.b"}}, "train.table: table a.b"),
        ({"train": {"path": "t.orc", "format": "orc"}}, "train.format: orc"),
        ({"output": {"path": "out", "table": "a.b"}}, "output.table: table a.b"),
        ({"engine": "spark"}, "it is set"),
    ],
)
def test_auto__is_spark_where_it_is_asked_for_or_needed(
    local: LocalSession, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    name, why = _chosen(local, tmp_path, **settings)
    assert (name, said in why) == ("spark", True)


@pytest.mark.parametrize("variable", ["PYSPARK_GATEWAY_PORT", "SPARK_REMOTE"])
def test_auto__is_spark_under_spark_submit_and_connect(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert _chosen(local, tmp_path)[0] == "spark"
    assert _chosen(local, tmp_path, engine="local")[0] == "local"


def test_auto__is_spark_in_a_process_with_a_session(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "has_active_session", lambda: True)
    assert _chosen(local, tmp_path) == ("spark", "a session is active")


def test_auto__is_spark_where_its_own_settings_name_a_master(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("sc://host:15002/;token=hunter2", "spark-defaults.conf")
    monkeypatch.setattr(engine_choice, "default_master", lambda: named)
    name, why = _chosen(local, tmp_path)
    assert (name, "spark-defaults.conf names sc://host:15002" in why, "hunter2" in why) == ("spark", True, False)


@pytest.mark.parametrize(("point_seconds", "name"), [(1.0, "local"), (10.0, "spark")])
def test_auto__is_settled_by_the_estimate(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point_seconds: float, name: str
) -> None:
    monkeypatch.setattr(engine_choice, "FEW_PAIRS", 0)
    monkeypatch.setattr(engine_choice, "calibrate", lambda *_, **__: PointCost(point_seconds, 0.0))
    hosts = engine_choice.read_hosts(local, None)
    monkeypatch.setattr(engine_choice, "read_hosts", lambda *_: replace(hosts, n_tasks=1, n_tasks_here=1))
    assert _chosen(local, tmp_path)[0] == name


def test_auto__is_spark_for_files_that_only_spark_reads(local: LocalSession, tmp_path: Path) -> None:
    place = tmp_path / "odd.parquet"
    x = pa.array([{"x": 1.0}])
    pq.write_table(pa.table({"id": [1], "embedding": x, "label": [1]}), place)
    name, why = _chosen(local, tmp_path, train={"path": str(place)})
    assert (name, "struct" in why) == ("spark", True)
    with pytest.raises(ConfigError, match="struct"):
        engine_choice._by_size(load_config(None, _settings(tmp_path, place)), local)


def test_auto__starts_no_spark_for_float16_which_it_cannot_read_either(local: LocalSession, tmp_path: Path) -> None:
    place = tmp_path / "halves.parquet"
    x = pa.array([[1.0, 2.0]], pa.list_(pa.float16()))
    pq.write_table(pa.table({"id": [1], "embedding": x, "label": [1]}), place)
    chosen = _chosen(local, tmp_path, train={"path": str(place)})
    assert chosen == ("local", "the train table cannot be valued as it is")


def _settings(folder: Path, train: Path) -> dict[str, Any]:
    validation = write_parquet(folder / "validation.parquet", DATA.validation)
    return {"train": {"path": str(train)}, "validation": {"path": validation}, "output": {"path": str(folder)}}


def test_auto__tells_of_a_bad_table_without_spark(local: LocalSession, tmp_path: Path) -> None:
    name, why = _chosen(local, tmp_path, train={"path": str(tmp_path / "missing.parquet")})
    assert (name, "train table" in why) == ("local", True)


def test_auto__is_spark_where_a_connector_may_read_what_files_do_not_tell(
    local: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"path": str(tmp_path / "none"), "format": "delta"}
    assert _chosen(local, tmp_path, train=table)[0] == "spark"
    monkeypatch.setattr(engine_choice, "find_spec", lambda _: None)
    assert _chosen(local, tmp_path, train=table)[0] == "local"
    monkeypatch.setattr("dvspark.tables.sources.pinned.find_spec", lambda _: None)
    name, why = _chosen(local, tmp_path, train=table)
    assert (name, "delta" in why) == ("spark", True)


def test_plan__of_an_index_that_does_not_fit_this_machine_is_refused(
    local: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(name="sharded", reason="3. it does not fit")
    monkeypatch.setattr(plan, "make_plan", lambda *_, **__: found)
    inputs: Any = SimpleNamespace(
        train_facts=SimpleNamespace(n_rows=9), validation_facts=SimpleNamespace(n_rows=9), n_features=2, dtype="float32"
    )
    with pytest.raises(ConfigError, match="it does not fit"):
        plan.plan_run(inputs, ValueOptions("knn_shapley", {"k": 1}), Spread(), local, Stages())
