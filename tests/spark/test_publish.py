"""Results land where they are promised, all or nothing, and never on top of another run's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from frames import draw_data, write_parquet
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

import dvspark
from dvspark.errors import AuditError, ConfigError, OutputConflictError
from dvspark.methods.finalize import finalize
from dvspark.runs.identity import run_id_problems
from dvspark.runs.latest import LATEST
from dvspark.tables.sinks.write import Counted, publish, published_record
from dvspark.tables.storage import Storage, open_storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DATA = draw_data(50, 20, seed=41, id_type="string", label_type="string")
OWNERS = [f"owner {row % 3}" for row in range(50)]
K = 4

Command = Callable[..., int]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that name the two tables."""
    folder = tmp_path_factory.mktemp("tables")
    train = write_parquet(folder / "train.parquet", DATA.train, owner=OWNERS)
    validation = write_parquet(folder / "validation.parquet", DATA.validation)
    return ["--train", train, "--train.owner", "owner", "--validation", validation, "--report", "false"]


def _files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def first_run(command: Command, tables: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a good run."""
    out = tmp_path_factory.mktemp("first") / "out"
    assert command("value", *tables, "--k", K, "--run_id", "first", "--output", out) == 0
    return out


@pytest.fixture
def published(first_run: Path, tmp_path: Path) -> Path:
    """A copy of it, the test's own."""
    return Path(shutil.copytree(first_run, tmp_path / "out"))


def test_values__are_where_and_what_the_contract_says(spark: SparkSession, published: Path) -> None:
    assert sorted(path.name for path in published.iterdir()) == ["runs", "validation_rows", "values"]
    assert [path.name for path in (published / "values").iterdir()] == ["run_id=first"]
    files = sorted(path.name for path in (published / "runs" / "first").iterdir())
    assert files == ["metrics.prom", "run.json", "totals.npz"]

    columns = {
        "run_id": "string",
        "id": "string",
        "value": "double",
        "standard_error": "double",
        "rank": "bigint",
        "label": "string",
        "owner": "string",
    }
    by_spark = spark.read.parquet(str(published / "values"))
    assert dict(by_spark.dtypes) == columns
    read = pa.dataset.dataset(published / "values", partitioning="hive").to_table()
    arrow = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64()}
    assert {name: read.schema.field(name).type for name in read.column_names} == {
        name: arrow[kind] for name, kind in columns.items()
    }
    assert (
        by_spark.select(*columns).toArrow().sort_by("id").to_pylist() == read.select(columns).sort_by("id").to_pylist()
    )

    rows = {row["id"]: row for row in read.to_pylist()}
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, k=K)
    np.testing.assert_allclose([rows[i]["value"] for i in DATA.train.ids], local, rtol=0, atol=1e-12)
    assert [(rows[i]["label"], rows[i]["owner"]) for i in DATA.train.ids] == list(
        zip(DATA.train.labels, OWNERS, strict=True)
    )
    by_rank = sorted(rows.values(), key=lambda row: row["rank"])
    assert [row["rank"] for row in by_rank] == list(range(1, 51))
    assert by_rank == sorted(rows.values(), key=lambda row: (-row["value"], row["id"]))


def test_values__have_a_bound_of_each_row_where_it_was_asked_for(
    spark: SparkSession, command: Command, tables: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert command("value", *tables, "--k", K, "--error_bound", "true", "--run_id", "bounds", "--output", out) == 0
    values = spark.read.parquet(str(out / "values"))
    types = dict(values.dtypes)
    assert (types["owner"], types["error_bound"]) == ("string", "double")
    assert [row["error_bound"] for row in values.collect()] == [0.0] * 50  # so few rows are sorted
    record = json.loads((out / "runs" / "bounds" / "run.json").read_text())
    assert (record["ranking"], record["error_bound"], record["row_bounds"]) == ("sorted", 0.0, True)


def test_record__says_what_went_in_and_what_was_checked(first_run: Path) -> None:
    record = json.loads((first_run / "runs" / "first" / "run.json").read_text())
    assert record["run_id"] == "first"
    assert record["method"]["name"] == "knn_shapley"
    assert record["method"]["parameters"] == {"k": K}
    assert [record["inputs"][side]["n_rows"] for side in ("train", "validation")] == [50, 20]
    assert {finding["name"]: finding["verdict"] for finding in record["findings"]} == dict.fromkeys(
        ("finite", "sample", "efficiency"), "pass"
    )
    assert record["outputs"] == {
        "values": f"{first_run}/values/run_id=first",
        "run": f"{first_run}/runs/first/run.json",
        "metrics": f"{first_run}/runs/first/metrics.prom",
    }


def test_same_run_again__is_already_done(
    command: Command,
    tables: list[str],
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = _files(published)
    monkeypatch.delattr("dvspark.run.pipeline.compute")  # it must not be needed
    assert command("value", *tables, "--k", K, "--run_id", "first", "--output", published, "--json") == 0
    out, err = capsys.readouterr()
    assert "already done: first is published" in err
    assert json.loads(out.splitlines()[-1])["run_id"] == "first"
    assert _files(published) == before


@pytest.mark.parametrize("other", [("--k", K + 1), ("--k", K, "--self_validation", "true")], ids=["options", "tables"])
def test_same_run_id_for_another_run__is_a_conflict(
    command: Command, tables: list[str], published: Path, other: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(published)
    if "--self_validation" in other:
        tables = [*tables[:4], "--report", "false"]
    code = command("value", *tables, *other, "--run_id", "first", "--output", published)
    assert code == OutputConflictError.exit_code
    assert "choose another run_id or output" in capsys.readouterr().err
    assert _files(published) == before


def test_another_run_id__lives_beside_the_first(
    spark: SparkSession, command: Command, tables: list[str], published: Path
) -> None:
    before = _files(published)
    assert command("value", *tables, "--k", K + 1, "--output", published) == 0
    after = _files(published)
    assert json.loads(before.pop(LATEST))["run_id"] == "first"
    latest = json.loads(after.pop(LATEST))
    assert {name: after[name] for name in before} == before
    assert latest["run_id"] != "first"
    assert (latest["record"] in after, latest["report"]) == (True, None)
    counts = spark.read.parquet(str(published / "values")).groupBy("run_id").count().collect()
    assert sorted(row["count"] for row in counts) == [50, 50]
    derived = {row["run_id"] for row in counts} - {"first"}
    assert all(name.startswith("knn_shapley-") for name in derived)


# --- run ids ----------------------------------------------------------------------------------------------

# What numbers, dates and their suffixes are made of; few letters, so that many of these are some.
ODD_IDS = st.one_of(
    st.from_regex(r"[0-9][0-9eEdfDFLx._T-]{0,9}", fullmatch=True),
    st.from_regex(r"(0x)?[0-9A-Fa-f]{1,6}(\.[0-9]{0,3})?([eEp]-?[0-9]{1,3})?[dDfFlL]?", fullmatch=True),
    st.from_regex(r"[0-9]{1,5}-[0-9]{1,2}(-[0-9]{1,2})?([T_.-][0-9a-z]{0,3})?", fullmatch=True),
    st.from_regex(r"(NaN|Infinity|inf|true|null|now|epoch|PT1H|P1D)[dfx0.]{0,2}", fullmatch=True),
)


@pytest.mark.long
@examples(8)
@given(run_ids=st.lists(ODD_IDS, min_size=60, max_size=60))
def test_run_ids__that_are_allowed_are_text_to_spark_and_pyarrow(
    spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory, run_ids: list[str]
) -> None:
    allowed = [run_id for run_id in run_ids if not run_id_problems(run_id)]
    root = tmp_path_factory.mktemp("ids")
    # A column each, so that none of them makes text of the others.
    folder = root.joinpath(*(f"c{column}={run_id}" for column, run_id in enumerate(allowed)))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": [1]}), folder / "part.parquet")
    expected = {f"c{column}": run_id for column, run_id in enumerate(allowed)}
    by_spark = spark_session.read.parquet(str(root))
    assert {name: kind for name, kind in by_spark.dtypes if name != "x"} == dict.fromkeys(expected, "string")
    assert by_spark.drop("x").collect()[0].asDict() == expected
    (by_arrow,) = pa.dataset.dataset(root, partitioning="hive").to_table().drop_columns("x").to_pylist()
    assert by_arrow == expected


def test_run_id__that_readers_take_for_a_number_is_refused_before_anything_is_read(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ["value", "--train", tmp_path / "none", "--validation", tmp_path / "none", "--output", tmp_path / "out"]
    for run_id in ("0042", "5e3", "2031-01-01"):
        assert command(*job, "--run_id", run_id) == ConfigError.exit_code
        assert f"run-{run_id}" in capsys.readouterr().err


# --- values that are not as they were ---------------------------------------------------------------------


def _shortened(file: Path) -> None:
    pq.write_table(pq.read_table(file).slice(1), file)


def _edited(file: Path) -> None:
    rows = pq.read_table(file)
    values = rows["value"].to_numpy().copy()
    values[3] = np.nextafter(values[3], 1)
    times = file.stat()
    pq.write_table(rows.set_column(rows.column_names.index("value"), "value", pa.array(values)), file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _doubled(file: Path) -> None:
    shutil.copy(file, file.with_name("more.parquet"))


@pytest.mark.long
@pytest.mark.parametrize("harm", [_shortened, _edited, _doubled, Path.unlink])
def test_values__that_are_not_those_published_are_not_taken_for_done(
    command: Command,
    tables: list[str],
    published: Path,
    harm: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = ["value", *tables, "--k", K, "--run_id", "first", "--output", published]
    before = pa.dataset.dataset(published / "values", partitioning="hive").to_table()
    (file,) = (published / "values" / "run_id=first").glob("*.parquet")
    harm(file)
    assert command(*job) == OutputConflictError.exit_code
    assert "--force" in capsys.readouterr().err
    assert command(*job, "--force") == 0
    assert pa.dataset.dataset(published / "values", partitioning="hive").to_table().equals(before)
    assert command(*job) == 0


def test_values__of_two_runs_that_were_swapped_are_refused(
    command: Command, tables: list[str], published: Path, tmp_path: Path
) -> None:
    job = ["value", *tables, "--output", published]
    assert command(*job, "--k", K + 3, "--run_id", "second") == 0
    places = [published / "values" / f"run_id={run_id}" for run_id in ("first", "second")]
    for source, target in ((places[0], tmp_path / "x"), (places[1], places[0]), (tmp_path / "x", places[1])):
        source.rename(target)
    assert command(*job, "--k", K, "--run_id", "first") == OutputConflictError.exit_code
    assert command(*job, "--k", K + 3, "--run_id", "second") == OutputConflictError.exit_code


def test_values__that_files_were_put_together_or_split_are_the_same(
    command: Command, tables: list[str], published: Path
) -> None:
    (file,) = (published / "values" / "run_id=first").glob("*.parquet")
    rows = pq.read_table(file)
    for part in (slice(30, 50), slice(0, 30)):
        pq.write_table(rows[part], file.with_name(f"{part.start}.parquet"))
    file.unlink()
    assert command("value", *tables, "--k", K, "--run_id", "first", "--output", published) == 0


# --- a failed audit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("planted", [1e-8, np.nan], ids=["one value moved", "one value lost"])
def test_failed_audit__publishes_nothing(
    command: Command,
    tables: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    planted: float,
) -> None:
    def damaged(*arguments: Any, **options: Any) -> Any:
        values, errors = finalize(*arguments, **options)
        values[7] += planted
        return values, errors

    monkeypatch.setattr("dvspark.run.finalize.finalize", damaged)
    assert command("value", *tables, "--k", K, "--output", tmp_path / "out") == AuditError.exit_code
    out, err = capsys.readouterr()
    assert "audit: efficiency" in err
    assert ("audit: finite" in err) == np.isnan(planted)
    assert "Traceback" not in err
    assert out == ""
    assert not any((tmp_path / "out").iterdir())


# --- publishing itself ------------------------------------------------------------------------------------

DOCUMENTS = {"run.json": json.dumps({"fingerprint": "f" * 64}), "report.html": "<p>report</p>"}


def _publish(spark: SparkSession, storage: Storage, n_rows: int) -> None:
    rows = Counted(spark.range(n_rows), n_rows)
    publish(storage, "r", {"values": rows, "rejected": rows}, DOCUMENTS)


# Two tables and two documents: four renames.
@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("cleans_up", [True, False], ids=["error", "killed"])
def test_publish__stopped_between_steps_is_unpublished_and_repaired_by_the_next(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, cleans_up: bool
) -> None:
    storage, done = open_storage(str(tmp_path / "out")), []
    rename, remove = Storage.rename, Storage.remove

    def stopping(self: Storage, source: str, target: str) -> None:
        if target.startswith("_removed"):  # which is cleaning up
            rename(self, source, target)
            return
        if len(done) == step:
            raise OSError("stopped here")
        rename(self, source, target)
        done.append(target)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "rename", stopping)
        if not cleans_up:  # a killed process does not even get to its `finally`
            patch.setattr(Storage, "remove", lambda self, name: name.startswith("_") or remove(self, name))
        with pytest.raises(OSError, match="stopped here"):
            _publish(spark, storage, 5)
    assert len(done) == step
    assert published_record(storage, "r") is None
    assert any((tmp_path / "out").glob("_staging-r-*")) != cleans_up

    _publish(spark, storage, 9)
    assert published_record(storage, "r") == {"fingerprint": "f" * 64}
    assert (tmp_path / "out" / "runs" / "r" / "report.html").read_text() == DOCUMENTS["report.html"]
    for table in ("values", "rejected"):
        rows = spark.read.parquet(str(tmp_path / "out" / table)).collect()
        assert sorted((row["run_id"], row["id"]) for row in rows) == [("r", i) for i in range(9)]


@pytest.mark.parametrize("as_uri", [False, True], ids=["path", "URI"])
def test_publish__a_folder_may_have_blanks(spark: SparkSession, tmp_path: Path, as_uri: bool) -> None:
    out = tmp_path / "out put"
    _publish(spark, open_storage(out.as_uri() if as_uri else str(out)), 5)
    assert len(pyarrow.dataset.dataset(out / "values" / "run_id=r").to_table()) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["out put"]


def test_publish__the_record_comes_last(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[str] = []
    rename = Storage.rename

    def watched(self: Storage, source: str, target: str) -> None:
        targets.append(target)
        rename(self, source, target)

    monkeypatch.setattr(Storage, "rename", watched)
    _publish(spark, open_storage(str(tmp_path / "out")), 5)
    assert targets[:4] == ["values/run_id=r", "rejected/run_id=r", "runs/r/report.html", "runs/r/run.json"]
    assert targets[4] == LATEST
    assert [target[:9] for target in targets[5:]] == ["_removed-"]  # the staging folder


def test_publish__who_reads_meanwhile_finds_one_run_or_none(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, seen = open_storage(str(tmp_path / "out")), list[set[int]]()
    _publish(spark, storage, 5)
    publish(storage, "other", {"values": Counted(spark.range(3), 3)}, DOCUMENTS)
    values, rename = storage.spark_path("values"), Storage.rename

    def watched(self: Storage, source: str, target: str) -> None:
        for step in (lambda: None, lambda: rename(self, source, target)):
            step()
            rows = spark.read.parquet(values).collect()  # by Java, a process of its own
            assert sorted(row["id"] for row in rows if row["run_id"] == "other") == [0, 1, 2]
            seen.append({row["id"] for row in rows if row["run_id"] == "r"})

    monkeypatch.setattr(Storage, "rename", watched)
    rows = Counted(spark.range(10, 19), 9)
    publish(storage, "r", {"values": rows, "rejected": rows}, DOCUMENTS, force=True)
    kinds = [set(range(5)), set(), set(range(10, 19))]
    order = [kinds.index(found) for found in seen]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2}


def test_publish__of_two_runs_started_at_once_the_first_stays(spark: SparkSession, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "out"))
    _publish(spark, storage, 5)
    before = _files(tmp_path / "out")
    with pytest.raises(OutputConflictError, match="published meanwhile"):
        _publish(spark, storage, 9)
    assert _files(tmp_path / "out") == before
