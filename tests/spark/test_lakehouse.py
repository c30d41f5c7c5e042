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

from dvspark.errors import InputError, OutputConflictError
from dvspark.tables.sinks.values_commits import RunKey, commit_values
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.sinks.write_catalog import CatalogValues
from dvspark.tables.sources.formats import lake, reader_of
from dvspark.tables.sources.pinned import Pinned
from dvspark.tables.sources.read import read_rows, read_table
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.storage import Storage

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
    table: Any = read_table(spark, reader_of("train", TableReference(**reference)))
    found: list[dict[str, Any]] = table.frame.toArrow().to_pylist()
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


@pytest.mark.long
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


def test_files__are_found_whatever_is_in_their_path(spark: SparkSession, tmp_path: Path) -> None:
    side = DATA.train.take(slice(3))
    path = write_parquet(tmp_path / "a + b%20[c]{d}*?" / "é 1.parquet", side)
    outside = pa.table({"owner": ["o"]})
    schema = pa.schema([*rows_of(side).schema, pa.field("owner", pa.string())])
    for place in (path, f"file:{path}", f"file://{path}"):
        frame = lake.frame_of_files(spark, Pinned("delta", 0, (place,), schema, outside))
        assert frame.toArrow().sort_by("id").to_pylist() == rows_of(side, owner=["o"] * 3).sort_by("id").to_pylist()


def test_delta__columns_that_older_files_lack_are_null(spark: SparkSession, tmp_path: Path) -> None:
    path = write_delta(tmp_path / "t", pa.table({"id": [1]}))
    write_delta(tmp_path / "t", pa.table({"id": [2], "owner": ["o"]}), schema_mode="merge")
    rows = sorted(_rows(spark, path=path, format="delta"), key=lambda row: row["id"])
    assert rows == [{"id": 1, "owner": None}, {"id": 2, "owner": "o"}]


def test_iceberg__columns_whose_names_files_cannot_have_are_read(spark: SparkSession, tmp_path: Path) -> None:
    table = pa.table({"my.id": [1, 2], "data-owner": ["a", "b"], "class/label": ["x", None], "plain": [1.5, 2.5]})
    made = write_iceberg(open_catalog(tmp_path / "lake"), "odd", table)
    rows = _rows(spark, path=made.location().removeprefix("file://"), format="iceberg")
    assert sorted(rows, key=lambda row: row["my.id"]) == table.to_pylist()


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
    refused: Any = read_table(spark, reader_of("train", TableReference(path="t", format="papyrus")))
    (problem,) = refused
    assert (problem.where, problem.got) == ("train.format", "papyrus")


# --- Spark's own connectors -------------------------------------------------------------------------------


@pytest.mark.long
def test_connector__is_given_the_version(spark: SparkSession) -> None:
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

    session = spark.newSession()  # what is registered there, other tests do not see
    session.dataSource.register(Delta)
    reference = TableReference(path="somewhere", format="delta", version=3)
    table: Any = read_table(session, reader_of("train", reference))
    assert table.source == {"format": "delta", "version": 3, "reader": "spark"}
    options = {name.lower(): value for name, value in json.loads(table.frame.collect()[0]["options"]).items()}
    assert (options["versionasof"], options["path"]) == ("3", "somewhere")


# --- plain files ------------------------------------------------------------------------------------------


def test_listing__is_recorded(parquet: Any) -> None:
    train = parquet[3]["inputs"]["train"]
    assert (train["n_files"], len(train["listing"])) == (1, 64)


@pytest.mark.parametrize("change", ["added", "replaced"])
def test_listing__that_changes_meanwhile_stops_the_job_before_anything_is_published(
    command: Command, parquet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, change: str
) -> None:
    from dvspark.run import pipeline

    compute, folder = pipeline.compute, tmp_path / "train"
    write_parquet(folder / "one.parquet", EARLY)

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        done = compute(*arguments, **options)
        write_parquet(folder / ("two.parquet" if change == "added" else "one.parquet"), LATE)
        return done

    monkeypatch.setattr(pipeline, "compute", meanwhile)
    words = [*parquet[1], "--output", tmp_path / "out"]
    assert command("value", "--train", folder, *words) == InputError.exit_code
    assert "files that were there when the run began" in capsys.readouterr().err
    assert not any((tmp_path / "out").iterdir())


# --- writing ----------------------------------------------------------------------------------------------


class StoppedError(Exception):
    """A driver that is gone between the commit of the values and the run record."""


def _values(kind: str, out: Path, catalog: Any) -> tuple[pa.Table, list[Any]]:
    """Return the rows of a values table, and the run ids of the commits that added rows."""
    if kind == "delta":
        from deltalake import DeltaTable

        table = DeltaTable(str(out / "values"))
        commits = [commit.get("dvspark.run-id") for commit in table.history()[::-1] if commit["operation"] == "WRITE"]
        return table.to_pyarrow_table(), commits
    table = catalog.load_table("db.values")
    return table.scan().to_arrow(), [s.summary.additional_properties.get("dvspark.run-id") for s in table.snapshots()]


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_output__is_one_commit_a_run_with_the_values_of_the_parquet_run(
    command: Command,
    parquet: Any,
    tmp_path: Path,
    catalog: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    capsys: Any,
) -> None:
    train, words, expected, _ = parquet
    out = tmp_path / "out"
    to = ["--output.path", out, "--output.format", kind]
    to += ["--output.table", "lake.db.values"] if kind == "iceberg" else []
    job = ["value", "--train", train, "--train.owner", "owner", *words, *to]

    rename = Storage.rename

    def stopped(self: Storage, source: str, target: str) -> None:
        if target == "runs/run/run.json":
            raise StoppedError
        rename(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "rename", stopped)
        assert command(*job) == 1
    assert _values(kind, out, catalog)[1] == ["run"]
    assert not (out / "runs" / "run" / "run.json").exists()
    assert command(*job) == 0  # the values are there already, the record was not
    assert command(*job) == 0
    assert "already done" in capsys.readouterr().err
    found, commits = _values(kind, out, catalog)
    assert commits == ["run"]
    assert set(found["run_id"].to_pylist()) == {"run"}
    found = found.drop_columns("run_id").select(expected.column_names).sort_by("id")
    assert found.to_pylist() == expected.to_pylist()

    second = [*job, "--run_id", "second", "--error_bound", "true"]
    assert command(*second) == 0
    found, commits = _values(kind, out, catalog)
    assert commits == ["run", "second"]
    bounds = dict(zip(found["run_id"].to_pylist(), found["error_bound"].to_pylist(), strict=True))
    assert bounds == {"run": None, "second": 0.0}
    record = _record(out, "second")
    assert record["outputs"]["values"] == (str(out / "values") if kind == "delta" else "lake.db.values")
    assert not list(out.glob("_staging*"))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_output__forced_answers_with_the_run_that_was_last(
    command: Command, parquet: Any, tmp_path: Path, catalog: Any, kind: str
) -> None:
    train, words, expected, _ = parquet
    out = tmp_path / "out"
    to = ["--output.path", out, "--output.format", kind]
    to += ["--output.table", "lake.db.values"] if kind == "iceberg" else []
    job = ["value", "--train", train, "--train.owner", "owner", *words, *to]
    assert command(*job, "--run_id", "beside") == 0
    for k in (K, K + 3, K):  # the last one is that of the first commit
        assert command(*job, "--k", k, "--force") == 0
        found, _ = _values(kind, out, catalog)
        mine, others = (found.filter(pa.compute.field("run_id") == run_id) for run_id in ("run", "beside"))
        assert _plain(others) == _plain(expected)
        assert (_plain(mine) == _plain(expected)) == (k == K)
        assert len(mine) == len(expected)
    assert command(*job) == 0
    assert command(*job, "--k", K + 3) == OutputConflictError.exit_code
    if kind == "delta":
        from deltalake import DeltaTable

        DeltaTable(str(out / "values")).delete("run_id = 'run' AND rank = 3")
    else:
        catalog.load_table("db.values").delete("run_id == 'run' and rank == 3")
    assert command(*job) == OutputConflictError.exit_code
    assert command(*job, "--force") == 0
    assert _plain(_values(kind, out, catalog)[0].filter(pa.compute.field("run_id") == "run")) == _plain(expected)


def _plain(values: pa.Table) -> list[dict[str, Any]]:
    """Return rows without the run's id, by id."""
    names = ("id", "value", "standard_error", "rank", "label", "owner")
    return values.select(names).sort_by("id").to_pylist()


def test_output__columns_of_another_type_stop_the_job_before_its_work(
    command: Command, parquet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    train, words, *_ = parquet
    data = draw_data(30, 10, seed=6)
    numbers = [write_parquet(tmp_path / f"{side}.parquet", getattr(data, side)) for side in ("train", "validation")]
    to = ["--output.path", tmp_path / "out", "--output.format", "delta"]
    assert command("value", "--train", train, *words, *to) == 0
    monkeypatch.delattr("dvspark.run.pipeline.compute")  # it must not come so far
    other = ["--train", numbers[0], "--validation", numbers[1], "--report", "false", *to]
    assert command("value", *other) == OutputConflictError.exit_code
    err = capsys.readouterr().err
    assert "column id" in err
    assert "expected: bigint" in err


def test_output__a_table_that_cannot_overwrite_stops_the_job_before_its_work(
    command: Command, parquet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: SparkSession, capsys: Any
) -> None:
    train, words, *_ = parquet
    monkeypatch.delattr("dvspark.run.pipeline.compute")
    to = ["--output.path", tmp_path / "out", "--output.table", "plain_values"]
    assert command("value", "--train", train, *words, *to) == OutputConflictError.exit_code
    assert "built-in catalog" in capsys.readouterr().err
    assert not spark.catalog.tableExists("plain_values")


def test_catalog__a_run_overwrites_the_rows_of_its_id(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql.readwriter import DataFrameWriterV2

    written: list[Any] = []
    table = CatalogValues("lake_values", spark)
    schema = values_schema({"id": "string", "label": "bigint"}, row_bounds=False)
    run = RunKey("run", "f" * 64)
    given = {"run_id": ["run"], "id": ["a"], "value": [0.5], "standard_error": [None], "rank": [1], "label": [3]}
    values = pa.table(given, schema=schema)
    monkeypatch.setattr(CatalogValues, "_is_built_in", lambda _: False)
    try:
        assert table.columns() is None
        with pytest.raises(OutputConflictError, match="overwrites by a filter"):  # what Spark says of such a table
            commit_values(table, values, schema, run)
        described = {row["col_name"]: row["comment"] for row in spark.sql("DESCRIBE lake_values").collect()}
        assert described["value"] == schema.field("value").metadata[b"comment"].decode()
        table.add_columns(pa.schema([pa.field("owner", pa.string())]))
        # There is no catalog here whose tables could do it: what is asked of one is all that can be seen.
        overwrite = lambda self, condition: written.append((self._df.toArrow().to_pylist(), str(condition)))  # noqa: E731
        monkeypatch.setattr(DataFrameWriterV2, "overwrite", overwrite)
        commit_values(table, values, schema, run)
    finally:
        spark.sql("DROP TABLE IF EXISTS lake_values")
    ((rows, condition),) = written
    assert rows == [{name: column[0] for name, column in given.items()} | {"owner": None}]
    assert "run_id" in condition
    assert "run" in condition
