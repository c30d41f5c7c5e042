"""Bytes are taken for float32 only where they can be nothing else; of a declared type they are its numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dvspark.tables.sources.typed_bytes import decoded, doubt

RNG = np.random.default_rng(4)
NORMAL = RNG.normal(size=(50, 6))
DATA = {
    "normal": NORMAL,
    "unit": NORMAL / np.linalg.norm(NORMAL, axis=1, keepdims=True),
    "between 1 and 2": 1 + RNG.random((50, 6)),
    "some zeros": np.maximum(NORMAL, 0),
    "small integers": RNG.integers(-3, 4, (50, 6)),
    "bytes": RNG.integers(0, 256, (50, 6)),
    "one-hot": np.eye(6)[RNG.integers(0, 6, 50)],
}


@pytest.mark.parametrize("name", DATA)
def test_doubt__none_of_float32(name: str) -> None:
    assert doubt(DATA[name].astype("<f4").tobytes()) == ""


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", ">f8", "<i4", "bfloat16", "float32 as <f8"])
def test_doubt__of_numbers_of_another_type(name: str, dtype: str) -> None:
    singles = DATA[name].astype("<f4")
    if dtype == "bfloat16":
        held = (singles.view("<u4") >> 16).astype("<u2").tobytes()
    elif dtype == "float32 as <f8":
        held = singles.astype("<f8").tobytes()
    else:
        held = DATA[name].astype(dtype).tobytes()
    if held.strip(b"\0"):  # integers of numbers below one are zeros in any type
        assert doubt(held)


def test_doubt__none_of_nothing() -> None:
    assert doubt(b"") == doubt(b"\0" * 40) == ""


@pytest.mark.parametrize(("dtype", "used"), [("float16", pa.float32()), ("float64", pa.float64())])
def test_decoded__gives_the_numbers_and_no_number_for_bytes_of_none(dtype: str, used: pa.DataType) -> None:
    x = NORMAL[:3].astype(dtype)
    held = [x[0].tobytes(), None, x[1].tobytes()[:-1], x[2].tobytes(), b""]
    batch = pa.record_batch({"id": [1, 2, 3, 4, 5], "embedding": pa.array(held, pa.binary())})
    (found,) = decoded(iter([batch]), dtype)
    assert found.schema.field("embedding").type == pa.list_(used)
    rows = found["embedding"].to_pylist()
    assert rows[:2] == [x[0].astype(float).tolist(), None]
    assert np.isnan(rows[2][0])
    assert rows[3:] == [x[2].astype(float).tolist(), []]
    assert found["id"].to_pylist() == [1, 2, 3, 4, 5]
