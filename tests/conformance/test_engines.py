"""Every method on every engine gives the same values; what must not matter on Spark does not."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import oracles
import pytest
from covering import covering
from frames import EMBEDDINGS, IDS, LABELS, Data, Side, draw_data, frame_of, frames_of, values_by_id
from worked_cases import WorkedCase, worked_cases

import dvspark
from dvspark.engine.chunks import WAVE_CHUNKS
from dvspark.engine.reduce import BLOCK_ROWS
from dvspark.logs import Stages
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import canonical_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

# Both engines run the same kernels in float64, so nothing but the order of additions may differ.
TOLERANCE = 1e-12
K = 5


# --- worked cases -----------------------------------------------------------------------------------------


def _table_values(spark: SparkSession, case: WorkedCase) -> np.ndarray:
    from dvspark.run.frames.value_frames import value_table

    label = "double" if case.options["method"] == "knn_regression_shapley" else "bigint"
    types = {"id": "bigint", "label": label, "embedding": "array<double>", "owner": "bigint", "weight": "double"}
    x_train, y_train, *validation = case.data
    if label == "double":
        y_train, validation[1] = list(map(float, y_train)), list(map(float, validation[1]))
    options = {k: v for k, v in case.options.items() if k not in ("train_ids", "owners", "column")}
    ids, owners = case.options["train_ids"], case.options.get("owners")
    given = {"owner": owners, "weight": case.options.get("column")}
    columns = {name: column for name, column in given.items() if column is not None}
    frames = [frame_of(spark, Side(ids, np.array(x_train, np.float64), y_train, columns), types)]
    if validation:
        names = list(range(len(validation[1])))
        frames.append(frame_of(spark, Side(names, np.array(validation[0], np.float64), validation[1]), types))
    if "x_owned" in options:
        x, y, names = (options.pop(name) for name in ("x_owned", "y_owned", "owned_ids"))
        options["owned_df"] = _owned_frame(spark, Side(names, x, y), types)
    values = value_table(*frames, **options, precision="float64").values
    return values_by_id(values, ids if owners is None else sorted(set(owners)))


def _owned_frame(spark: SparkSession, side: Side, types: dict[str, str]) -> DataFrame:
    """Return owned rows; of no rows Spark cannot tell the columns."""
    if len(side):
        return frame_of(spark, side, types)
    return spark.createDataFrame([], ", ".join(f"{name} {types[name]}" for name in ("id", "embedding", "label")))


# All of them are valued without Spark (tests/unit/test_local_cases.py); `test_family` has more options and both plans.
ONE_OF_EACH_METHOD = {case.options["method"]: case for case in reversed(worked_cases())}


@pytest.mark.parametrize("method", ONE_OF_EACH_METHOD)
def test_replicated__equals_the_worked_case(spark: SparkSession, method: str) -> None:
    case = ONE_OF_EACH_METHOD[method]
    # A column of weights holds those of one point: each point is a run of its own, and values are means over points.
    cases = [case] if case.is_for_tables else case.points_alone()
    values = np.mean([_table_values(spark, one) for one in cases], axis=0)
    np.testing.assert_allclose(values, [float(value) for value in case.values], rtol=0, atol=TOLERANCE)


# --- options ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """One choice of everything an engine could treat differently."""

    method: str
    metric: str
    ties: str
    aggregate: str
    self_validation: bool
    label_type: str
    id_type: str
    embedding_type: str

    def __str__(self) -> str:
        return "-".join(str(getattr(self, field.name)) for field in fields(self))


CHOICES = (
    oracles.METHODS,
    oracles.METRICS,
    ("id", "average"),
    ("mean", "sum"),
    (False, True),
    LABELS,
    IDS,
    EMBEDDINGS,
)


@pytest.mark.parametrize("options", [Options(*choice) for choice in covering(*CHOICES)], ids=str)
def test_replicated__equals_the_local_engine_and_the_oracle(spark: SparkSession, options: Options) -> None:
    from dvspark.run.frames.value_frames import value_table

    types = {"label_type": options.label_type, "id_type": options.id_type, "embedding_type": options.embedding_type}
    data = draw_data(130, 60, seed=11, **types)
    arrays, given = data.arrays(self_validation=options.self_validation)
    settings = {"method": options.method, "k": K, "metric": options.metric, "ties": options.ties}
    spread = {**settings, "aggregate": options.aggregate, "precision": "float64"}

    train, validation = frames_of(spark, data)
    frames = (train,) if options.self_validation else (train, validation)
    values = value_table(*frames, **spread, self_validation=options.self_validation).values.cache()
    on_spark, errors = (values_by_id(values, data.train.ids, column) for column in ("value", "standard_error"))

    local = dvspark.value_arrays(*arrays, **spread, **given)
    by_point = oracles.reference_point_values(*arrays, **settings, **given)
    n = len(by_point) if options.aggregate == "sum" else 1
    np.testing.assert_allclose(on_spark, local, rtol=0, atol=TOLERANCE * n)
    np.testing.assert_allclose(on_spark, by_point.mean(axis=0) * n, rtol=0, atol=TOLERANCE * n)
    np.testing.assert_allclose(errors, oracles.standard_errors(by_point) * n, rtol=0, atol=TOLERANCE * n)


@pytest.mark.long
def test_replicated__several_blocks_of_train_rows(spark: SparkSession) -> None:
    from dvspark.run.frames.value_frames import value_table

    data = draw_data(BLOCK_ROWS + 5_000, 12, seed=12, n_features=3)
    arrays, given = data.arrays()
    values = value_table(*frames_of(spark, data), k=K, precision="float64").values
    local = dvspark.value_arrays(*arrays, **given, k=K, precision="float64")
    np.testing.assert_allclose(values_by_id(values, data.train.ids), local, rtol=0, atol=TOLERANCE)


@pytest.mark.long
def test_replicated__binned_is_the_local_engine_s_with_its_certificate_recorded(spark: SparkSession) -> None:
    from dvspark.run.frames.value_frames import value_table

    data = draw_data(12_000, 12, seed=14, n_features=8)
    arrays, given = data.arrays()
    options = {"k": K, "ranking": "binned", "tolerance": 1e-6}
    result = value_table(*frames_of(spark, data), **options)
    values = values_by_id(result.values, data.train.ids)
    np.testing.assert_allclose(values, dvspark.value_arrays(*arrays, **given, **options), rtol=0, atol=TOLERANCE)
    by_sort = dvspark.value_arrays(*arrays, **given, k=K, precision="float64")
    assert 0 < result.run["error_bound"] <= 1e-6
    assert np.max(np.abs(values - by_sort)) <= result.run["error_bound"] + 1e-8


@pytest.mark.long
def test_replicated__row_bounds_have_the_bits_of_the_local_engine(spark: SparkSession) -> None:
    from dvspark.run.frames.value_frames import value_table

    drawn = draw_data(BLOCK_ROWS + 5_000, 12, seed=15, n_features=8)
    # One chunk, whose rows `value_arrays` is given in the order in which Spark adds them.
    data = Data(drawn.train, drawn.validation.take(np.argsort(drawn.validation.ids)), drawn.types)
    arrays, given = data.arrays()
    options: dict[str, Any] = {"k": K, "ranking": "binned", "tolerance": 1e-6, "error_bound": True}
    result = value_table(*frames_of(spark, data), **options)
    found = [values_by_id(result.values, data.train.ids, column) for column in ("value", "error_bound")]
    values, bounds = dvspark.value_arrays(*arrays, **given, **options)
    np.testing.assert_array_equal(found, [values, bounds])
    assert 0 < result.run["error_bound"] == bounds.max()
    assert result.run["row_bounds"] is True
    assert dict(result.values.dtypes)["error_bound"] == "double"
    without = value_table(*frames_of(spark, data), **{**options, "error_bound": False})
    assert "error_bound" not in without.values.columns
    assert without.run["error_bound"] >= bounds.max()


# --- what must not matter ---------------------------------------------------------------------------------

CHUNK_ROWS = 24
DATA = draw_data(200, 150, seed=13)


def _bits(train: DataFrame, validation: DataFrame, chunk_rows: int = CHUNK_ROWS) -> np.ndarray:
    """Return values and standard errors of the train rows in the order of `DATA`, (2, n_train)."""
    from dvspark.methods.options import ValueOptions
    from dvspark.run.pipeline import compute
    from dvspark.run.read import Tables
    from dvspark.run.request import RowRules, Spread
    from dvspark.run.validate import validate_tables
    from dvspark.tables.sources.reference import TableReference
    from dvspark.tables.sources.rows import canonical_rows

    options = ValueOptions(parameters={"k": K})
    sides = (
        canonical_rows("train", train, TableReference()),
        canonical_rows("validation", validation, TableReference()),
    )
    checked = validate_tables(Tables(*sides), RowRules(), options, None, chunk_rows, Stages())
    table = compute(
        checked, Spread(chunk_rows=chunk_rows), train.sparkSession, Stages(), with_extremes=False
    ).finalized.table
    place = {key: row for row, key in enumerate(table["id"].to_pylist())}
    rows = [place[key] for key in DATA.train.ids]
    return np.stack([table[name].to_numpy()[rows] for name in ("value", "standard_error")])


@pytest.fixture(scope="module")
def expected(spark_session: SparkSession) -> np.ndarray:
    """The bits of a plain run, which `value_arrays` agrees with."""
    bits = _bits(*frames_of(spark_session, DATA))
    arrays, given = DATA.arrays()
    local = dvspark.value_arrays(*arrays, **given, k=K)
    np.testing.assert_allclose(bits[0], local, rtol=0, atol=TOLERANCE)
    return bits


def _skewed(frame: DataFrame) -> DataFrame:
    # One key: all rows meet in one of five partitions, and four are empty.
    return frame.selectExpr("*", "1 AS key").repartition(5, "key").drop("key")


def _reversed(data: Data) -> Data:
    return Data(data.train.take(slice(None, None, -1)), data.validation.take(slice(None, None, -1)), data.types)


LAYOUTS: dict[str, Callable[[DataFrame], DataFrame]] = {
    "same again": lambda frame: frame,
    "1 partition": lambda frame: frame.coalesce(1),
    "7 partitions": lambda frame: frame.repartition(7),
    "empty partitions": lambda frame: frame.repartition(3).union(frame.where("id < 0").repartition(2)),
    "all in one of five": _skewed,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_partitions__do_not_change_a_bit(spark: SparkSession, expected: np.ndarray, layout: str) -> None:
    train, validation = (LAYOUTS[layout](frame) for frame in frames_of(spark, DATA))
    np.testing.assert_array_equal(_bits(train, validation), expected)


def test_row_order__does_not_change_a_bit(spark: SparkSession, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(_bits(*frames_of(spark, _reversed(DATA))), expected)


@pytest.mark.parametrize("max_records", [3, 10_000])
def test_arrow_batches__do_not_change_a_bit(spark: SparkSession, expected: np.ndarray, max_records: int) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", max_records)
    np.testing.assert_array_equal(_bits(*frames_of(spark, DATA)), expected)


@pytest.mark.parametrize("id_type", IDS)
@pytest.mark.parametrize("embedding_type", EMBEDDINGS)
def test_build_index__has_the_same_bytes_placed_by_tasks_streamed_or_through_files(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id_type: str, embedding_type: str
) -> None:
    from dvspark.engine.replicated import packing

    data = draw_data(130, 1, seed=14, id_type=id_type, embedding_type=embedding_type)
    train = canonical_rows("train", frames_of(spark, data)[0].repartition(3), TableReference())
    shape = {"n_train": 130, "n_features": data.train.x.shape[1], "dtype": str(data.train.x.dtype)}
    found = []
    for size in ("PARTITION_BYTES", "PIECE_BYTES"):
        monkeypatch.setattr(packing, size, data.train.x.nbytes // 5)
    for name in ("placed", "streamed", "files"):
        monkeypatch.setattr(packing, "is_same_host", lambda _, name=name: name == "placed")
        given = {**shape, "metric": "cosine", "directory": tmp_path / name, "shared": name == "files"}
        found.append(packing.build_index(train.frame, **given).digest)
    assert found == found[:1] * 3
    assert {path.name for path in tmp_path.iterdir()} == {"placed", "streamed", "files"}


@pytest.mark.long
# 1: about as many chunks as rows, so that there are two waves.
@pytest.mark.parametrize("chunk_rows", [1, 40, 1_000])
def test_chunk_rows__change_values_by_rounding_alone(
    spark: SparkSession, expected: np.ndarray, chunk_rows: int
) -> None:
    assert len(DATA.validation) > 2 * WAVE_CHUNKS
    np.testing.assert_allclose(_bits(*frames_of(spark, DATA), chunk_rows), expected, rtol=0, atol=TOLERANCE)
