"""`dvspark plan` tells of a job what is true of it, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from frames import draw_data, frame_of, write_parquet

from dvspark.engine.planning import cluster
from dvspark.engine.planning.calibrate import PointCost
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.planning.plan import Hosts
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.run import plan_job
from dvspark.tables.sources import plain, read
from dvspark.tables.sources.formats import parquet, reader_of
from dvspark.tables.sources.metadata import preview
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DATA = draw_data(50, 20, seed=42, label_type="string")
Command = Callable[..., int]
GAME = ["--method", "monte_carlo_shapley", "--utility", "knn"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two tables: the train table in two parts, beside one that no reader takes."""
    folder = tmp_path_factory.mktemp("tables")
    write_parquet(folder / "train" / "half=1" / "part-0.parquet", DATA.train.take(slice(30)))
    write_parquet(folder / "train" / "half=2" / "part-1.parquet", DATA.train.take(slice(30, 50)))
    write_parquet(folder / "train" / "_staging" / "part-2.parquet", DATA.train)
    write_parquet(folder / "validation.parquet", DATA.validation)
    return folder


def words(folder: Path, out: Path) -> list[str]:
    tables = ["--train", str(folder / "train"), "--validation", str(folder / "validation.parquet")]
    return ["plan", *tables, "--output", str(out)]


def test_plan__tells_the_job_and_writes_nothing(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def files() -> list[Path]:
        return sorted(path for root in (folder, tmp_path) for path in root.rglob("*"))

    before = files()
    assert command(*words(folder, tmp_path / "out"), "--chunk_rows", 8, "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert files() == before
    assert (found["n_train"], found["n_validation"], found["n_features"]) == (50, 20, 6)
    assert (found["dtype"], found["label"], found["ranking"], found["cores"]) == ("float32", "string", "sorted", 2)
    assert (found["plan"]["name"], found["plan"]["n_chunks"], found["plan"]["flops"]) == ("replicated", 3, 12_000)
    assert found["plan"]["reason"].startswith("2. index of ")
    assert found["estimate"]["core_seconds"] >= found["estimate"]["parts"]["kernel"] > 0
    assert found["turning_point"].startswith("sharded above ")
    assert '"level": "error"' not in err


def test_plan__is_readable(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_job, "calibrate", lambda *_, **__: PointCost(0.0, 360.0))
    assert command(*words(folder, tmp_path / "out"), "--host_memory", "64g", "--plan", "sharded") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["rows"] == "50 to value, by 20"
    assert lines["embeddings"] == "6 float32; labels string"
    assert lines["plan"] == "sharded, sorted ranking"
    assert lines["clause"].startswith("1. plan: sharded is set; index of 0.0 MiB, 38.4 GiB")
    assert lines["blocks"] == f"1 of {TILE_ROWS:,} training rows"
    assert lines["products"] == "1.2e+04 floating-point operations"
    assert lines["cost"].startswith("1e+02 core-hours: start ")
    assert "on 2 cores" in lines["wall"]


def test_plan__self_validation_has_one_table(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    tables = ["--train", folder / "train", "--self_validation", "true"]
    assert command("plan", *tables, "--output", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_validation"] == 50
    assert not out.exists()


# What is asked of the training rows, by kind of method.
KINDS: dict[str, tuple[str, list[str], str, str | None]] = {
    "ranking": ("knn_beta", ["--k", "3"], "sorted ranking", "sorted"),
    "ordered": ("knn_regression_shapley", ["--k", "3"], "sorted ranking", "sorted"),
    "owners": ("owner_knn_shapley", ["--k", "3", "--train.owner", "label"], "sorted ranking", "sorted"),
    "radius": ("threshold_knn_shapley", [], "rows within a radius", None),
    "nearest": ("truncated_knn_shapley", ["--k", "3", "--epsilon", "0.05"], "20 nearest rows", None),
    "sums": ("chg_shapley", [], "sums", None),
    "private": (
        "dp_threshold_knn_shapley",
        ["--epsilon", "1", "--delta", "1e-9", "--train.owner", "label"],
        "rows within a radius",
        None,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_plan__tells_what_each_kind_of_method_asks_of_the_training_rows(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    method, more, asked, ranking = KINDS[kind]
    tables = words(folder, tmp_path / "out")
    if kind == "ordered":
        for side, data in (("train", DATA.train), ("validation", DATA.validation)):
            numbers = [float(row) for row in range(len(data))]
            tables[tables.index(f"--{side}") + 1] = write_parquet(tmp_path / f"{side}.parquet", data, label=numbers)
    assert command(*tables, "--method", method, *more, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["asked"], found["ranking"]) == (asked, ranking)
    assert found["estimate"]["parts"]["kernel"] > 0
    assert f"plan         replicated, {asked}\n" in plan_job.plan_text(found)
    assert plan_job.plan_text(found | {"not_counted": "this"}).endswith("\nnot counted  this")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--method", "owner_sum_of_points"], 3, "a column 'owner'"),
        (["--method", "dp_threshold_knn_shapley", "--epsilon", "1", "--delta", "1e-9"], 3, "a column 'owner'"),
        (["--method", "knn_regression_shapley"], 3, "a number, which regression predicts"),
        (["--train.label", "lable"], 3, "a column 'lable'"),
        (["--plan", "replicated", "--host_memory", "1k"], 5, "plan: sharded"),
        (["--host_memory", "much"], 2, "write 4g or 512m"),
        ([*GAME, "--evaluations", "60"], 2, " for 50 players"),
        ([*GAME, "--players", "owners", "--train.owner", "half", "--evaluations", "5"], 2, "at least 6 for 2 players"),
        ([*GAME, "--plan", "sharded"], 5, "an index that fits a host, for monte_carlo_shapley"),
        (["--method", "knn_dp", "--epsilon", "1", "--delta", "1e-6"], 2, "a method of jobs"),
        (["--show", "nothing"], 3, "a column 'nothing'"),
        (["--work_dir", f"{__file__}/below"], 2, "a folder, or a place where one can be made"),
    ],
)
def test_plan__refuses_as_the_job_would(
    command: Command,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
    said: str,
) -> None:
    assert command(*words(folder, tmp_path / "out"), *more) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_plan__other_dimensions_on_the_other_side_are_refused(
    command: Command, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = draw_data(20, 20, n_features=7, label_type="string").train
    wide = write_parquet(tmp_path / "wide.parquet", other)
    assert command("plan", "--train", folder / "train", "--validation", wide, "--output", tmp_path / "out") == 3
    assert "6 in train, 7 in validation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "code", "said"),
    [
        ({"label": pa.array(range(20))}, 3, "string in train, bigint in validation"),
        ({"weight": pa.array([0.0] * 20)}, 3, "zeros in all rows"),
    ],
    ids=["labels of another type", "weights that are 0"],
)
def test_plan__refuses_validation_rows_as_the_job_would(
    command: Command,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    column: dict[str, pa.Array],
    code: int,
    said: str,
) -> None:
    other = write_parquet(tmp_path / "other.parquet", DATA.validation, **column)
    job = ["--train", folder / "train", "--validation", other, "--output", tmp_path / "out"]
    weighed = ["--validation.weight", "weight"] if "weight" in column else []
    assert command("plan", *job, *weighed) == command("value", *job, *weighed) == code
    assert capsys.readouterr().err.count(said) == 2


@pytest.mark.long
def test_value__runs_the_plan_that_is_asked_for(command: Command, folder: Path, tmp_path: Path) -> None:
    job = [*words(folder, tmp_path / "out")[1:], "--plan", "sharded", "--report", "false", "--run_id", "asked"]
    assert command("value", *job) == 0
    record = json.loads((tmp_path / "out" / "runs" / "asked" / "run.json").read_text())
    assert record["plan"]["name"] == "sharded"
    assert {finding["verdict"] for finding in record["findings"]} == {"pass"}


def test_read_hosts__a_client_that_may_only_query_finds_the_same_cores(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = read_hosts(spark, "1g")
    monkeypatch.setattr(cluster, "is_connect", lambda _: True)
    assert read_hosts(spark, "1g") == told == Hosts(2, 2, 2**30)


@pytest.mark.parametrize("embedding", ["array<float>", "array<double>", "binary", "vector"])
def test_preview__knows_every_kind_of_embedding(spark: SparkSession, embedding: str) -> None:
    data = draw_data(9, 1, n_features=5, embedding_type=embedding, label_type="array<bigint>")
    frame_of(spark, data.train, data.types).createOrReplaceTempView("previewed")
    found = _preview(spark, TableReference(table="previewed"))
    assert (found.n_rows, found.n_features) == (9, 5)
    assert found.dtype == ("float64" if embedding in ("array<double>", "vector") else "float32")
    assert found.types["label"] == "array<bigint>"
    assert found.n_labels == len({label for row in data.train.labels for label in row})


@pytest.mark.parametrize("footers", [True, False], ids=["seen", "seen by Spark alone"])
def test_preview__counts_what_spark_would_read(
    spark: SparkSession, folder: Path, footers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = TableReference(path=f"{folder}/train")
    if not footers:
        for module in (plain, parquet):
            monkeypatch.setattr(module, "look", lambda _: None)
        monkeypatch.setattr(read, "row_files", lambda *_: None)
    assert (reader_of("train", reference).footer_rows() == 50) == footers
    assert _preview(spark, reference).n_rows == 50


def test_preview__a_table_without_rows_is_a_problem(spark: SparkSession) -> None:
    frame_of(spark, DATA.train, DATA.types).where("false").createOrReplaceTempView("empty")
    (problem,) = _preview(spark, TableReference(table="empty"))
    assert (problem.where, problem.got) == ("train table empty", "none in 0 rows")


def _preview(spark: SparkSession, reference: TableReference) -> Any:
    rows = read_rows(spark, "train", reference)
    assert not isinstance(rows, list)
    return preview(rows, reference)
