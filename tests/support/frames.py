"""Problems of a few hundred rows, as arrays for `value_arrays` and as Spark DataFrames of the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EMBEDDINGS = ("array<float>", "array<double>", "binary", "vector")
LABELS = ("bigint", "string", "array<bigint>")
IDS = ("bigint", "string")


@dataclass(frozen=True)
class Side:
    """Rows of one table: ``x`` (n, n_features), an id and a label (or a list of labels) a row, and other columns."""

    ids: list[Any]
    x: np.ndarray
    labels: list[Any]
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Any) -> Side:
        """Return some of the rows, in the order given."""
        rows = np.arange(len(self))[rows]
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return Side([self.ids[row] for row in rows], self.x[rows], [self.labels[row] for row in rows], columns)


@dataclass(frozen=True)
class Data:
    """A train and a validation side, and the Spark types their columns are to have."""

    train: Side
    validation: Side
    types: dict[str, str]

    def arrays(self, *, self_validation: bool = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a value call, and of the oracles."""
        sides = (self.train,) if self_validation else (self.train, self.validation)
        given = tuple(part for side in sides for part in (side.x, side.labels))
        return given, {"train_ids": self.train.ids, "self_validation": self_validation}


def draw_data(
    n_train: int,
    n_validation: int,
    *,
    seed: int = 0,
    n_features: int = 6,
    id_type: str = "bigint",
    label_type: str = "bigint",
    embedding_type: str = "array<float>",
) -> Data:
    """Draw rows of which two in five repeat another one: ties occur under every metric.

    Ids are not in row order, and as strings not in the order of their numbers. Validation ids are others
    than train ids; one validation label in seven occurs in no train row.
    """
    rng = np.random.default_rng(seed)
    dtype = np.float64 if embedding_type in ("array<double>", "vector") else np.float32
    n = n_train + n_validation
    pool = rng.normal(size=(n, n_features)).astype(dtype)
    repeated = rng.random(n) < 0.4
    pool[repeated] = pool[rng.integers(0, n, repeated.sum())]
    numbers = rng.permutation(3 * n)[:n].tolist()
    ids = numbers if id_type == "bigint" else [f"row-{number}" for number in numbers]
    labels = [_label(rng, label_type, 7 if row >= n_train else 6) for row in range(n)]
    both = Side(ids, pool, labels)
    types = {"id": id_type, "label": label_type, "embedding": embedding_type}
    return Data(both.take(slice(n_train)), both.take(slice(n_train, n)), types)


def _label(rng: np.random.Generator, label_type: str, n_classes: int) -> Any:
    def one() -> Any:
        number = int(rng.integers(n_classes))
        return f"class {number}" if "string" in label_type else number

    return sorted({one(), one()}) if label_type.startswith("array") else one()


def frame_of(spark: SparkSession, side: Side, types: dict[str, str]) -> DataFrame:
    """Return the rows as a DataFrame with columns id, embedding and label of these types, and the other columns."""
    embedding = types["embedding"]
    as_vector = embedding == "vector"
    stored = {**types, "embedding": "array<double>" if as_vector else embedding}
    if stored["embedding"] == "binary":
        x = pa.array([row.astype("<f4").tobytes() for row in side.x], pa.binary())
    else:
        x = pa.array(list(side.x), pa.list_(pa.from_numpy_dtype(side.x.dtype)))
    table = pa.table({"id": side.ids, "embedding": x, "label": side.labels, **side.columns})
    ddl = ", ".join(f"{name} {stored[name]}" for name in table.column_names)
    frame = spark.createDataFrame(table, schema=ddl)
    if as_vector:
        from pyspark.ml.functions import array_to_vector

        frame = frame.withColumn("embedding", array_to_vector("embedding"))
    return frame


def frames_of(spark: SparkSession, data: Data) -> tuple[DataFrame, DataFrame]:
    """Return both sides as DataFrames."""
    return frame_of(spark, data.train, data.types), frame_of(spark, data.validation, data.types)


def values_by_id(values: DataFrame, ids: list[Any], column: str = "value") -> np.ndarray:
    """Return a column of a values table in the order of ``ids``; every id must be there once."""
    table = values.select("id", column).toArrow()
    found = dict(zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True))
    assert sorted(table["id"].to_pylist()) == sorted(ids)
    return np.array([found[i] for i in ids], dtype=np.float64)


def rows_table(side: Side) -> pa.Table:
    """Return the rows as a table with id, embedding and label."""
    x = pa.array(list(side.x), pa.list_(pa.from_numpy_dtype(side.x.dtype)))
    return pa.table({"id": side.ids, "embedding": x, "label": side.labels})


def write_parquet(path: Any, side: Side, **columns: Any) -> str:
    """Write the rows as one Parquet file, further columns added or replaced; return its path."""
    import pyarrow.parquet as pq

    x = pa.array(list(side.x), pa.list_(pa.from_numpy_dtype(side.x.dtype)))
    table = pa.table({"id": side.ids, "embedding": x, "label": side.labels, **columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(path)


def with_rows(side: Side, **changed: Any) -> Side:
    """Return a side with some of its columns replaced."""
    return replace(side, **changed)
