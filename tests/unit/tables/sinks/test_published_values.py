"""Values of one run among several, read without Spark: the bits that were published, or an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from histories import SCHEMA, TABLE, Fault, World, clean

import dvspark
from dvspark import ConfigError, OutputConflictError
from dvspark.tables.sinks import published_values

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")


@pytest.fixture(params=["parquet", "delta", "iceberg"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(tmp_path: Path, form: str) -> Iterator[World]:
    """Two runs in one output, the second the latest."""
    made = World(tmp_path)
    for run_id, option in (("first", 1), ("second", 2)):
        assert made.job(run_id, option, form, Fault(), force=False) == "done"
    with made.known():
        yield made


def by_rank(run_id: str, option: int) -> pa.Table:
    return clean(run_id, option).sort_by("rank")


def test_read_values__are_of_the_latest_run_or_of_the_one_asked_for(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert dvspark.read_values(out).equals(by_rank("second", 2))
    assert dvspark.read_values(str(out), "first").equals(by_rank("first", 1))
    assert dvspark.read_values(out.as_uri(), "second").schema.names == SCHEMA.names


def test_read_values__are_the_new_ones_after_force(world: World, tmp_path: Path, form: str) -> None:
    assert world.job("first", 3, form, Fault(), force=True) == "done"
    assert dvspark.read_values(tmp_path / "out").equals(by_rank("first", 3))
    assert dvspark.read_values(tmp_path / "out", "second").equals(by_rank("second", 2))


def test_read_values__that_are_not_those_published_are_refused(world: World, tmp_path: Path, form: str) -> None:
    if form == "parquet":
        file = next((tmp_path / "out" / "values" / "run_id=first").glob("*.parquet"))
        pq.write_table(pq.read_table(file, partitioning=None).slice(1), file)
    else:
        world.table(form).remove("first")
    with pytest.raises(OutputConflictError, match="the values that it has published"):
        dvspark.read_values(tmp_path / "out", "first")
    assert dvspark.read_values(tmp_path / "out", "second").equals(by_rank("second", 2))


def test_read_values__of_a_run_that_is_not_there_are_refused(world: World, tmp_path: Path) -> None:
    for run_id in ("third", "../first", ""):
        with pytest.raises(ConfigError):
            dvspark.read_values(tmp_path / "out", run_id)
    with pytest.raises(ConfigError, match="no published run"):
        dvspark.read_values(tmp_path / "elsewhere")
    world.storage.remove("runs/second")
    with pytest.raises(ConfigError, match=r"none, of 1 published runs: first[\s\S]*name one by run_id"):
        dvspark.read_values(tmp_path / "out")
    assert dvspark.read_values(tmp_path / "out", "first").equals(by_rank("first", 1))


def test_read_values__of_a_record_that_was_edited_are_refused(world: World, tmp_path: Path) -> None:
    file = tmp_path / "out" / "runs" / "first" / "run.json"
    content = file.read_text()
    other = (tmp_path / "out" / "runs" / "second" / "run.json").read_text()
    for wrong in (content.replace("bigint", "string"), other, "{}", content[:-9]):
        file.write_text(wrong)
        with pytest.raises(OutputConflictError, match="the record of a run"):
            dvspark.read_values(tmp_path / "out", "first")


@pytest.mark.parametrize("form", ["parquet"], indirect=True)
def test_values__of_all_runs_lie_together_and_one_line_reads_those_of_one(world: World, tmp_path: Path) -> None:
    together = pd.read_parquet(tmp_path / "out" / "values")
    assert sorted(together["run_id"].unique()) == ["first", "second"]
    assert len(together) == 10
    alone = pd.read_parquet(tmp_path / "out" / "values" / "run_id=first").sort_values("rank")
    assert alone["value"].tolist() == by_rank("first", 1)["value"].to_pylist()


@pytest.mark.parametrize("form", ["delta", "iceberg"], indirect=True)
def test_values__of_tables_are_read_by_one_line(world: World, tmp_path: Path, form: str) -> None:
    if form == "delta":
        from deltalake import DeltaTable

        table = DeltaTable(tmp_path / "out" / "values").to_pyarrow_table(filters=[("run_id", "=", "first")])
    else:
        table = world.catalog.load_table(TABLE.partition(".")[2]).scan(row_filter="run_id = 'first'").to_arrow()
    assert table.sort_by("rank")["value"].to_pylist() == by_rank("first", 1)["value"].to_pylist()


def test_read_values__of_a_run_that_is_published_again_meanwhile_are_not_called_damaged(
    world: World, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forced run replaces all in the moment after the record was read."""
    rows = published_values.published_rows

    def late(*args: Any) -> pa.Table:
        assert world.job("first", 3, form, Fault(), force=True) == "done"
        return rows(*args)

    monkeypatch.setattr(published_values, "published_rows", late)
    with pytest.raises(OutputConflictError, match="read it again when that process has ended"):
        dvspark.read_values(tmp_path / "out", "first")
    monkeypatch.undo()
    assert dvspark.read_values(tmp_path / "out", "first").equals(by_rank("first", 3))
