"""Delta and Iceberg tables go in at the state that was asked for, and values come out in one commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import Side, draw_data, write_parquet
from lake_tables import catalog_properties, open_catalog, rows_of, write_delta, write_iceberg

from dvspark.errors import InputError
from dvspark.tables import lake
from dvspark.tables.read import TableReference, read_rows, read_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")
pytestmark = pytest.mark.spark

DATA = draw_data(60, 20, seed=5, id_type="string", label_type="string")
EARLY, LATE = DATA.train.take(slice(40)), DATA.train.take(slice(40, 60))
OWNERS = [f"owner {row % 3}" for row in range(40)]
K = 4

Command = Callable[..., int]


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A catalog that pyiceberg's own configuration knows as ``lake``."""
    config = {"catalog": {"lake": catalog_properties(tmp_path / "lake")}}
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG.config", config)
    return open_catalog(tmp_path / "lake")


@pytest.fixture(scope="module")
def parquet(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tables as Parquet, and what a run over the early rows made of them."""
    folder = tmp_path_factory.mktemp("parquet")
    train = write_parquet(folder / "train.parquet", EARLY, owner=OWNERS)
    validation = write_parquet(folder / "validation.parquet", DATA.validation)
    words = ["--validation", validation, "--report", "false", "--k", K, "--run_id", "run"]
    assert command("value", "--train", train, "--train.owner", "owner", *words, "--output", folder / "out") == 0
    values = pq.read_table(folder / "out" / "values" / "run_id=run").sort_by("id")
    return train, words, values, _record(folder / "out")


def _record(out: Path, run_id: str = "run") -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "runs" / run_id / "run.json").read_text())
    return record


def _rows(spark: SparkSession, **reference: Any) -> list[dict[str, Any]]:
    frame, _, _ = read_table(spark, "train", TableReference(**reference))
    found: list[dict[str, Any]] = frame.toArrow().to_pylist()
    return found


def _same(side: Side, rows: list[dict[str, Any]]) -> bool:
    def sorted_rows(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(given, key=lambda row: row["id"])

    return sorted_rows(rows_of(side).to_pylist()) == sorted_rows(rows)


# --- reading ----------------------------------------------------------------------------------------------


def test_delta__a_job_values_the_version_it_names(
    command: Command, parquet: Any, tmp_path: Path, spark: SparkSession
) -> None:
    _, words, expected, plain = parquet
    late = rows_of(LATE, owner=["late"] * 20)
    path = write_delta(tmp_path / "a table", rows_of(EARLY, owner=OWNERS), late)
    asked = ["--train.path", path, "--train.format", "delta", "--train.version", 0, "--train.owner", "owner"]
    assert command("value", *asked, *words, "--output", tmp_path / "out") == 0
    found = pq.read_table(tmp_path / "out" / "values" / "run_id=run").sort_by("id")
    assert found.equals(expected)
    record = _record(tmp_path / "out")
    assert record["fingerprint"] == plain["fingerprint"]  # the rows decide it, not where they came from
    train = record["inputs"]["train"]
    assert (train["format"], train["version"], train["n_files"], train["n_rows"]) == ("delta", 0, 1, 40)
    assert len(_rows(spark, path=path, format="delta")) == 60


def test_iceberg__a_job_values_the_snapshot_it_names(
    command: Command, parquet: Any, tmp_path: Path, catalog: Any
) -> None:
    _, words, expected, _ = parquet
    table = write_iceberg(catalog, "train", rows_of(EARLY, owner=OWNERS), rows_of(LATE, owner=["late"] * 20))
    first = table.snapshots()[0].snapshot_id
    asked = ["--train.table", "lake.db.train", "--train.format", "iceberg", "--train.snapshot", first]
    assert command("value", *asked, "--train.owner", "owner", *words, "--output", tmp_path / "out") == 0
    assert pq.read_table(tmp_path / "out" / "values" / "run_id=run").sort_by("id").equals(expected)
    train = _record(tmp_path / "out")["inputs"]["train"]
    assert (train["format"], train["snapshot_id"], train["schema_id"], train["n_files"]) == ("iceberg", first, 0, 1)


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_latest__is_settled_once_whatever_is_committed_later(
    spark: SparkSession, tmp_path: Path, catalog: Any, kind: str
) -> None:
    if kind == "delta":
        reference = TableReference(path=write_delta(tmp_path / "t", rows_of(EARLY)), format="delta")
    else:
        table = write_iceberg(catalog, "t", rows_of(EARLY))
        reference = TableReference(table="lake.db.t", format="iceberg")
    rows = read_rows(spark, "train", reference)
    assert not isinstance(rows, list)
    assert rows.frame.count() == 40
    if kind == "delta":
        write_delta(tmp_path / "t", rows_of(LATE))
    else:
        table.append(rows_of(LATE))
    assert rows.frame.count() == 40
    assert _same(EARLY, rows.frame.toArrow().to_pylist())
    assert len(_rows(spark, **{name: getattr(reference, name) for name in ("path", "table", "format")})) == 60


def test_delta__partition_columns_are_columns_again(spark: SparkSession, tmp_path: Path) -> None:
    labels = ["plain", "b l%20a/n+k:é*[x]{y}?\\", None, "plain"]
    days = [date(2026, 1, 1), None, date(2026, 1, 2), date(2026, 1, 2)]
    table = pa.table({"id": [1, 2, 3, 4], "label": labels, "part": [7, 8, None, 9], "day": days})
    path = write_delta(tmp_path / "a + b", table, partition_by=["label", "part", "day"])
    assert sorted(_rows(spark, path=path, format="delta"), key=lambda row: row["id"]) == table.to_pylist()


def test_delta__columns_that_older_files_lack_are_null(spark: SparkSession, tmp_path: Path) -> None:
    path = write_delta(tmp_path / "t", pa.table({"id": [1]}))
    write_delta(tmp_path / "t", pa.table({"id": [2], "owner": ["o"]}), schema_mode="merge")
    rows = sorted(_rows(spark, path=path, format="delta"), key=lambda row: row["id"])
    assert rows == [{"id": 1, "owner": None}, {"id": 2, "owner": "o"}]


def test_delta__a_version_without_rows_has_none(spark: SparkSession, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    path = write_delta(tmp_path / "t", rows_of(EARLY))
    DeltaTable(path).delete()
    assert _rows(spark, path=path, format="delta") == []


def test_table__refused_by_its_protocol_stops_the_job(
    command: Command, tmp_path: Path, parquet: Any, capsys: Any
) -> None:
    path = write_delta(tmp_path / "t", rows_of(EARLY))
    log = tmp_path / "t" / "_delta_log" / f"{0:020}.json"
    named = '{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],'
    text = log.read_text().replace(
        '{"minReaderVersion":1,"minWriterVersion":2', named + '"writerFeatures":["deletionVectors"]'
    )
    log.write_text(text)
    words = [*parquet[1], "--output", tmp_path / "out"]
    assert command("value", "--train.path", path, "--train.format", "delta", *words) == InputError.exit_code
    assert "reader features deletionVectors" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_format__no_spark_knows_is_a_problem(spark: SparkSession) -> None:
    (problem,) = read_table(spark, "train", TableReference(path="t", format="papyrus"))
    assert (problem.where, problem.got) == ("train.format", "papyrus")


# --- Spark's own connectors -------------------------------------------------------------------------------


def test_connector__is_given_the_version(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql.datasource import DataSource, DataSourceReader

    class Reader(DataSourceReader):
        def __init__(self, options: Any) -> None:
            self.options = dict(options)

        def read(self, partition: Any) -> Any:
            yield (json.dumps(self.options),)

    class Delta(DataSource):
        @classmethod
        def name(cls) -> str:
            return "delta"

        def schema(self) -> str:
            return "options string"

        def reader(self, schema: Any) -> DataSourceReader:
            return Reader(self.options)

    spark.dataSource.register(Delta)
    monkeypatch.setitem(lake.VERSION_OPTION, "delta", "versionAsOf")
    frame, source, _ = read_table(spark, "train", TableReference(path="somewhere", format="delta", version=3))
    assert source == {"format": "delta", "version": 3, "reader": "spark"}
    options = {name.lower(): value for name, value in json.loads(frame.collect()[0]["options"]).items()}
    assert (options["versionasof"], options["path"]) == ("3", "somewhere")


# --- plain files ------------------------------------------------------------------------------------------


def test_listing__is_recorded(parquet: Any) -> None:
    train = parquet[3]["inputs"]["train"]
    assert (train["n_files"], len(train["listing"])) == (1, 64)


@pytest.mark.parametrize("change", ["added", "replaced"])
def test_listing__that_changes_meanwhile_stops_the_job_before_anything_is_published(
    command: Command, parquet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, change: str
) -> None:
    from dvspark import pipeline

    compute, folder = pipeline.compute, tmp_path / "train"
    write_parquet(folder / "one.parquet", EARLY)

    def meanwhile(*arguments: Any) -> Any:
        done = compute(*arguments)
        write_parquet(folder / ("two.parquet" if change == "added" else "one.parquet"), LATE)
        return done

    monkeypatch.setattr(pipeline, "compute", meanwhile)
    words = [*parquet[1], "--output", tmp_path / "out"]
    assert command("value", "--train", folder, *words) == InputError.exit_code
    assert "files that were there when the run began" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
