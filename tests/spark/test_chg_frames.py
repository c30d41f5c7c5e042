"""CHG-Shapley values of a DataFrame of gradients, against those of arrays and of all coalitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from ordered_cases import chg_coalition_values, read_vectors

import dvspark
from dvspark.errors import AuditError, ConfigError, InputError
from dvspark.functions import chg_values
from dvspark.kernels.formulas import chg_shapley as kernel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

N, P = 60, 5
RNG = np.random.default_rng(8)
X = RNG.normal(size=(N, P)) * 10.0 ** RNG.integers(-6, 7, (N, 1))
IDS = [int(one) for one in RNG.permutation(N) * 3]
CLASSES = [("a", "b", "c")[one] for one in RNG.integers(0, 3, N)]
ALPHA = RNG.normal(size=P)


def frame(spark: SparkSession, x: Any, ids: list[Any], classes: list[Any], kind: str = "array<double>") -> DataFrame:
    values = [None if row is None else row.astype("<f4").tobytes() for row in x] if kind == "binary" else list(x)
    table = pa.table({"id": ids, "gradient": pa.array(values), "class": pa.array(classes)})
    return spark.createDataFrame(table)


def found(values: DataFrame, ids: list[Any]) -> np.ndarray:
    """Return the values in the order of the ids, each of which is there once."""
    table = values.toArrow()
    assert sorted(table["id"].to_pylist()) == sorted(ids)
    by_id = dict(zip(table["id"].to_pylist(), table["value"].to_pylist(), strict=True))
    return np.array([by_id[one] for one in ids])


@pytest.mark.parametrize("content", read_vectors("chg_"), ids=lambda content: content["id"])
def test_chg_values__are_those_of_the_worked_cases(spark: SparkSession, content: Any) -> None:
    x = [np.array(row["x"], np.float64) for row in content["inputs"]["train"]]
    alpha = None if content["params"]["alpha"] == "mean" else content["inputs"]["alpha"]
    ids = list(range(len(x)))
    values = chg_values(frame(spark, x, ids, ["a"] * len(x)), alpha=alpha)
    assert values.columns == ["id", "value"]
    np.testing.assert_allclose(found(values, ids), content["expected"]["value"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["mean", "given"])
def test_chg_values__of_each_class_are_those_of_its_rows_alone(spark: SparkSession, alpha: Any) -> None:
    values = chg_values(frame(spark, X, IDS, CLASSES), alpha=alpha, by="class")
    expected = dvspark.chg_value_arrays(X, alpha, by=CLASSES)
    np.testing.assert_allclose(found(values, IDS), expected, rtol=1e-12, atol=0)
    assert {row["id"]: row["by"] for row in values.collect()} == dict(zip(IDS, CLASSES, strict=True))


def test_chg_values__are_those_of_all_coalitions_in_small_classes(spark: SparkSession) -> None:
    x, classes = RNG.integers(-4, 5, (9, 2)) / 2, [1, 2, 2, 3, 3, 3, 3, 3, 3]
    values = found(chg_values(frame(spark, x, list(range(9)), classes), alpha=[0.5, -1.0], by="class"), list(range(9)))
    for rows in ([0], [1, 2], [3, 4, 5, 6, 7, 8]):
        np.testing.assert_allclose(values[rows], chg_coalition_values(x[rows], [0.5, -1.0]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["mean", "given"])
def test_chg_values__neither_order_nor_partitions_nor_batches_change_a_bit(spark: SparkSession, alpha: Any) -> None:
    expected = found(chg_values(frame(spark, X, IDS, CLASSES).coalesce(1), alpha=alpha), IDS)
    order = RNG.permutation(N)
    other = frame(spark, X[order], [IDS[row] for row in order], CLASSES)
    np.testing.assert_array_equal(found(chg_values(other.repartition(5, "class"), alpha=alpha), IDS), expected)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 7)
    np.testing.assert_array_equal(found(chg_values(other.coalesce(1), alpha=alpha), IDS), expected)


@pytest.mark.parametrize("kind", ["array<float>", "binary"])
def test_chg_values__any_form_of_numbers_will_do(spark: SparkSession, kind: str) -> None:
    x = X.astype(np.float32)
    values = chg_values(
        frame(spark, x, IDS, CLASSES, kind).withColumnsRenamed({"id": "k", "gradient": "g"}), id="k", gradient="g"
    )
    np.testing.assert_allclose(found(values, IDS), dvspark.chg_value_arrays(x), rtol=1e-12, atol=0)


@pytest.mark.long
def test_chg_values__of_losses_and_gradients_are_means_over_the_epochs_of_a_row(spark: SparkSession) -> None:
    losses, epochs = RNG.random(N), RNG.integers(0, 3, N)
    ids = [int(row) for row in np.arange(N) // 3 + 100 * (np.arange(N) % 2)]
    place: dict[tuple[int, int], int] = {(ids[row], int(epochs[row])): row for row in range(N)}
    rows = sorted(place.values())  # a row once in an epoch
    table = pa.table(
        {
            "id": [ids[row] for row in rows],
            "gradient": pa.array(list(X[rows])),
            "class": [CLASSES[ids[row] % 7] for row in rows],
            "loss": losses[rows],
            "step": [f"epoch {epochs[row]}" for row in rows],
        }
    )
    expected: dict[int, list[float]] = {}
    for epoch in range(3):
        own = [row for row in rows if epochs[row] == epoch]
        by = [CLASSES[ids[row] % 7] for row in own]
        values = dvspark.chg_value_arrays(losses[own][:, None] * X[own], by=by)
        for row, value in zip(own, values.tolist(), strict=True):
            expected.setdefault(ids[row], []).append(value)
    given: dict[str, Any] = {"loss": "loss", "epoch": "step", "by": "class"}
    together = chg_values(spark.createDataFrame(table), **given)
    assert together.columns == ["id", "by", "value"]
    known = sorted(expected)
    np.testing.assert_allclose(
        found(together, known), [np.mean(expected[one]) for one in known], rtol=1e-11, atol=1e-12
    )
    moved = chg_values(spark.createDataFrame(table).repartition(4, "gradient"), **given)
    np.testing.assert_array_equal(found(moved, known), found(together, known))


@pytest.mark.long
def test_value_table__of_losses_and_gradients_in_epochs_are_means_by_validation_rows_of_each(
    spark: SparkSession,
) -> None:
    sides: dict[str, DataFrame] = {}
    told: dict[str, list[Any]] = {"train": [], "points": []}
    for side, n in (("train", 12), ("points", 8)):
        for epoch in ("first", "second"):
            losses, x = RNG.random(n), RNG.normal(size=(n, P))
            told[side].append(losses[:, None] * x)
            columns = {"id": [f"{side} {row}" for row in range(n)], "g": pa.array(list(x)), "loss": losses}
            rows = spark.createDataFrame(pa.table({**columns, "label": ["a"] * n, "epoch": [epoch] * n}))
            sides[side] = sides[side].unionByName(rows) if side in sides else rows
    expected = [dvspark.chg_value_arrays(x, z.mean(axis=0)) for x, z in zip(told["train"], told["points"], strict=True)]
    given: dict[str, Any] = {"method": "chg_shapley", "source": "gradients"}
    names = {"embedding": "g", "epoch": "epoch"}

    def values(frames: list[DataFrame], columns: dict[str, str]) -> list[float]:
        result = dvspark.value_table(*frames, columns=columns, **given)
        by_id = {row["id"]: row["value"] for row in result.values.collect()}
        return [by_id[f"train {row}"] for row in range(12)]

    together = values([*sides.values()], names)
    np.testing.assert_allclose(together, np.mean(expected, axis=0), rtol=0, atol=1e-12)
    alone = values([side.where("epoch = 'first'") for side in sides.values()], {"embedding": "g"})
    np.testing.assert_allclose(alone, expected[0], rtol=0, atol=1e-12)
    with pytest.raises(InputError, match="once in each of 2 epochs"):
        values([sides["train"].where("id <> 'train 3' OR epoch = 'first'"), sides["points"]], names)
    with pytest.raises(ConfigError, match="columns\\['epoch'\\]"):
        dvspark.value_table(*sides.values(), columns=names, method="knn_shapley", k=1)


@pytest.mark.parametrize(
    ("loss", "options", "said"),
    [
        ([-1.0, 2.0], {}, "loss is negative, NaN or infinity in 1 rows"),
        ([1.0, 2.0], {"epoch": "los"}, "did you mean 'loss'"),
        ([1.0, None], {"loss": None, "epoch": "loss"}, "an epoch in each row"),
    ],
)
def test_chg_values__losses_and_epochs_that_are_none_are_named(
    spark: SparkSession, loss: list[Any], options: dict[str, Any], said: str
) -> None:
    rows = spark.createDataFrame(pa.table({"id": [1, 2], "gradient": [[1.0], [2.0]], "loss": loss}))
    with pytest.raises(InputError) as refused:
        chg_values(rows, **{"loss": "loss", **options})
    assert said in str(refused.value)


def test_chg_values__rows_that_change_their_class_between_epochs_are_named(spark: SparkSession) -> None:
    columns = {"id": [1, 2, 1, 2], "epoch": [0, 0, 1, 1], "class": ["a", "a", "a", "b"]}
    rows = spark.createDataFrame(pa.table({**columns, "gradient": [[1.0], [2.0], [3.0], [4.0]]}))
    with pytest.raises(InputError, match=r"one class a row over all epochs(.|\n)*the first: 2"):
        chg_values(rows, by="class", epoch="epoch")


BAD: dict[str, tuple[Any, Any, Any, str]] = {
    "a null": ([None, X[0]], [1, 2], ["a", "b"], "gradient is null in 1 rows; the first: '1'"),
    "NaN": ([X[0], np.array([1.0, np.nan])], [1, 2], ["a", "b"], "gradient holds NaN or infinity in 1 rows"),
    "another length": ([X[0], X[1][:2]], [1, 2], ["a", "b"], "1 rows of 2, the first: '2'"),
    "none": ([X[0], np.empty(0)], [1, 2], ["a", "b"], "gradient is empty in 1 rows"),
    "too large": ([np.full(2, 1e20)], [1], ["a"], "gradient is too large to square"),
    "an id twice": ([X[0], X[1]], [1, 1], ["a", "b"], "1 ids more than once"),
    "no id": ([X[0], X[1]], [1, None], ["a", "b"], "id is null in 1 rows"),
    "no class": ([X[0], X[1]], [1, 2], ["a", None], "class is null in 1 rows; the first: '2'"),
    "several classes": ([X[0]], [1], [["a"]], "a row is in one game"),
    "no rows": ([X[0]], [1], ["a"], "at least one row"),
}


@pytest.mark.parametrize("name", BAD)
def test_chg_values__what_cannot_be_valued_is_named(spark: SparkSession, name: str) -> None:
    x, ids, classes, said = BAD[name]
    rows = frame(spark, x, ids, classes)
    with pytest.raises(InputError) as refused:
        chg_values(rows.where("id < 0") if name == "no rows" else rows, by="class")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": [1.0, 2.0]}, f"shape ({P},)"),
        ({"alpha": ["a"] * P}, "numbers"),
        ({"gradient": "gradeint"}, "did you mean 'gradient'"),
        ({"by": "gradient"}, "cast it to string"),
    ],
)
def test_chg_values__unusable_arguments_are_named(spark: SparkSession, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        chg_values(frame(spark, X, IDS, CLASSES), **options)
    assert said in str(refused.value)


def test_chg_values__that_do_not_sum_to_the_utility_are_not_returned(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        kernel.GradientGame, "utility", property(lambda game: float(game.alpha @ game.alpha) * (1 + 1e-6))
    )
    with pytest.raises(AuditError, match="audit: efficiency"):
        chg_values(frame(spark, X, IDS, CLASSES))
