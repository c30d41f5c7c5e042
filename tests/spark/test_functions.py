"""The column function of top contributors, against the values of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dvspark
from dvspark.errors import ConfigError, InputError
from dvspark.functions import build_index, chg_values, embed, register_sources, top_contributors

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

N_TRAIN, N_VALIDATION, N_FEATURES, K = 30, 8, 3, 2
TOLERANCE = 1e-12
RNG = np.random.default_rng(30)
# A grid: ties are common, and every kind of embedding holds the same numbers.
X = RNG.integers(1, 4, size=(N_TRAIN, N_FEATURES)).astype(np.float32)
Y = RNG.integers(0, 3, size=N_TRAIN)
Z = RNG.integers(1, 4, size=(N_VALIDATION, N_FEATURES)).astype(np.float32)
Y_Z = RNG.integers(0, 3, size=N_VALIDATION)
# Neither in the order of the rows nor, as words, in the order of the numbers.
IDS = [int(one) for one in RNG.permutation(N_TRAIN) * 7]

EMBEDDINGS = {
    "array<float>": lambda row: row.tolist(),
    "array<double>": lambda row: row.tolist(),
    "binary": lambda row: row.astype("<f4").tobytes(),
}


def frame(
    spark: SparkSession, x: Any, labels: Any, ids: Any, kind: str = "array<float>", label: str = "bigint"
) -> DataFrame:
    id_kind = "string" if isinstance(ids[0], str) else "bigint"
    encode = EMBEDDINGS[kind]
    rows = [(one, None if row is None else encode(row), y) for one, row, y in zip(ids, x, labels, strict=True)]
    return spark.createDataFrame(rows, f"id {id_kind}, embedding {kind}, label {label}")


def train_frame(spark: SparkSession, kind: str = "array<float>", ids: Any = IDS) -> DataFrame:
    return frame(spark, X, Y.tolist(), ids, kind)


def validation_frame(spark: SparkSession, kind: str = "array<float>") -> DataFrame:
    return frame(spark, Z, Y_Z.tolist(), list(range(N_VALIDATION)), kind)


def contributors(index: Any, rows: DataFrame, **options: Any) -> dict[int, list[tuple[Any, float]]]:
    """Return for each validation id its contributors, as they come: (id, value)."""
    shown = rows.withColumn("contributors", top_contributors(index, **options)("embedding", "label"))
    return {row["id"]: [(c["id"], c["value"]) for c in row["contributors"]] for row in shown.collect()}


def mean_values(found: dict[int, list[tuple[Any, float]]], ids: list[Any]) -> np.ndarray:
    """Return the mean over validation points, in the order of ``ids``; a row that is not shown has value 0."""
    total = dict.fromkeys(ids, 0.0)
    for shown in found.values():
        for one, value in shown:
            total[one] += value
    return np.array([total[one] for one in ids]) / len(found)


@pytest.fixture
def index(spark: SparkSession, tmp_path: Path) -> Any:
    return build_index(train_frame(spark), directory=str(tmp_path))


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"method": "knn_shapley", "ties": "id"},
        {"method": "knn_shapley", "ties": "average"},
        {"method": "soft_knn_shapley", "n_classes": 3, "ties": "id"},
    ],
)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_top_contributors__their_values_average_to_those_of_the_job(
    spark: SparkSession, tmp_path: Path, metric: str, options: dict[str, Any]
) -> None:
    index = build_index(train_frame(spark), metric=metric, directory=str(tmp_path))
    found = contributors(index, validation_frame(spark), k=K, top=N_TRAIN, **options)
    assert len(found) == N_VALIDATION
    expected = dvspark.value_arrays(X, Y, Z, Y_Z, k=K, metric=metric, train_ids=IDS, **options)
    np.testing.assert_allclose(mean_values(found, IDS), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("validation_kind", EMBEDDINGS)
def test_top_contributors__any_kind_of_embedding_will_do(
    spark: SparkSession, tmp_path: Path, kind: str, validation_kind: str
) -> None:
    index = build_index(train_frame(spark, kind), directory=str(tmp_path))
    found = contributors(index, validation_frame(spark, validation_kind), k=K, top=N_TRAIN)
    expected = dvspark.value_arrays(X, Y, Z, Y_Z, k=K, train_ids=IDS)
    np.testing.assert_allclose(mean_values(found, IDS), expected, rtol=0, atol=TOLERANCE)


def test_top_contributors__ids_that_are_words_decide_ties_as_words(spark: SparkSession, tmp_path: Path) -> None:
    words = [str(one) for one in IDS]
    index = build_index(train_frame(spark, ids=words), directory=str(tmp_path))
    found = contributors(index, validation_frame(spark), k=K, top=N_TRAIN)
    expected = dvspark.value_arrays(X, Y, Z, Y_Z, k=K, train_ids=words)
    assert not np.allclose(expected, dvspark.value_arrays(X, Y, Z, Y_Z, k=K, train_ids=IDS), atol=1e-6)
    np.testing.assert_allclose(mean_values(found, words), expected, rtol=0, atol=TOLERANCE)


def test_top_contributors__helpers_come_first_and_the_worst_last(spark: SparkSession, index: Any) -> None:
    top = 3
    all_of = contributors(index, validation_frame(spark), k=K, top=N_TRAIN)
    some_of = contributors(index, validation_frame(spark), k=K, top=top)
    for point, everyone in all_of.items():
        values = [value for _, value in everyone]
        assert values == sorted(values, reverse=True)
        assert 0.0 not in values
        helped, hurt = [c for c in everyone if c[1] > 0], [c for c in everyone if c[1] < 0]
        assert helped
        assert hurt
        shown = [value for _, value in some_of[point]]
        assert shown == [value for _, value in [*helped[:top], *hurt[-top:]]]
        # Without average ties only a match can help, and only another label can be worth less than nothing.
        label_of = dict(zip(IDS, Y.tolist(), strict=True))
        assert {label_of[one] for one, _ in helped} == {int(Y_Z[point])}
        assert int(Y_Z[point]) not in {label_of[one] for one, _ in hurt}


def test_top_contributors__of_equal_values_the_nearer_row_is_taken(spark: SparkSession, tmp_path: Path) -> None:
    # k = 4 votes, all for: each of the four nearest is worth 1 / 4.
    rows = frame(spark, np.array([[4.0], [3.0], [2.0], [1.0]], np.float32), [0] * 4, [1, 2, 3, 4])
    index = build_index(rows, directory=str(tmp_path))
    point = frame(spark, np.zeros((1, 1), np.float32), [0], [0])
    assert contributors(index, point, k=4, top=2) == {0: [(4, 0.25), (3, 0.25)]}


def test_top_contributors__a_label_that_no_row_has_leaves_nobody(spark: SparkSession, index: Any) -> None:
    point = frame(spark, Z[:1], [99], [0])
    assert contributors(index, point, k=K, top=5) == {0: []}


def test_top_contributors__sets_of_labels_match_where_they_meet(spark: SparkSession, tmp_path: Path) -> None:
    train_labels = [[int(y), 10 + row] for row, y in enumerate(Y)]
    rows = frame(spark, X, train_labels, IDS, label="array<bigint>")
    index = build_index(rows, directory=str(tmp_path))
    points = frame(spark, Z, [[int(y), 99] for y in Y_Z], list(range(N_VALIDATION)), label="array<bigint>")
    found = contributors(index, points, k=K, top=N_TRAIN)
    expected = dvspark.value_arrays(X, Y, Z, Y_Z, k=K, train_ids=IDS)
    np.testing.assert_allclose(mean_values(found, IDS), expected, rtol=0, atol=TOLERANCE)


def test_build_index__columns_may_have_other_names(spark: SparkSession, tmp_path: Path) -> None:
    renamed = train_frame(spark).toDF("key", "vector", "class")
    names = {"id": "key", "embedding": "vector", "label": "class"}
    index = build_index(renamed, columns=names, directory=str(tmp_path))
    assert (index.n_train, index.n_features, index.metric) == (N_TRAIN, N_FEATURES, "euclidean")
    found = contributors(index, validation_frame(spark), k=K, top=N_TRAIN)
    expected = dvspark.value_arrays(X, Y, Z, Y_Z, k=K, train_ids=IDS)
    np.testing.assert_allclose(mean_values(found, IDS), expected, rtol=0, atol=TOLERANCE)


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "where", "said"),
    [
        ({"method": "soft_knn_shapley"}, "n_classes", "count the labels of both tables"),
        ({"method": "knn_shaply"}, "method", "did you mean"),
        ({"k": 0}, "parameter 'k'", "at least 1"),
        ({"top": 0}, "top", "from 1"),
        ({"ties": "random"}, "ties", "one of"),
    ],
)
def test_top_contributors__unusable_options_are_refused_before_spark_is_asked(
    index: Any, options: dict[str, Any], where: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        top_contributors(index, **options)
    assert [problem.where for problem in caught.value.problems] == [where]
    assert said in str(caught.value)


def test_build_index__unusable_rows_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        build_index(train_frame(spark), metric="cosin", directory=str(tmp_path))
    with pytest.raises(InputError, match="1 ids more than once"):
        build_index(train_frame(spark, ids=[1, 1, *range(2, N_TRAIN)]), directory=str(tmp_path))
    with pytest.raises(InputError, match="a column 'label'"):
        build_index(train_frame(spark).drop("label"), directory=str(tmp_path))


@pytest.mark.parametrize(
    ("call", "wheres"),
    [
        (lambda _: build_index("x", columns="label", directory=3), ["train_df", "columns", "directory"]),
        (lambda frame: build_index(frame.toPandas()), ["train_df"]),
        (lambda _: top_contributors("x"), ["index"]),
        (lambda _: chg_values(None, id=1, loss=2), ["gradients_df", "id", "loss"]),
        (lambda _: register_sources("x"), ["spark"]),
        (lambda _: embed("x", batch_size=0), ["batch_size", "load"]),
        (lambda frame: dvspark.value_game(len, 3, evaluations=100, spark=frame), ["spark"]),
    ],
)
def test_functions__arguments_of_another_type_are_told_all_at_once(spark: SparkSession, call: Any, wheres: Any) -> None:
    """They were AttributeErrors and TypeErrors from within."""
    with pytest.raises(ConfigError) as refused:
        call(validation_frame(spark))
    assert [problem.where for problem in refused.value.problems] == wheres


BAD_POINTS = {
    "a null embedding": ([None, Z[1]], [0, 1], "1 embeddings of another length or null"),
    "only null embeddings": ([None, None], [0, 1], "2 embeddings of another length or null"),
    "another length": ([Z[0][:2], Z[1]], [0, 1], "1 embeddings of another length or null"),
    "a null label": ([Z[0], Z[1]], [0, None], "1 null labels"),
    "only null labels": ([Z[0], Z[1]], [None, None], "2 null labels"),
    "NaN": ([Z[0], np.array([1, np.nan, 1], np.float32)], [0, 1], "NaN or infinity"),
    "numbers too large to square": ([Z[0], np.array([1, 1e20, 1], np.float32)], [0, 1], "1 others in a batch"),
}


@pytest.mark.parametrize(
    ("embedding", "label", "said"),
    [
        ("embedding", "string(label)", "labels of the training rows' type, int64"),
        ("embedding", "label + 0.5D", "labels of the training rows' type, int64"),
        ("embedding", "array(string(label))", "labels of the training rows' type, int64"),
        ("'abc'", "label", "embeddings of numbers"),  # as long as an embedding
        ("array('1', '2', '3')", "label", "embeddings of numbers"),
    ],
)
def test_top_contributors__columns_of_another_kind_are_named(
    spark: SparkSession, index: Any, embedding: str, label: str, said: str
) -> None:
    points = validation_frame(spark).selectExpr("id", f"{embedding} AS embedding", f"{label} AS label")
    with pytest.raises(Exception, match="what to do") as caught:
        contributors(index, points, k=K)
    assert f"expected: {said}" in str(caught.value)


def test_top_contributors__bytes_that_were_cut_are_named(spark: SparkSession, index: Any) -> None:
    rows = [(row, z.astype("<f4").tobytes() + b"\0" * row, 0) for row, z in enumerate(Z[:3])]
    points = spark.createDataFrame(rows, "id bigint, embedding binary, label bigint").coalesce(1)
    with pytest.raises(Exception, match="2 embeddings of another length or null"):
        contributors(index, points, k=K)


@pytest.mark.parametrize("kind", ["array<float>", "binary"])
@pytest.mark.parametrize(("x", "labels", "said"), BAD_POINTS.values(), ids=BAD_POINTS)
def test_top_contributors__points_that_cannot_be_valued_are_named(
    spark: SparkSession, index: Any, x: list[Any], labels: list[Any], said: str, kind: str
) -> None:
    points = frame(spark, x, labels, [0, 1], kind).coalesce(1)
    with pytest.raises(Exception, match="filter these rows out") as caught:
        contributors(index, points, k=K)
    assert said in str(caught.value)
