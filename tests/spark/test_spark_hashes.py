"""The hash by which rows are drawn and cut into chunks is Spark's, whatever the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from dvspark.local.hashes import xxhash64

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_xxhash64__is_that_of_spark(spark: SparkSession) -> None:
    rng = np.random.default_rng(0)
    n = 300
    sizes = rng.integers(0, 80, n)
    columns = {
        "id": pa.array(["ä" * int(size) + str(row) for row, size in enumerate(sizes)]),
        "number": pa.array(rng.integers(-(2**63), 2**63 - 1, n)),
        "floats": pa.array([[*rng.normal(size=size).astype(np.float32), np.float32(-0.0)] for size in sizes % 5]),
        "doubles": pa.array([None if size < 3 else rng.normal(size=4).tolist() for size in sizes]),
        "bytes": pa.array([rng.bytes(int(size)) for size in sizes]),
        "words": pa.array([[f"label {row % 7}", None, "x"][: row % 4] for row in range(n)]),
        "target": pa.array(rng.normal(size=n)),
    }
    columns["floats"] = columns["floats"].cast(pa.list_(pa.float32()))
    frame = spark.createDataFrame(pa.table(columns))
    asked = [*columns, "id, number", "id, floats, words", "id, 'sample'", "id, bytes, doubles"]
    told = frame.selectExpr(*(f"xxhash64({names}) AS h{place}" for place, names in enumerate(asked)), "id").toArrow()
    ordered = told.take(pa.array(np.argsort([int(row.lstrip("ä")) for row in told["id"].to_pylist()])))
    constant = {"'sample'": pa.array(["sample"] * n)}
    for place, names in enumerate(asked):
        found = xxhash64([{**columns, **constant}[name] for name in names.split(", ")])
        np.testing.assert_array_equal(found, ordered[f"h{place}"].to_numpy(), err_msg=names)
