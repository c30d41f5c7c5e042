"""Every problem of the inputs is found before anything is computed, told with what to do, and told together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import draw_data, values_by_id, write_parquet

import dvspark
from dvspark.config.sources import load_config
from dvspark.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

DDL = "id bigint, embedding array<float>, label string"
NAN, INFINITY = float("nan"), float("inf")

Row = tuple[Any, ...]
Rows = list[Row]


def _good(first_id: int, n: int = 8) -> Rows:
    return [(first_id + i, [float(i), 1.0], "ab"[i % 2]) for i in range(n)]


@dataclass(frozen=True)
class Table:
    """A small table: rows and their Spark types."""

    rows: Rows = field(default_factory=list)
    ddl: str = DDL

    def frame(self, spark: SparkSession) -> DataFrame:
        return spark.createDataFrame(self.rows, self.ddl)


GOOD_TRAIN, GOOD_VALIDATION = Table(_good(0)), Table(_good(100, 4))


def _with(*rows: Row) -> Table:
    """The good train table and some more rows."""
    return Table([*_good(0), *rows])


@dataclass(frozen=True)
class Bad:
    """Inputs that cannot be valued, and what the message must say: expected, got, what to do."""

    says: tuple[str, ...]
    train: Table = GOOD_TRAIN
    validation: Table = GOOD_VALIDATION
    options: dict[str, Any] = field(default_factory=dict)


def _renamed(old: str, new: str) -> Table:
    return Table(_good(0), DDL.replace(old, new))


BAD = {
    "missing column, close match": Bad(
        ("a column 'embedding' (embedding)", "id, embeddings, label", "did you mean 'embeddings'?", "train.embedding"),
        _renamed("embedding", "embeddings"),
    ),
    "missing column, no close match": Bad(
        ("validation table", "a column 'label' (label)", "columns id, embedding, zzz", "validation.label"),
        validation=Table(_good(100), DDL.replace("label", "zzz")),
    ),
    "id of a wrong type": Bad(
        ("train column 'id'", "a string or an integer", "double", "cast it to string"),
        Table([(float(i), x, y) for i, x, y in _good(0)], DDL.replace("bigint", "double")),
    ),
    "embedding of a wrong type": Bad(
        ("train column 'embedding'", "array<float>, array<double>, binary", "array<string>", "cast the elements"),
        Table([(i, ["1", "2"], y) for i, _, y in _good(0)], DDL.replace("float", "string")),
    ),
    "label of a wrong type": Bad(
        ("validation column 'label'", "a string, an integer, or an array of either", "double", "regression_shapley"),
        validation=Table([(i, x, 0.5) for i, x, _ in _good(100)], DDL.replace("string", "double")),
    ),
    "id is null": Bad(
        ("train rows", "id is null in 2 rows", "a hash of its content"), _with(*[(None, [1.0, 1.0], "a")] * 2)
    ),
    "label is null": Bad(
        ("label is null in 1 rows; the first: '50'", "drop unlabelled rows"), _with((50, [1.0, 1.0], None))
    ),
    "label array is empty": Bad(
        ("label is an empty array in 1 rows; the first: '50'",),
        Table([*[(i, x, [y]) for i, x, y in _good(0)], (50, [1.0, 1.0], [])], DDL.replace("string", "array<string>")),
        Table([(i, x, [y]) for i, x, y in _good(100)], DDL.replace("string", "array<string>")),
    ),
    "label array holds null": Bad(
        ("label array holds null in 1 rows; the first: '50'",),
        Table(
            [*[(i, x, [y]) for i, x, y in _good(0)], (50, [1.0, 1.0], ["a", None])],
            DDL.replace("string", "array<string>"),
        ),
        Table([(i, x, [y]) for i, x, y in _good(100)], DDL.replace("string", "array<string>")),
    ),
    "embedding is null": Bad(
        ("embedding is null in 1 rows; the first: '50'", "drop or repair these rows", "on_bad_row: reject"),
        _with((50, None, "a")),
    ),
    "embedding holds null": Bad(("embedding holds null in 1 rows; the first: '50'",), _with((50, [1.0, None], "a"))),
    "embedding is empty": Bad(("embedding is empty in 1 rows; the first: '50'",), _with((50, [], "a"))),
    "embedding of half a number": Bad(
        ("embedding is not whole float32 numbers in 1 rows; the first: '50'",),
        Table(
            [*[(i, np.float32(x).tobytes(), y) for i, x, y in _good(0)], (50, b"1234567", "a")],
            DDL.replace("array<float>", "binary"),
        ),
    ),
    "NaN": Bad(("embedding holds NaN or infinity in 1 rows; the first: '50'",), _with((50, [NAN, 1.0], "a"))),
    "infinity": Bad(
        ("validation rows", "embedding holds NaN or infinity in 2 rows; the first: '150', '151'"),
        validation=Table([*_good(100), (150, [INFINITY, 1.0], "a"), (151, [1.0, -INFINITY], "a")]),
    ),
    "too large to square": Bad(
        ("embedding is too large to square in 1 rows; the first: '50'", "precision: float64"),
        _with((50, [1e20, 1.0], "a")),
    ),
    "zero vector under cosine": Bad(
        ("embedding is all zeros, without direction in 1 rows; the first: '50'", "metric: euclidean"),
        _with((50, [0.0, 0.0], "a")),
        options={"metric": "cosine"},
    ),
    "too short for a direction under cosine": Bad(
        ("embedding is too small to square in 1 rows; the first: '50'", "scale the embeddings up"),
        Table([*_good(0), (50, [1e-170, 1e-170], "a")], DDL.replace("array<float>", "array<double>")),
        options={"metric": "cosine"},
    ),
    "duplicate ids, a few": Bad(
        ("train ids", "unique ids", "2 ids more than once; the first: 3, 5", "make ids unique"),
        _with((3, [1.0, 1.0], "a"), (5, [1.0, 1.0], "a")),
    ),
    "duplicate ids, more than are named": Bad(
        ("7 ids more than once; the first: 0, 1, 2, 3, 4",), _with(*_good(0)[:7], *_good(0)[:2])
    ),
    "duplicate ids in validation": Bad(
        ("validation ids", "1 ids more than once; the first: 100"), validation=Table([*_good(100), *_good(100)[:1]])
    ),
    "dimension not constant": Bad(
        ("train embeddings", "one dimension (2 in most rows)", "2 rows of 3, the first: '50', '51'", "one model"),
        _with((50, [1.0, 2.0, 3.0], "a"), (51, [1.0, 2.0, 3.0], "a")),
    ),
    "dimension differs between tables": Bad(
        ("embeddings", "one dimension", "2 in train, 3 in validation", "embed both tables with one model"),
        validation=Table([(i, [*x, 0.0], y) for i, x, y in _good(100)]),
    ),
    "no train rows": Bad(("train table", "at least one row", "no rows", "check the path"), Table()),
    "no validation rows": Bad(("validation table", "at least one row", "no rows"), validation=Table()),
    "label kinds differ": Bad(
        ("labels", "one kind of label", "string in train, bigint in validation", "cast one of them"),
        validation=Table([(i, x, 1) for i, x, _ in _good(100)], DDL.replace("string", "bigint")),
    ),
    "all rows rejected": Bad(
        ("train table", "at least one row", "all 2 rows rejected"),
        Table([(1, [NAN, 1.0], "a"), (2, [1.0, 1.0], None)]),
        options={"on_bad_row": "reject"},
    ),
    "everything at once": Bad(
        (
            "7 problems",
            "id is null in 1 rows",
            "embedding is null in 1 rows",
            "label is null in 1 rows",
            "NaN or infinity in 1 rows; the first: '52'",
            "1 rows of 3, the first: '53'",
            "1 ids more than once; the first: 2",
            "validation column 'id'",
        ),
        _with(
            (None, [1.0, 1.0], "a"),
            (50, None, "a"),
            (51, [1.0, 1.0], None),
            (52, [1.0, NAN], "a"),
            (53, [1.0, 1.0, 1.0], "a"),
            (2, [1.0, 1.0], "a"),
        ),
        Table([(float(i), x, y) for i, x, y in _good(100)], DDL.replace("bigint", "double")),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", BAD)
def test_value_table__refuses_bad_inputs_and_says_why(spark: SparkSession, name: str) -> None:
    from dvspark.run.frames.value_frames import value_table

    bad = BAD[name]
    with pytest.raises(InputError) as refusal:
        value_table(bad.train.frame(spark), bad.validation.frame(spark), k=2, **bad.options)
    missing = [part for part in bad.says if part not in str(refusal.value)]
    assert not missing, str(refusal.value)
    assert all(problem.expected and problem.got and problem.hint for problem in refusal.value.problems)


# --- legal, but worth a word ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noted:
    """Inputs that can be valued, and what the run record says about them."""

    says: tuple[str, ...]
    train: Table = GOOD_TRAIN
    validation: Table = GOOD_VALIDATION
    k: int = 2


NOTED = {
    "nothing to note": Noted(()),
    "a zero vector under euclidean": Noted((), _with((50, [0.0, 0.0], "a"))),
    "no shared label": Noted(
        ("labels that occur in both tables", "train has 'a', 'b', validation has 'aa', 'bb'", "check for case"),
        validation=Table([(i, x, 2 * y) for i, x, y in _good(100)]),
    ),
    "validation labels absent from train": Noted(
        ("validation labels that occur in train", "2 others, 3 times; the first: 'x', 'y'"),
        validation=Table([*_good(100), (150, [1.0, 1.0], "x"), (151, [1.0, 1.0], "x"), (152, [1.0, 1.0], "y")]),
    ),
    "same id on both sides": Noted(
        ("different rows in train and validation", "2 in both tables; the first: 6, 7", "self_validation"),
        validation=Table(_good(6)),
    ),
    "k larger than the training set": Noted(("k = 9, 8 rows", "all rows then vote"), k=9),
}


@pytest.mark.long
@pytest.mark.parametrize("name", NOTED)
def test_value_table__notes_what_is_legal_but_odd(spark: SparkSession, name: str) -> None:
    from dvspark.run.frames.value_frames import value_table

    noted = NOTED[name]
    result = value_table(noted.train.frame(spark), noted.validation.frame(spark), k=noted.k, metric="euclidean")
    said = json.dumps(result.run["warnings"])
    assert [part for part in noted.says if part not in said] == []
    assert len(result.run["warnings"]) == bool(noted.says)
    sides = [
        (np.array([x for _, x, _ in table.rows], np.float32), [y for _, _, y in table.rows])
        for table in (noted.train, noted.validation)
    ]
    ids = [row[0] for row in noted.train.rows]
    local = dvspark.value_arrays(*sides[0], *sides[1], k=noted.k, train_ids=ids)
    np.testing.assert_allclose(values_by_id(result.values, ids), local, rtol=0, atol=1e-12)


# --- through the job --------------------------------------------------------------------------------------


def test_job__says_that_spark_cannot_read_float16(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = draw_data(6, 4)
    halves = pa.array(list(data.train.x.astype(np.float16)), pa.list_(pa.float16()))
    train = write_parquet(tmp_path / "train.parquet", data.train, embedding=halves)
    validation = write_parquet(tmp_path / "validation.parquet", data.validation)
    words = ("--train", train, "--validation", validation, "--output", tmp_path / "out", "--report", "false")
    assert command("value", *words) == InputError.exit_code
    said = capsys.readouterr().err
    assert "Spark cannot read float16: rewrite the column as float32" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_job__names_tables_that_are_not_there(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--train", tmp_path / "no.parquet", "--validation.table", "nowhere", "--output", tmp_path / "out")
    assert command("value", *words, "--report", "false") == InputError.exit_code
    said = capsys.readouterr().err
    assert all(part in said for part in ("2 problems", "no.parquet", "nowhere", "a table that exists"))


def test_reject__sets_bad_rows_aside_and_values_the_rest(spark: SparkSession, tmp_path: Path) -> None:
    from dvspark.run import pipeline

    data = draw_data(60, 30, seed=31)
    x = data.train.x.copy()
    x[3, 0], x[4, 1] = np.nan, np.inf
    ids: list[Any] = list(data.train.ids)
    ids[8], ids[10] = ids[9], None  # 8 and 9 both go: nobody knows which one is meant
    labels = [None if row in (3, 20) else label for row, label in enumerate(data.train.labels)]
    bad, none_bad = [3, 4, 8, 9, 10, 20], data.train
    good = none_bad.take([row for row in range(60) if row not in bad])
    z = data.validation.x.copy()
    z[0, 0] = np.nan

    settings = {
        "train": write_parquet(tmp_path / "train.parquet", replace(none_bad, ids=ids, x=x, labels=labels)),
        "validation": write_parquet(tmp_path / "validation.parquet", replace(data.validation, x=z)),
        "output": str(tmp_path / "out"),
        "k": 3,
        "on_bad_row": "reject",
        "report": False,
    }
    record = pipeline.run(load_config(None, settings), spark)

    counts = {side: record["inputs"][side] for side in ("train", "validation")}
    assert [(c["n_rows"], c["n_rejected"]) for c in counts.values()] == [(54, 6), (29, 1)]
    rejected = pq.read_table(tmp_path / "out" / "rejected", partitioning="hive").to_pylist()
    assert {row["run_id"] for row in rejected} == {record["run_id"]}
    found = sorted((row["side"], row["id"] or "", row["reason"]) for row in rejected)
    twice, not_a_number = "id occurs more than once", "embedding holds NaN or infinity"
    expected = [
        ("train", str(ids[3]), f"label is null; {not_a_number}"),
        ("train", str(ids[4]), not_a_number),
        ("train", str(ids[8]), twice),
        ("train", str(ids[9]), twice),
        ("train", "", "id is null"),
        ("train", str(ids[20]), "label is null"),
        ("validation", str(data.validation.ids[0]), not_a_number),
    ]
    assert found == sorted(expected)

    left = data.validation.take(slice(1, None))
    local = dvspark.value_arrays(good.x, good.labels, left.x, left.labels, k=3, train_ids=good.ids)
    values = spark.read.parquet(f"{tmp_path}/out/values")
    np.testing.assert_allclose(values_by_id(values, good.ids), local, rtol=0, atol=1e-12)


@pytest.mark.long
def test_reject__takes_the_dimension_most_rows_have(spark: SparkSession) -> None:
    from dvspark.run.frames.value_frames import value_table

    train = _with((50, [1.0, 2.0, 3.0], "a"), (51, [1.0], "b"))
    result = value_table(train.frame(spark), GOOD_VALIDATION.frame(spark), k=2, on_bad_row="reject")
    assert result.run["inputs"]["train"]["n_rejected"] == 2
    assert result.run["inputs"]["n_features"] == 2
    assert sorted(row["id"] for row in result.values.collect()) == [row[0] for row in _good(0)]
