"""Frames of every library, and their columns, have the values of plain arrays, to the bit; values go back into them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dvspark
from dvspark import InputError
from dvspark.games.utilities import GameTables
from dvspark.market import composite_values, gaming_gains

RNG = np.random.default_rng(41)
N, M, FEATURES = 25, 7, ["a", "b", "c"]
WORDS = np.array(["ash", "birch", "cedar"])


def made(n: int) -> dict[str, np.ndarray]:
    x, label = RNG.normal(size=(n, 3)), RNG.integers(0, 3, n)
    numbers = dict(zip(FEATURES, x.T.copy(), strict=True))
    others = {"id": RNG.permutation(n), "owner": RNG.integers(0, 4, n), "weight": RNG.integers(1, 5, n) / 2}
    return {"embedding": x, **numbers, "label": label, "word": WORDS[label], **others}


TRAIN, VALIDATION = made(N), made(M)


def lists(columns: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in columns.items()}


def of_polars(columns: dict[str, np.ndarray]) -> Any:
    polars = importlib.import_module("polars")
    frame = polars.DataFrame(lists(columns))
    return polars.concat([frame[: len(frame) // 2], frame[len(frame) // 2 :]], rechunk=False)


def of_datasets(columns: dict[str, np.ndarray]) -> Any:
    return importlib.import_module("datasets").Dataset.from_dict(lists(columns))


def shuffled(columns: dict[str, np.ndarray]) -> Any:
    order = RNG.permutation(len(columns["label"]))
    stored = of_datasets({name: column[order] for name, column in columns.items()})
    return stored.select(np.argsort(order))  # rows in another order than they are stored in


def select(frame: Any, names: list[str]) -> Any:
    for way in ("select_columns", "select"):
        if hasattr(frame, way):
            return getattr(frame, way)(names)
    return frame[names]


FRAMES: dict[str, Callable[[dict[str, np.ndarray]], Any]] = {
    "pandas": lambda columns: pd.DataFrame(lists(columns)),
    "pandas of Arrow": lambda columns: pa.table(lists(columns)).to_pandas(types_mapper=pd.ArrowDtype),
    "pyarrow": lambda columns: pa.table(lists(columns)),
    "polars": of_polars,
    "datasets": of_datasets,
    "datasets, selected rows": shuffled,
    "datasets, rounded by their format": lambda columns: of_datasets(columns).with_format("numpy"),
}


@pytest.fixture(params=FRAMES)
def frames(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    pytest.importorskip(request.param.split()[0].rstrip(","))
    make = FRAMES[request.param]
    return make(TRAIN), make(VALIDATION)


def values(train: Any, validation: Any, label: str = "label", **changes: Any) -> np.ndarray:
    given = {"x_train": train["embedding"], "x_validation": validation["embedding"], "k": 3, **changes}
    return dvspark.value_arrays(y_train=train[label], y_validation=validation[label], **given)


@pytest.mark.parametrize("label", ["label", "word"])
def test_value_arrays__takes_columns_of_frames(frames: tuple[Any, Any], label: str) -> None:
    np.testing.assert_array_equal(values(*frames, label), values(TRAIN, VALIDATION))


@pytest.mark.parametrize("names", [["embedding"], FEATURES], ids=["lists", "numbers"])
def test_value_arrays__takes_frames_of_features(frames: tuple[Any, Any], names: list[str]) -> None:
    x, z = (select(frame, names) for frame in frames)
    found = values(*frames, x_train=x, x_validation=z, precision="float64")
    np.testing.assert_array_equal(found, values(TRAIN, VALIDATION, precision="float64"))
    if names == FEATURES:
        y, y_z = (select(frame, ["label"]) for frame in frames)
        valuator = dvspark.DataValuator(k=3).fit(x, y, z, y_z)
        np.testing.assert_array_equal(valuator.values_, values(TRAIN, VALIDATION))
        assert valuator.feature_names_in_ == FEATURES


@pytest.mark.parametrize("other", [["b", "a", "c"], ["a", "b", "label"], ["a", "b"]])
def test_frames__whose_features_are_in_another_order_are_refused(frames: tuple[Any, Any], other: list[str]) -> None:
    x, z = select(frames[0], FEATURES), select(frames[1], other)
    y, y_z = TRAIN["label"], VALIDATION["label"]
    owned = {"method": "knn_acquisition_shapley", "x_owned": z, "y_owned": y_z}
    for work, name in (
        (lambda: dvspark.value_arrays(x, y, z, y_z, k=3), "x_validation"),
        (lambda: dvspark.value_arrays(x, y, select(frames[1], FEATURES), y_z, k=3, **owned), "x_owned"),
        (lambda: dvspark.review_arrays(x, y, z, y_z, k=3), "x_validation"),
        (lambda: gaming_gains(x, y, z, y_z, TRAIN["owner"], k=3), "x_validation"),
        (lambda: composite_values(x, y, z, y_z, k=3), "x_validation"),
        (lambda: GameTables.of(x, y, z, y_z), "x_validation"),
    ):
        with pytest.raises(InputError, match="the 3 features of x_train, in its order") as refused:
            work()
        assert refused.value.problems[0].where == name
    assert len(dvspark.value_arrays(x, y, VALIDATION["embedding"], y_z, k=3)) == N


@pytest.mark.parametrize(
    ("method", "argument", "name"),
    [
        ("knn_shapley", "train_ids", "id"),
        ("owner_knn_shapley", "owners", "owner"),
        ("weighted_knn_shapley", "weights", "weight"),
    ],
)
def test_value_arrays__takes_ids_owners_and_weights(
    frames: tuple[Any, Any], method: str, argument: str, name: str
) -> None:
    found = values(*frames, method=method, **{argument: frames[0][name]})
    np.testing.assert_array_equal(found, values(TRAIN, VALIDATION, method=method, **{argument: TRAIN[name]}))


def test_value_arrays__takes_categories_of_polars() -> None:
    polars = pytest.importorskip("polars")
    for kind in (polars.Categorical, polars.Enum(WORDS.tolist())):
        y, y_z = (polars.Series(columns["word"].tolist(), dtype=kind) for columns in (TRAIN, VALIDATION))
        found = dvspark.value_arrays(TRAIN["embedding"], y, VALIDATION["embedding"], y_z, k=3)
        np.testing.assert_array_equal(found, values(TRAIN, VALIDATION))


def test_values__are_a_column_of_the_frame(frames: tuple[Any, Any]) -> None:
    frame, found = frames[0], values(*frames)
    if isinstance(frame, pd.DataFrame):
        frame = frame.assign(value=found)
    elif isinstance(frame, pa.Table):
        frame = frame.append_column("value", pa.array(found))
    elif hasattr(frame, "with_columns"):
        frame = frame.with_columns(value=found)
    else:
        frame = frame.with_format(None).add_column("value", found)
    column = frame["value"].to_pylist() if isinstance(frame, pa.Table) else list(frame["value"])
    np.testing.assert_array_equal(np.asarray(column, float), found)


class Dataset:
    """What dvspark asks of a Hugging Face dataset, over an Arrow table; its own format gives other numbers."""

    format: ClassVar[dict[str, Any]] = {"type": "numpy"}

    def __init__(self, table: pa.Table, form: str = "numpy") -> None:
        self.table, self.form, self.column_names = table, form, table.column_names

    def select_columns(self, names: list[str]) -> Any:
        return type(self)(self.table.select(names), self.form)

    def with_format(self, form: str) -> Any:
        return type(self)(self.table, form)

    def __getitem__(self, key: Any) -> Any:
        assert self.form == "arrow", "rows by the dataset's own format are slow, and may be rounded"
        return self.table if key == slice(None) else self.table[key]


class Column:
    """The same of one of its columns."""

    def __init__(self, source: Any, column_name: str) -> None:
        self.source, self.column_name = source, column_name


Dataset.__module__ = Column.__module__ = "datasets.arrow_dataset"


def test_value_arrays__takes_what_looks_like_a_dataset_as_it_is_stored() -> None:
    train, validation = (Dataset(pa.table(lists(columns))) for columns in (TRAIN, VALIDATION))
    x, z = (frame.select_columns(FEATURES) for frame in (train, validation))
    y, y_z = (Column(frame, "word") for frame in (train, validation))
    np.testing.assert_array_equal(dvspark.value_arrays(x, y, z, y_z, k=3), values(TRAIN, VALIDATION))
    x, z = (Column(frame, "embedding") for frame in (train, validation))
    np.testing.assert_array_equal(dvspark.value_arrays(x, y, z, y_z, k=3), values(TRAIN, VALIDATION))


class Later:
    """A frame of which nothing is computed yet, as Polars' LazyFrame and Spark's DataFrame are."""

    def collect(self) -> None:
        raise AssertionError("it may take hours, or all memory")


@pytest.mark.parametrize("where", ["x_train", "y_train", "train_ids"])
def test_value_arrays__rows_that_are_not_here_are_asked_for(where: str) -> None:
    given = {"x_train": TRAIN["embedding"], "y_train": TRAIN["label"], where: Later()}
    with pytest.raises(InputError, match=r"a Later, whose rows are not here yet; collect\(\) them"):
        dvspark.value_arrays(**given, x_validation=VALIDATION["embedding"], y_validation=VALIDATION["label"])


def test_value_arrays__refuses_what_has_several_datasets_or_computes_its_rows() -> None:
    datasets = pytest.importorskip("datasets")
    train = of_datasets(TRAIN)
    computed = train.with_transform(lambda rows: {"embedding": [[1.0, 2.0, 3.0] for _ in rows["embedding"]]})
    for x in (datasets.DatasetDict({"train": train}), train.to_iterable_dataset(), computed):
        with pytest.raises(InputError, match="x_train"):
            values(TRAIN, VALIDATION, x_train=x)
    found = values(TRAIN, VALIDATION, x_train=computed["embedding"])
    np.testing.assert_array_equal(found, values(TRAIN, VALIDATION, x_train=np.tile([1.0, 2.0, 3.0], (N, 1))))
