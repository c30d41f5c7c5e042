"""`value_table` raises errors of dvspark alone, whatever it is given and whatever Spark says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from frames import draw_data, frames_of, values_by_id

import dvspark
from dvspark.errors import ComputeError, ConfigError, DvsparkError, InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

DATA = draw_data(20, 8, seed=9)


def _lost_files(frame: DataFrame, folder: Path) -> DataFrame:
    frame.coalesce(1).write.parquet(f"{folder}/t")
    read = frame.sparkSession.read.parquet(f"{folder}/t")
    for path in (folder / "t").glob("*.parquet"):
        path.unlink()
    return read


Make = Callable[["DataFrame", Path], Any]

# Name: (what is given for the training rows, the error, what it says).
GIVEN: dict[str, tuple[Make, type[DvsparkError], str]] = {
    "twin columns": (lambda frame, _: frame.select("*", "label"), InputError, "2 columns 'label'"),
    "twins in another case": (lambda frame, _: frame.selectExpr("*", "id AS ID"), InputError, "'id', 'ID'"),
    "a frame of pandas": (lambda frame, _: frame.toPandas(), ConfigError, "pandas DataFrame"),
    "a table of Arrow": (lambda frame, _: frame.toArrow(), ConfigError, "pyarrow Table"),
    "a path": (lambda *_: "train.parquet", ConfigError, "builtins str"),
    "nothing": (lambda *_: None, ConfigError, "NoneType"),
    "a stream": (
        lambda frame, _: frame.sparkSession.readStream.format("rate").load(),
        ConfigError,
        "a DataFrame with an end",
    ),
    "a wrong type of column": (
        lambda frame, _: frame.selectExpr("id", "label", "map(1, 2) AS embedding"),
        InputError,
        "map",
    ),
    "an error in the rows": (
        lambda frame, _: frame.selectExpr("id", "embedding", "cast(raise_error('oops') AS string) AS label"),
        ComputeError,
        "oops",
    ),
    "numbers that do not fit": (
        lambda frame, _: frame.selectExpr("id", "embedding", "cast('x' || label AS int) AS label"),
        ComputeError,
        "CAST_INVALID_INPUT",
    ),
    "files that are gone": (_lost_files, DvsparkError, ".parquet"),
}


@pytest.mark.parametrize("name", GIVEN)
def test_value_table__refuses_what_it_cannot_value(spark: SparkSession, tmp_path: Path, name: str) -> None:
    make, kind, said = GIVEN[name]
    frame, validation = frames_of(spark, DATA)
    with pytest.raises(DvsparkError) as refusal:
        dvspark.value_table(make(frame, tmp_path), validation, k=3)
    assert isinstance(refusal.value, kind), refusal.value
    assert said in str(refusal.value)
    assert len(str(refusal.value)) < 3_000


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"lable": "label"}, "did you mean 'label'"),
        ({"label": 3}, "a column's name is a string"),
        (["label"], "a dict"),
        ({"embedding_dtype": "float8"}, "embedding_dtype"),
        ({"embedding_dtype": "float32"}, "embeddings in bytes"),
    ],
)
def test_value_table__refuses_columns_that_are_none(spark: SparkSession, columns: Any, said: str) -> None:
    frame, validation = frames_of(spark, DATA)
    with pytest.raises(DvsparkError, match=said):
        dvspark.value_table(frame, validation, k=3, columns=columns)


def test_value_table__takes_frames_of_two_sessions_of_one_context(spark: SparkSession) -> None:
    frame, _ = frames_of(spark, DATA)
    _, validation = frames_of(spark.newSession(), DATA)
    result = dvspark.value_table(frame, validation, k=3)
    args, more = DATA.arrays()
    expected = dvspark.value_arrays(*args, k=3, **more)
    np.testing.assert_allclose(values_by_id(result.values, DATA.train.ids), expected, rtol=0, atol=1e-12)


def test_value_table__skips_no_damaged_file_that_the_session_would(spark: SparkSession, tmp_path: Path) -> None:
    frame, validation = frames_of(spark, DATA)
    frame.repartition(2).write.parquet(f"{tmp_path}/t")
    path = sorted((tmp_path / "t").glob("*.parquet"))[-1]
    content = path.read_bytes()
    (tmp_path / "t" / f".{path.name}.crc").unlink()
    path.write_bytes(content[:4] + b"\xff" * 200 + content[204:])
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", "true")
    with pytest.raises(DvsparkError, match=path.name):
        dvspark.value_table(spark.read.parquet(f"{tmp_path}/t"), validation, k=3)
