"""What the methods of the family refuse, beyond what all do: everything that is wrong, and what to do about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from family import FAMILY

import dvspark
from dvspark import ConfigError, DvsparkError, InputError
from dvspark.methods import METHODS

X = np.arange(1.0, 13.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])
DATA = {"x_train": X, "y_train": Y, "x_validation": X[:3], "y_validation": Y[:3]}
OWNER, REGRESSION = {"method": "owner_knn_shapley"}, {"method": "knn_regression_shapley"}
WEIGHTED = {"method": "weighted_knn_shapley", "k": 2}
EQUAL = {**WEIGHTED, "weights": np.ones(6)}
THRESHOLD, BETA = {"method": "threshold_knn_shapley"}, {"method": "knn_beta"}
TRUNCATED = {"method": "truncated_knn_shapley"}


def refusal(**changes: Any) -> DvsparkError:
    """Return the error that valuing the data with these changes raises."""
    with pytest.raises(DvsparkError) as caught:
        dvspark.value_arrays(**{**DATA, **changes})
    return caught.value


def changed(array: Any, position: Any, value: Any) -> np.ndarray:
    """Return a copy of the array, in floats, with one element replaced."""
    copy = np.array(array, dtype=float)
    copy[position] = value
    return copy


# Each row: what is given, where the problem is said to be, words of what was found or what to do.
UNUSABLE_DATA = {
    "owners of one row too few": ({**OWNER, "owners": [1] * 5}, "owners", "shape (5,)"),
    "one owner for all": ({**OWNER, "owners": "a"}, "owners", "a str, which is no column"),
    "owners in a table": ({**OWNER, "owners": [[1]] * 6}, "owners", "of kind list"),
    "owners of two kinds": ({**OWNER, "owners": [1, "a", 2, 3, 4, 5]}, "owners", "integer, string"),
    "a row without an owner": (
        {**OWNER, "owners": ["a", None, "b", "a", "b", "a"]},
        "owners",
        "1 without; the first: 1",
    ),
    "owners that are fractions": ({**OWNER, "owners": np.arange(6) / 2}, "owners", "float"),
    "owners that are flags": ({"method": "owner_sum_of_points", "owners": Y > 0}, "owners", "bool"),
    "a negative weight": ({**WEIGHTED, "weights": changed(np.ones(6), 2, -0.5)}, "weights", "1 negative"),
    "negative weights of pairs": ({**WEIGHTED, "weights": -np.ones((3, 6))}, "weights", "18 negative"),
    "a weight that is NaN": ({**WEIGHTED, "weights": changed(np.ones(6), 2, np.nan)}, "weights", "1 that are NaN"),
    "an infinite weight": ({**WEIGHTED, "weights": changed(np.ones(6), 2, np.inf)}, "weights", "1 that are NaN"),
    "weights too large to add up": ({**WEIGHTED, "weights": np.full(6, 1e308)}, "weights", "6 larger"),
    "weights of another length": ({**WEIGHTED, "weights": np.ones(5)}, "weights", "shape (6,) or (3, 6)"),
    "weights of pairs, turned": ({**WEIGHTED, "weights": np.ones((6, 3))}, "weights", "shape (6,) or (3, 6)"),
    "one weight for all": ({**WEIGHTED, "weights": 1.0}, "weights", "shape ()"),
    "weights that are words": ({**WEIGHTED, "weights": ["1"] * 6}, "weights", "of type str"),
    "ragged weights": ({**WEIGHTED, "weights": [[1.0], [1.0, 2.0]]}, "weights", "numbers"),
    "a target that is NaN": ({**REGRESSION, "y_train": changed(Y, 1, np.nan)}, "y_train", "1 that are NaN"),
    "an infinite target to predict": (
        {**REGRESSION, "y_validation": [1.0, np.inf, 2.0]},
        "y_validation",
        "1 that are NaN or infinite",
    ),
    "targets too large to square": ({**REGRESSION, "y_train": Y * 1e200}, "y_train", "3 larger"),
    "targets that are words": ({**REGRESSION, "y_train": ["a"] * 6}, "y_train", "of type str"),
    "targets to predict that are words": (
        {**REGRESSION, "y_validation": ["1"] * 3},
        "y_validation",
        "of type str",
    ),
    "targets that are flags": ({**REGRESSION, "y_train": Y > 0}, "y_train", "dtype bool"),
    "a row without a target": (
        {**REGRESSION, "y_train": [1, None, 2, 3, 4, 5]},
        "y_train",
        "missing; the first rows: 1",
    ),
    "several targets a row": ({**REGRESSION, "y_train": np.ones((6, 2))}, "y_train", "shape (6, 2)"),
    "targets of one row too few": ({**REGRESSION, "y_train": Y[:5]}, "y_train", "shape (5,)"),
    "targets for a method of labels": ({**BETA, "y_train": Y + 0.5}, "y_train", "one label a row"),
}


@pytest.mark.parametrize(("given", "where", "said"), UNUSABLE_DATA.values(), ids=UNUSABLE_DATA)
def test_value_arrays__refuses_what_methods_cannot_value(given: dict[str, Any], where: str, said: str) -> None:
    error = refusal(**given)
    assert isinstance(error, InputError)
    assert [problem.where for problem in error.problems] == [where]
    assert said in str(error)
    assert error.problems[0].hint


NORMALIZED = {**EQUAL, "kind": "normalized", "k": 4}
HARD = {**EQUAL, "kind": "hard"}
UNUSABLE_OPTIONS = {
    "no owners": (OWNER, "owners", "pass owners="),
    "owners for a method of rows": ({**BETA, "owners": [1] * 6}, "owners", "leave owners out"),
    "more neighbors than owners may have": ({**OWNER, "owners": Y, "k": 141}, "parameter 'k'", "k <= 140"),
    "no weights": (WEIGHTED, "weights", "pass weights="),
    "weights beside those by distance": ({**EQUAL, "weight": "rbf"}, "weights", "leave weights out"),
    "weights for a method without": ({**THRESHOLD, "radius": 1.0, "weights": Y}, "weights", "leave weights out"),
    "weights by inner product": ({**WEIGHTED, "weight": "rbf", "metric": "inner_product"}, "metric", "at least 0"),
    "a misspelled kind": ({**EQUAL, "kind": "normalised"}, "parameter 'kind'", "did you mean 'normalized'?"),
    "a misspelled weight": (
        {**WEIGHTED, "weight": "inverse"},
        "parameter 'weight'",
        "did you mean 'inverse_distance'?",
    ),
    "normalized weights of four: the reason": (NORMALIZED, "parameter 'k'", "looks at every set of k rows"),
    "normalized weights of four: what to do": (NORMALIZED, "parameter 'k'", "kind='hard'"),
    "bits beyond the tables": ({**HARD, "bits": 9}, "parameter 'bits'", "from 1 to 8"),
    "fewer rows looked at than vote": ({**HARD, "n_nearest": 1}, "parameter 'n_nearest'", "from k = 2"),
    "rows left out of an exact kind": ({**EQUAL, "n_nearest": 9}, "parameter 'n_nearest'", "this kind is exact"),
    "gamma of zero": ({**WEIGHTED, "weight": "rbf", "gamma": 0}, "parameter 'gamma'", "above 0"),
    "gamma that is NaN": ({**WEIGHTED, "weight": "rbf", "gamma": np.nan}, "parameter 'gamma'", "above 0"),
    "a radius that is NaN": ({**THRESHOLD, "radius": float("nan")}, "parameter 'radius'", "or 'auto'"),
    "an infinite radius": ({**THRESHOLD, "radius": float("inf")}, "parameter 'radius'", "or 'auto'"),
    "a radius that is a word": ({**THRESHOLD, "radius": "large"}, "parameter 'radius'", "or 'auto'"),
    "a radius that is a flag": ({**THRESHOLD, "radius": True}, "parameter 'radius'", "or 'auto'"),
    "alpha of zero": ({**BETA, "alpha": 0}, "parameter 'alpha'", "above 1e-10"),
    "alpha negative": ({**BETA, "alpha": -1.0}, "parameter 'alpha'", "above 1e-10"),
    "alpha that is NaN": ({**BETA, "alpha": np.nan}, "parameter 'alpha'", "above 1e-10"),
    "infinite beta": ({"method": "threshold_knn_beta", "beta": np.inf}, "parameter 'beta'", "above 1e-10"),
    "a misspelled utility": ({**BETA, "utility": "jia2018"}, "parameter 'utility'", "did you mean 'jia2019'"),
    "a utility that is no word": ({**BETA, "utility": 2019}, "parameter 'utility'", "'jia2019', 'wang2023'"),
    "no such utility of the empty set": (
        {**REGRESSION, "empty_utility": "formular"},
        "parameter 'empty_utility'",
        "or 'formula'",
    ),
    "no k_star and no epsilon": (TRUNCATED, "parameters 'epsilon' and 'k_star'", "neither"),
    "k_star and epsilon": (
        {**TRUNCATED, "epsilon": 0.1, "k_star": 10},
        "parameters 'epsilon' and 'k_star'",
        "one of the two",
    ),
    "k_star below k": ({**TRUNCATED, "k_star": 9}, "parameter 'k_star'", "k = 10 or more"),
    "epsilon above 1": ({**TRUNCATED, "epsilon": 1.5}, "parameter 'epsilon'", "up to 1"),
    "a misspelled tail": ({**TRUNCATED, "k_star": 10, "tail": "bounds"}, "parameter 'tail'", "did you mean 'bound'?"),
    "utility for a method of one": ({"utility": "jia2019"}, "parameter 'utility'", "a parameter of knn_shapley"),
    "radius for a method of ranks": ({"radius": 1.0}, "parameter 'radius'", "a parameter of knn_shapley"),
    "alpha for banzhaf": ({"method": "knn_banzhaf", "alpha": 2}, "parameter 'alpha'", "a parameter of knn_banzhaf"),
    "kind for owners": ({**OWNER, "owners": Y, "kind": "raw"}, "parameter 'kind'", "a parameter of owner_knn_shapley"),
}


@pytest.mark.parametrize(("given", "where", "said"), UNUSABLE_OPTIONS.values(), ids=UNUSABLE_OPTIONS)
def test_value_arrays__refuses_what_methods_cannot_follow(given: dict[str, Any], where: str, said: str) -> None:
    error = refusal(**given)
    assert isinstance(error, ConfigError)
    assert [problem.where for problem in error.problems] == [where]
    assert said in str(error)
    assert error.problems[0].hint


def working(method: str) -> dict[str, Any]:
    """Return options that the method can follow."""
    found: dict[str, Any] = {"method": method}
    if METHODS[method].players == "owners":
        found["owners"] = Y
    if method == "weighted_knn_shapley":
        found["weights"] = np.ones(6)
    if METHODS[method].knows("k_star"):
        found["k_star"] = 10
    if METHODS[method].self_validates:
        found |= {"x_validation": None, "y_validation": None, "k": 3}
    return found


@pytest.mark.parametrize("method", FAMILY)
def test_value_arrays__of_every_method_take_no_ranking_or_ties_but_those_it_can_follow(method: str) -> None:
    options = {**DATA, **working(method)}
    plain = dvspark.value_arrays(**options)
    assert np.isfinite(plain).all()
    for name, value, able in (
        ("ranking", "binned", METHODS[method].bins),
        ("ties", "average", METHODS[method].averages_ties),
    ):
        if able:  # no two of these distances are equal, to any point
            apart = {**options, "x_train": X**2}
            np.testing.assert_allclose(
                dvspark.value_arrays(**{**apart, name: value}), dvspark.value_arrays(**apart), rtol=0, atol=1e-8
            )
        else:
            error = refusal(**{**options, name: value})
            assert [problem.where for problem in error.problems] == [name]
            assert error.problems[0].hint


def test_value_arrays__names_all_problems_of_a_method_at_once() -> None:
    error = refusal(**WEIGHTED, kind="soft", bits=0, gamma=-1, ties="average", ranking="binned", owners=Y, radius=1.0)
    parameters = {"parameter 'kind'", "parameter 'bits'", "parameter 'gamma'", "parameter 'radius'"}
    assert {problem.where for problem in error.problems} == {"ties", "ranking", "owners", "weights", *parameters}
    error = refusal(**REGRESSION, x_train=X[0], y_train=["a"] * 6, y_validation=[np.nan] * 3, train_ids=[1] * 6)
    assert [problem.where for problem in error.problems][:3] == ["x_train", "y_train", "train_ids"]
    assert "y_validation" in str(error)


def test_value_arrays__scores_of_rows_that_validate_each_other_take_means_of_k_others() -> None:
    given = working("cleanlab_knn_shapley")
    for changes, where in (({"aggregate": "sum"}, "aggregate"), ({"k": 6}, "parameter 'k'"), (DATA, "x_validation")):
        error = refusal(**{**given, **changes})
        assert isinstance(error, ConfigError)
        assert where in error.problems[0].where
    np.testing.assert_array_equal(
        dvspark.value_arrays(X, Y, **{**given, "self_validation": True}), dvspark.value_arrays(X, Y, **given)
    )
