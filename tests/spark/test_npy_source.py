"""Spark reads NumPy shards by `dvspark-npy`, and makes embeddings of texts by any function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from npy_folders import write_shards

import dvspark
from dvspark.functions import embed, register_sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

N_ROWS = 200
X = np.random.default_rng(2).standard_normal((N_ROWS, 8))
COLUMNS: dict[str, list[Any]] = {
    "id": [row * 3 for row in range(N_ROWS)],
    "label": [f"class {row % 4}" for row in range(N_ROWS)],
    "a `b.c": [row / 8 if row % 9 else None for row in range(N_ROWS)],
}


@pytest.mark.parametrize(("dtype", "kind"), [("f2", "array<float>"), ("f4", "array<float>"), ("f8", "array<double>")])
def test_read__gives_the_rows_of_the_shards(dtype: str, kind: str, spark: SparkSession, tmp_path: Path) -> None:
    x = X.astype(dtype)
    folder = write_shards(tmp_path, x, COLUMNS, [60, 100, 40])
    register_sources(spark)
    frame = spark.read.format("dvspark-npy").load(str(folder))
    assert dict(frame.dtypes) == {"id": "bigint", "label": "string", "a `b.c": "double", "embedding": kind}
    rows = sorted(frame.collect(), key=lambda row: row["id"])
    assert {name: [row[name] for row in rows] for name in COLUMNS} == COLUMNS
    np.testing.assert_array_equal(np.array([row["embedding"] for row in rows]), x)
    assert frame.where("label = 'class 1'").count() == N_ROWS // 4


def test_read__folders_and_column_by_options(spark: SparkSession, tmp_path: Path) -> None:
    write_shards(tmp_path / "in", X, COLUMNS, [200])
    (tmp_path / "in" / "img_emb").rename(tmp_path / "in" / "vectors")
    (tmp_path / "in" / "metadata").rename(tmp_path / "rows")
    register_sources(spark)
    reader = spark.read.format("dvspark-npy").option("embeddings", "vectors").option("embedding", "x")
    frame = reader.option("metadata", str(tmp_path / "rows")).load(str(tmp_path / "in"))
    assert frame.selectExpr("sum(size(x))").collect()[0][0] == X.size


def test_read__shards_that_do_not_fit_are_told(spark: SparkSession, tmp_path: Path) -> None:
    write_shards(tmp_path, X, COLUMNS, [100, 100])
    (tmp_path / "metadata" / "metadata_1.parquet").unlink()
    register_sources(spark)
    with pytest.raises(Exception, match=r"as many \.npy files as Parquet files"):
        spark.read.format("dvspark-npy").load(str(tmp_path)).schema  # noqa: B018 - Connect asks for it only here


@pytest.mark.long
def test_job__values_shards_as_it_values_arrays(
    command: Callable[..., int], spark: SparkSession, tmp_path: Path
) -> None:
    x = X.astype(np.float32)
    train = write_shards(tmp_path / "train", x[:150], {name: of[:150] for name, of in COLUMNS.items()}, [50, 100])
    validation = write_shards(tmp_path / "validation", x[150:], {n: of[150:] for n, of in COLUMNS.items()}, [50])
    words = [f"--train={train}", "--train.format=dvspark-npy", f"--validation={validation}"]
    words += ["--validation.format=dvspark-npy", f"--output={tmp_path / 'out'}", "--k=3", "--report=false"]
    assert command("value", *words) == 0
    y = np.array(COLUMNS["label"])
    expected = dvspark.value_arrays(x[:150], y[:150], x[150:], y[150:], k=3)
    found = dvspark.read_values(str(tmp_path / "out")).sort_by("id")
    np.testing.assert_allclose(found["value"].to_numpy(), expected, rtol=0, atol=1e-12)


# Models without a file, as values: workers cannot import this module. Of a text its length, and how many are vowels.
MODELS: dict[str, Any] = {
    "lengths": lambda: lambda texts: [[len(text), sum(letter in "aeiou" for letter in text)] for text in texts],
    "flat": lambda: lambda texts: np.zeros(len(texts)),
    "nan": lambda: lambda texts: np.full((len(texts), 2), np.nan),
    "masked": lambda: lambda texts: np.ma.masked_equal(np.ones((len(texts), 2)), 1),
    "large": lambda: lambda texts: np.full((len(texts), 2), 1e39),
}


def test_embed__gives_each_text_its_numbers(spark: SparkSession) -> None:
    words = ["a", "tree", "", "house", "queue"] * 40
    frame = spark.createDataFrame([(number, word) for number, word in enumerate(words)], "id int, text string")
    rows = frame.repartition(3).withColumn("embedding", embed(MODELS["lengths"], batch_size=7)("text")).collect()
    assert {row["id"]: row["embedding"] for row in rows} == {
        n: list(MODELS["lengths"]()([word])[0]) for n, word in enumerate(words)
    }
    assert frame.withColumn("e", embed(MODELS["lengths"])("text")).dtypes[-1] == ("e", "array<float>")


def test_embed__takes_bytes(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(bytearray(b"\x01\x05"),), (bytearray(b"\xff"),)], "picture binary")

    def sums() -> Callable[[Any], Any]:
        return lambda pictures: np.array([[sum(picture)] for picture in pictures])

    rows = frame.select(embed(sums)("picture").alias("e")).collect()
    assert sorted(row["e"] for row in rows) == [[6.0], [255.0]]


@pytest.mark.parametrize(
    ("texts", "model", "said"),
    [
        (["a", None], "lengths", "1 nulls in a batch"),
        (["a", "b"], "flat", "float64 of shape"),
        (["a", "b"], "nan", "NaN, masked, or too large for float32"),
        (["a", "b"], "masked", "NaN, masked, or too large for float32"),
        (["a", "b"], "large", "NaN, masked, or too large for float32"),
    ],
)
def test_embed__what_is_no_embedding_is_told(texts: list[Any], model: str, said: str, spark: SparkSession) -> None:
    frame = spark.createDataFrame([(text,) for text in texts], "text string").coalesce(1)
    with pytest.raises(Exception, match=said):
        frame.select(embed(MODELS[model])("text")).collect()


def test_embed__by_a_token_table(spark: SparkSession) -> None:
    pytest.importorskip("wordllama", reason="not among the tests' packages")

    def wordllama() -> Callable[[Any], Any]:
        import wordllama as package

        # The table is in the package: nothing is downloaded.
        model = package.WordLlama.load(cache_dir=Path(package.__file__).parent, disable_download=True)
        return lambda texts: model.embed(list(texts), norm=True)

    texts = ["a cat sleeps", "two dogs bark", "the tax on income", "a law about tariffs"]
    frame = spark.createDataFrame([(text,) for text in texts], "text string")
    found = {row["text"]: row["e"] for row in frame.select("text", embed(wordllama)("text").alias("e")).collect()}
    x = np.array([found[text] for text in texts])
    np.testing.assert_allclose(x, wordllama()(texts), atol=1e-6)
    assert (x @ x.T)[2, 3] > (x @ x.T)[0, 2]
