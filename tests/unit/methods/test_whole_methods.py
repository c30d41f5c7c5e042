"""Methods that value all rows at once: what must not matter to any of them, and what they refuse."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from family import WHOLE
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

import dvspark
from dvspark.errors import ConfigError, InputError
from dvspark.kernels.formulas.both_tables import BothTables
from dvspark.kernels.formulas.kinds import WholeFormulas
from dvspark.methods import METHODS
from dvspark.methods.kinds.whole import WholeMethod

# What keeps a test short.
pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")
QUICK: dict[str, dict[str, Any]] = {"dvrl": {"steps": 25, "batch_rows": 30}}
# Sums of products are rounded apart where rows change their places.
TOLERANCE = 1e-9


def drawn(n: int = 60, n_points: int = 31, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of three classes, and points of them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n + n_points)
    x = rng.normal(size=(n + n_points, 4)) + 1.5 * np.eye(3, 4)[y]
    return x[:n], y[:n], x[n:], y[n:]


def value(method: str, *arrays: Any, **options: Any) -> np.ndarray:
    return dvspark.value_arrays(*arrays, method=method, **{**QUICK.get(method, {}), **options})


def needs(method: str) -> None:
    if method == "lava":
        pytest.importorskip("ot")


def test_whole__are_the_methods_of_the_kind() -> None:
    assert set(WHOLE) >= {"influence", "lava", "dvrl"}


@pytest.mark.parametrize("method", WHOLE)
@examples(5)
@given(seed=st.integers(0, 2**16))
def test_values__do_not_depend_on_the_order_of_rows_with_ids(method: str, seed: int) -> None:
    needs(method)
    x, y, z, t = drawn(seed=seed)
    rng, ids = np.random.default_rng(seed), np.arange(len(x))
    order, points = rng.permutation(len(x)), rng.permutation(len(z))
    values = value(method, x, y, z, t, train_ids=ids)
    np.testing.assert_array_equal(value(method, x[order], y[order], z, t, train_ids=ids[order]), values[order])
    moved = value(method, x, y, z[points], t[points], train_ids=ids)
    np.testing.assert_allclose(moved, values, rtol=0, atol=1e-6 * np.abs(values).max())


@pytest.mark.parametrize("method", ["influence", "lava"])
def test_values__of_what_is_not_drawn_do_not_depend_on_the_order_without_ids(method: str) -> None:
    needs(method)
    x, y, z, t = drawn()
    order = np.random.default_rng(1).permutation(len(x))
    values, moved = value(method, x, y, z, t), value(method, x[order], y[order], z, t)
    np.testing.assert_allclose(moved, values[order], rtol=0, atol=1e-6 * np.abs(values).max())


@pytest.mark.parametrize("method", WHOLE)
def test_values__do_not_depend_on_the_names_of_labels_or_on_the_origin(method: str) -> None:
    needs(method)
    x, y, z, t = drawn()
    values, names = value(method, x, y, z, t), np.array(["a", "b", "c"])
    size = np.abs(values).max()
    np.testing.assert_allclose(value(method, x, names[y], z, names[t]), values, rtol=0, atol=TOLERANCE * size)
    np.testing.assert_allclose(value(method, x + 64.0, y, z + 64.0, t), values, rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize("method", WHOLE)
def test_values__of_pieces_have_the_bits_of_the_whole(method: str) -> None:
    needs(method)
    x, y, z, t = drawn(9_000 if method == "influence" else 60)
    cuts, codes = ([4_096, 8_192] if method == "influence" else [7, 31]), y.astype(np.int32)
    pieces = list(zip(np.split(x, cuts), np.split(codes, cuts), strict=True))

    def tables(cut: list[Any]) -> BothTables:
        points, passed = (z, t.astype(np.int32)), lambda asked: [asked.answer(iter(cut))]
        return BothTables(len(x), 3, points, lambda: iter(cut), lambda p: (x[p], codes[p]), passed)

    declared = WholeMethod.of(METHODS[method])
    parameters: WholeFormulas = declared.resolved(QUICK.get(method, {}), 3)
    whole, parts = parameters.valued(tables([(x, codes)])), parameters.valued(tables(pieces))
    assert whole.values.tobytes() == parts.values.tobytes()
    assert "fail" not in {finding.verdict for finding in whole.findings}


@pytest.mark.parametrize("method", WHOLE)
def test_values__of_points_with_a_label_that_no_row_has_are_those_without_them(method: str) -> None:
    needs(method)
    x, y, z, t = drawn()
    strange = np.where(np.arange(len(t)) % 5 == 0, 9, t)
    np.testing.assert_array_equal(
        value(method, x, y, z, strange), value(method, x, y, z[strange < 9], strange[strange < 9])
    )
    with pytest.raises(InputError, match="labels that training rows have"):
        value(method, x, y, z, np.full(len(t), 9))


@pytest.mark.parametrize("method", ["influence", "lava"])
def test_values__of_wrong_labels_are_lower(method: str) -> None:
    needs(method)
    y = np.arange(303) % 3  # lava also says that a class is rarer here than there
    x = np.random.default_rng(0).normal(size=(303, 4)) + 4.5 * np.eye(3, 4)[y]
    wrong = np.where(np.arange(201) < 21, (y[:201] + 1) % 3, y[:201])
    values = value(method, x[:201], wrong, x[202:], y[202:])
    assert (values[:21, None] < values[None, 21:]).mean() > 0.9


@pytest.mark.parametrize("method", WHOLE)
@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"self_validation": True, "x_validation": None, "y_validation": None}, "self_validation"),
        ({"metric": "cosine"}, "metric"),
        ({"aggregate": "sum"}, "aggregate"),
        ({"y_train": [["a", "b"]] * 60, "y_validation": [["a"]] * 31}, "labels"),
    ],
)
def test_values__refuse_what_makes_no_sense_of_all_rows_at_once(
    method: str, options: dict[str, Any], where: str
) -> None:
    given = dict(zip(("x_train", "y_train", "x_validation", "y_validation"), drawn(), strict=True))
    with pytest.raises(ConfigError) as refused:
        dvspark.value_arrays(**{**given, **options}, method=method)
    assert [problem.where for problem in refused.value.problems] == [where]


def test_lava__without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ConfigError, match=r"dvspark\[transport\]"):
        value("lava", *drawn())


@pytest.mark.filterwarnings("default::dvspark.DataWarning")
@pytest.mark.parametrize(
    ("method", "badly", "well", "finding"),
    [
        ("dvrl", {"steps": 20}, {"steps": 4}, "rewards"),
        ("chg_shapley", {"epochs": 3, "learning_rate": 100.0}, {}, "head"),
    ],
)
def test_arrays__warn_of_what_a_job_would_record(
    method: str, badly: dict[str, Any], well: dict[str, Any], finding: str
) -> None:
    rng = np.random.default_rng(0)  # labels by chance: nothing can be learned
    rows = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    points = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 3, 20)
    with pytest.warns(dvspark.DataWarning, match=finding) as told:
        dvspark.value_arrays(*rows, *points, method=method, **badly)
    assert [one.filename for one in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dvspark.value_arrays(*rows, *points, method=method, **well)
