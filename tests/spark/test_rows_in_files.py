"""What Arrow reads of a table's files is what Spark reads of the table, and so is all that follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import EMBEDDINGS, IDS, LABELS, draw_data, frame_of, write_parquet
from lake_tables import open_catalog, rows_of, write_delta, write_iceberg

from dvspark.config.sources import load_config
from dvspark.errors import InputError
from dvspark.methods.options import ValueOptions
from dvspark.run import pipeline
from dvspark.tables import table_checks
from dvspark.tables.sources import keys, read
from dvspark.tables.sources import rows as rows_module
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATA = draw_data(150, 40, seed=5)
REFERENCE = TableReference(owner="owner", weight="weight")
OPTIONS = ValueOptions("knn_shapley", {"k": 3})


def _rows(spark: SparkSession, path: Any, reference: TableReference = REFERENCE) -> Rows:
    found = read_rows(spark, "train", replace(reference, path=str(path)))
    assert isinstance(found, Rows), found
    return found


def _sorted(rows: Rows) -> list[str]:
    """Return all rows as tasks see them, in words: a NaN equals no other."""
    ddl = ", ".join(f"{name} {kind}" for name, kind in rows.types.items())
    return sorted(map(str, rows.map_batches(lambda batches: batches, list(rows.types), ddl).toArrow().to_pylist()))


def _facts(rows: Rows) -> Any:
    """Return what validation says of a table that validates itself."""
    options = replace(OPTIONS, self_validation=True)
    try:
        found = table_checks.validate(rows, None, options, "fail")
    except InputError as error:
        return [str(problem).split("; the first")[0] for problem in error.problems]
    return found.train_facts, found.n_features, found.n_classes


def _require_the_same(rows: Rows) -> None:
    """Compare the rows' files with what Spark reads, where keys come with the checks and where they do not."""
    by_spark = replace(rows, files=None)
    assert rows.files is not None
    assert rows.files.n_rows == rows.frame.count()
    assert _sorted(rows) == _sorted(by_spark)
    found = [_facts(rows), _facts(by_spark)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rows_module, "KEYS_AT_HAND", 0)
        found.append(_facts(rows))
        patched.setattr(keys, "KEYS_READ_HERE", 0)
        found.append(_facts(rows))
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.long
@pytest.mark.parametrize("id_type", IDS)
@pytest.mark.parametrize("label_type", LABELS)
@pytest.mark.parametrize("embedding_type", [kind for kind in EMBEDDINGS if kind != "vector"])
def test_rows__of_files_that_spark_has_written(
    spark: SparkSession, tmp_path: Path, id_type: str, label_type: str, embedding_type: str
) -> None:
    types = {"id_type": id_type, "label_type": label_type, "embedding_type": embedding_type}
    data = draw_data(90, 1, seed=1, **types)
    columns = {"owner": [f"owner {row % 4}" for row in range(90)], "weight": [row / 7 for row in range(90)]}
    frame = frame_of(spark, replace(data.train, columns=columns), {**data.types, "owner": "string", "weight": "double"})
    frame.repartition(3).write.option("parquet.block.size", "4096").parquet(f"{tmp_path}/a b%20+ü")
    rows = _rows(spark, tmp_path / "a b%20+ü")
    assert rows.files is not None
    assert len({part.path for part in rows.files.parts}) == 3
    _require_the_same(rows)


@pytest.mark.parametrize("problem", ["none", "numbers", "nulls", "ids"])
def test_rows__of_files_that_pyarrow_has_written__bad_rows_as_well(
    spark: SparkSession, tmp_path: Path, problem: str
) -> None:
    x = DATA.train.x.copy()
    ids: list[Any] = [f"id {number}" for number in DATA.train.ids]
    labels: list[Any] = [[label, label, label + 1] for label in DATA.train.labels]
    if problem == "numbers":
        x[7, 0], x[11, 1], x[12] = np.nan, np.inf, 1e30
    if problem == "nulls":
        ids[3], labels[4], labels[5], labels[6] = None, None, [], [1, None]
    if problem == "ids":
        ids[8:20], ids[20] = [ids[0]] * 6 + [ids[1]] * 6, ids[2]
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
    owners, weights = pa.array([1, 2, 3] * 50, pa.int16()), pa.array(range(2**53, 2**53 + 150))  # doubles hold half
    columns = {"id": pa.array(ids, pa.large_string()), "embedding": embedding, "label": labels}
    table = pa.table({**columns, "owner": owners, "weight": weights})
    for number, part in enumerate((table.slice(0, 60), table.slice(60), table.slice(0, 0))):
        pq.write_table(part, tmp_path / f"{number}.parquet", row_group_size=17)
    _require_the_same(_rows(spark, tmp_path))


def test_rows__of_types_that_only_arrow_has(spark: SparkSession, tmp_path: Path) -> None:
    labels = pa.array([f"label {number % 3}" for number in range(8)])
    n_bytes = DATA.train.x.shape[1] * 4
    embeddings = [row.tobytes() for row in DATA.train.x[:8].astype("<f4")]
    columns = {
        "id": pa.array(range(8), pa.uint32()),
        "embedding": pa.array(embeddings, pa.binary(n_bytes)),
        "label": labels.cast(pa.dictionary(pa.int8(), pa.large_string())),
        "owner": labels.cast(pa.string_view()),
        "weight": pa.array(range(8), pa.uint8()),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    _require_the_same(_rows(spark, tmp_path))


def test_rows__of_a_partitioned_table_whose_columns_are_in_the_files(spark: SparkSession, tmp_path: Path) -> None:
    for day in ("1", "2", "a b"):
        write_parquet(tmp_path / "t" / f"day={day}" / "x.parquet", DATA.train.take(slice(len(day), None, 3)))
    _require_the_same(_rows(spark, tmp_path / "t", TableReference()))


@pytest.mark.long
def test_rows__of_lake_tables(spark: SparkSession, tmp_path: Path) -> None:
    halves = [rows_of(DATA.train.take(part)) for part in (slice(0, 70), slice(70, None))]
    write_delta(tmp_path / "delta", *halves)
    _require_the_same(_rows(spark, tmp_path / "delta", TableReference(format="delta")))
    table = write_iceberg(open_catalog(tmp_path / "iceberg"), "train", *halves)
    _require_the_same(_rows(spark, table.metadata_location, TableReference(format="iceberg")))


def _partitioned_by_label(spark: SparkSession, path: str) -> None:
    frame_of(spark, DATA.train, DATA.types).write.partitionBy("label").parquet(path)


def _with_a_file_that_lacks_labels(spark: SparkSession, path: str) -> None:
    frame = frame_of(spark, DATA.train, DATA.types)
    frame.coalesce(1).write.parquet(path)
    frame.selectExpr("id + 1000 AS id", "embedding").coalesce(1).write.mode("append").parquet(path)
    spark.conf.set("spark.sql.parquet.mergeSchema", "true")


def _with_a_file_of_other_integers(spark: SparkSession, path: str) -> None:
    frame = frame_of(spark, DATA.train, DATA.types)
    frame.selectExpr("id", "embedding", "cast(label AS int) AS label").coalesce(1).write.parquet(path)
    frame.selectExpr("id + 1000 AS id", "embedding", "label").coalesce(1).write.mode("append").parquet(path)


def _with_vectors(spark: SparkSession, path: str) -> None:
    frame_of(spark, DATA.train, {**DATA.types, "embedding": "vector"}).write.parquet(path)


@pytest.mark.parametrize(
    "write", [_partitioned_by_label, _with_a_file_that_lacks_labels, _with_a_file_of_other_integers, _with_vectors]
)
def test_rows__spark_reads_what_is_not_in_the_files_as_it_is_used(
    spark: SparkSession, tmp_path: Path, write: Callable[[SparkSession, str], None]
) -> None:
    write(spark, f"{tmp_path}/t")
    rows = _rows(spark, tmp_path / "t", TableReference())
    assert rows.files is None


def test_rows__a_catalogs_table_is_read_by_spark(spark: SparkSession, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", DATA.train)
    spark.read.parquet(path).where("label > 1").createOrReplaceTempView("few")
    rows = read_rows(spark, "train", TableReference(table="few"))
    assert isinstance(rows, Rows)
    assert rows.files is None


def _run(spark: SparkSession, folder: Path, name: str, **settings: Any) -> tuple[dict[str, Any], pa.Table]:
    given = {side: {"path": f"{folder}/{side}.parquet"} for side in ("train", "validation")}
    output = folder / name
    record = pipeline.run(load_config(None, {**given, "output": {"path": str(output)}, "k": 3, **settings}), spark)
    return record, pq.read_table(output / "values" / f"run_id={record['run_id']}", partitioning=None).sort_by("id")


@pytest.mark.long
@pytest.mark.parametrize("plan", ["replicated", "sharded"])
def test_job__has_the_same_identity_and_bits_whoever_reads_the_files(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    for side, rows in (("train", DATA.train), ("validation", DATA.validation)):
        write_parquet(tmp_path / f"{side}.parquet", rows)
    found = []
    row_files = read.row_files
    monkeypatch.setattr(read, "row_files", lambda *given: found.append(row_files(*given)) or found[-1])
    record, values = _run(spark, tmp_path, "arrow", report=False, plan=plan, work_dir=str(tmp_path / "work"))
    assert len(found) == 2
    assert None not in found
    monkeypatch.setattr(read, "row_files", lambda *_: None)
    other, others = _run(spark, tmp_path, "spark", report=False, plan=plan, work_dir=str(tmp_path / "work"))
    assert record["fingerprint"] == other["fingerprint"]
    assert json.dumps(record["inputs"]) == json.dumps(other["inputs"])
    assert values.equals(others)


def test_job__names_a_file_that_arrow_cannot_read(spark: SparkSession, tmp_path: Path) -> None:
    for side, rows in (("train", DATA.train), ("validation", DATA.validation)):
        write_parquet(tmp_path / f"{side}.parquet", rows)
    content = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(content[:4] + b"\0" * 2_000 + content[2_004:])
    with pytest.raises(InputError, match=r"files that can be read[^$]*train\.parquet"):
        _run(spark, tmp_path, "out", report=False)
    assert not (tmp_path / "out" / "values").exists()
