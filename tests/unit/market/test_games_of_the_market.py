"""The composite game by enumeration; what owners gain by splitting and by copies, in the smallest cases."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_games import nearest_game, points_of, semivalues, shapley, threshold_game
from property_tests import examples
from strategies import problems

import dvspark
from dvspark.errors import ConfigError, InputError
from dvspark.market.composite import composite_values
from dvspark.market.gaming import gaming_gains

pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")

ANALYST = "analyst"


def enumerated(game: Any, n: int) -> tuple[list[Fraction], Fraction]:
    """Return the Shapley values of rows and analyst, by all coalitions of both."""
    empty = game([])

    def composite(coalition: Any) -> Fraction:
        rows = [one for one in coalition if one != ANALYST]
        return game(rows) - empty if ANALYST in coalition else Fraction(0)

    values = semivalues([*range(n), ANALYST], composite, shapley)
    return [values[row] for row in range(n)], values[ANALYST]


@pytest.mark.parametrize("method", ["knn_shapley", "soft_knn_shapley", "threshold_knn_shapley"])
@examples(40)
@given(problem=problems(max_train=6, metrics=("euclidean",)), radius=st.sampled_from([0.5, 1.5, 2.5]))
def test_composite_values__are_those_of_all_coalitions(method: str, problem: Any, radius: float) -> None:
    points, n = points_of(*problem.data, train_ids=problem.train_ids), len(problem.x_train)
    if method == "threshold_knn_shapley":
        key, options = Fraction(radius) ** 2, {"radius": radius}
        games = [threshold_game(point, key=key, n_classes=problem.n_classes) for point in points]
    else:
        options = {"k": problem.k}
        utility = "wang2023" if method == "soft_knn_shapley" else "jia2019"
        games = [nearest_game(point, k=problem.k, utility=utility, n_classes=problem.n_classes) for point in points]
    found = [enumerated(game, n) for game in games]
    arrays = [np.array(part, float) if place in (0, 2) else list(part) for place, part in enumerate(problem.data)]
    classes = {} if method == "knn_shapley" else {"n_classes": problem.n_classes}
    values = composite_values(*arrays, method=method, train_ids=problem.train_ids, **options, **classes)
    expected = np.mean([[float(value) for value in rows] for rows, _ in found], axis=0)
    np.testing.assert_allclose(values.rows, expected, rtol=0, atol=1e-12)
    assert values.analyst == pytest.approx(float(sum(analyst for _, analyst in found) / len(found)), abs=1e-12)


def test_composite_values__refuse_other_games() -> None:
    with pytest.raises(ConfigError, match="knn_loo"):
        composite_values([[1.0]], [0], [[1.0]], [0], method="knn_loo")
    with pytest.raises(ConfigError, match="a parameter of knn_shapley"):  # not of the method that has its values
        composite_values([[1.0]], ["a"], [[0.0]], ["a"], alpha=3)
    with pytest.raises(ConfigError, match="error_bound"):
        composite_values([[1.0]], [0], [[1.0]], [0], error_bound=True)


# --- splitting and copies ---------------------------------------------------------------------------------

# Three rows at distances 1, 2, 3 from a point, all with its label; the first two are A's.
SMALLEST = ([[1.0], [2.0], [3.0]], ["a"] * 3, [[0.0]], ["a"], ["A", "A", "B"])


def test_gaming_gains__of_the_smallest_case() -> None:
    found = gaming_gains(*SMALLEST, method="owner_sum_of_points", k=1).to_pydict()
    np.testing.assert_allclose(found["value"], [2 / 3, 1 / 3])
    np.testing.assert_allclose(found["gain_of_split"], [0, 0], atol=1e-15)
    np.testing.assert_allclose(found["gain_of_copies"], [4 / 5 - 2 / 3, 2 / 4 - 1 / 3])
    found = gaming_gains(*SMALLEST, method="owner_knn_shapley", k=1).to_pydict()
    np.testing.assert_allclose(found["value"], [1 / 2, 1 / 2])
    np.testing.assert_allclose(found["gain_of_split"], [2 / 3 - 1 / 2, 0], atol=1e-15)
    np.testing.assert_allclose(found["gain_of_copies"], [0, 0], atol=1e-15)


@examples(30)
@given(problem=problems(max_train=6, metrics=("euclidean",)), data=st.data())
def test_gaming_gains__sums_resist_splitting_and_one_place_resists_copies(problem: Any, data: st.DataObject) -> None:
    n = len(problem.x_train)
    owners = data.draw(st.lists(st.sampled_from("AB"), min_size=n, max_size=n))
    x, z = np.array(problem.x_train, float), np.array(problem.x_validation, float)
    given_rows = x, list(problem.y_train), z, list(problem.y_validation), owners
    sums = gaming_gains(*given_rows, method="owner_sum_of_points", k=problem.k)
    np.testing.assert_allclose(sums["gain_of_split"], 0, atol=1e-12)
    game = gaming_gains(*given_rows, method="owner_knn_shapley", k=1)
    np.testing.assert_allclose(game["gain_of_copies"], 0, atol=1e-12)


def test_gaming_gains__splits_rows_in_turn_and_copies_come_last() -> None:
    x, y = [[1.0], [2.0], [3.0], [4.0], [5.0]], ["a", "b", "a", "a", "b"]
    data = {"x_validation": [[0.0]], "y_validation": ["a"], "method": "owner_knn_shapley", "k": 2}
    found = gaming_gains(x, y, data.pop("x_validation"), data.pop("y_validation"), list("AAAAB"), **data)

    def value(rows: Any, labels: Any, owners: str) -> np.ndarray:
        return dvspark.value_arrays(rows, labels, [[0.0]], ["a"], owners=list(owners), **data)

    before = value(x, y, "AAAAB")[0]
    parts = value(x, y, "ACACB")
    copied = value([*x, *x[:4]], [*y, *y[:4]], "AAAABAAAA")[0]
    assert found["gain_of_split"][0].as_py() == pytest.approx(parts[0] + parts[2] - before, abs=1e-15)
    assert found["gain_of_copies"][0].as_py() == pytest.approx(copied - before, abs=1e-15)
    assert found["n_rows"].to_pylist() == [4, 1]


def test_gaming_gains__tells_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="knn_shapley"):
        gaming_gains(*SMALLEST, method="knn_shapley")
    with pytest.raises(ConfigError, match=r"(?s)train_ids.*error_bound"):
        gaming_gains(*SMALLEST, train_ids=list("abcd"), error_bound=True)
    with pytest.raises(InputError, match="owners"):
        gaming_gains(*SMALLEST[:4], ["A"])
    with pytest.raises(InputError, match="owners"):
        gaming_gains(*SMALLEST[:4], None)
    with pytest.raises(InputError, match="1 without; the first: 0"):
        gaming_gains([[1.0], [2.0]], np.ma.array([1, 2], mask=[True, False]), [[0.0]], [1], ["A", "B"])
    with pytest.raises(InputError, match="x_train"):
        gaming_gains(["a", "b"], [1, 2], [[0.0]], [1], ["A", "B"])


def test_gaming_gains__takes_sets_of_labels_and_frames() -> None:
    x, y = [[1.0], [2.0], [3.0]], [["a"], ["a", "b"], ["b"]]
    owners = ["A", "A", "B"]
    found = gaming_gains(pd.DataFrame(x), y, [[0.0]], [["a"]], owners, k=1)
    np.testing.assert_array_equal(
        found["value"].to_numpy(),
        dvspark.value_arrays(x, y, [[0.0]], [["a"]], owners=owners, method="owner_knn_shapley", k=1),
    )
