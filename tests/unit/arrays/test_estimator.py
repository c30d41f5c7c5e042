"""The estimator: the bits of `value_arrays`, and what scikit-learn expects of one."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dvspark
from dvspark import ConfigError, DataValuator, InputError

RNG = np.random.default_rng(7)
X, Z = RNG.normal(size=(30, 4)), RNG.normal(size=(8, 4))
Y, Y_Z = RNG.integers(0, 3, 30), RNG.integers(0, 3, 8)
NAMES = list("abcd")

CALLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "options": ({"k": 3, "metric": "cosine", "aggregate": "sum", "ties": "average"}, {}),
    "parameters of a method": ({"method": "threshold_knn_shapley", "radius": 1.5}, {}),
    "ids": ({"k": 3}, {"train_ids": RNG.permutation(30)}),
    "owners": ({"method": "owner_knn_shapley", "k": 2}, {"owners": RNG.integers(0, 4, 30)}),
    "weights": ({"method": "weighted_knn_shapley", "k": 2}, {"weights": RNG.integers(1, 4, 30)}),
}


@pytest.mark.parametrize(("options", "columns"), CALLS.values(), ids=CALLS)
def test_fit__values_are_those_of_value_arrays(options: dict[str, Any], columns: dict[str, Any]) -> None:
    valuator = DataValuator(**options)
    assert valuator.fit(X, Y, Z, Y_Z, **columns) is valuator
    np.testing.assert_array_equal(valuator.values_, dvspark.value_arrays(X, Y, Z, Y_Z, **options, **columns))
    assert valuator.n_features_in_ == 4
    assert not hasattr(valuator, "error_bounds_")


def test_fit__rows_may_validate_each_other() -> None:
    valuator = DataValuator(k=3, self_validation=True).fit(X, Y)
    np.testing.assert_array_equal(valuator.values_, dvspark.value_arrays(X, Y, k=3, self_validation=True))


def test_fit__error_bounds_are_there_if_asked_for_and_go_with_a_fit_that_does_not_ask() -> None:
    valuator = DataValuator(k=3, error_bound=True).fit(X, Y, Z, Y_Z)
    _, bounds = dvspark.value_arrays(X, Y, Z, Y_Z, k=3, error_bound=True)
    np.testing.assert_array_equal(valuator.error_bounds_, bounds)
    assert not hasattr(valuator.set_params(error_bound=False).fit(X, Y, Z, Y_Z), "error_bounds_")


def test_fit__a_generator_is_read_once() -> None:
    valuator = DataValuator(k=3).fit((row for row in X), Y, (row for row in Z), Y_Z)
    np.testing.assert_array_equal(valuator.values_, dvspark.value_arrays(X, Y, Z, Y_Z, k=3))


def test_fit__a_graph_is_enough() -> None:
    from scipy import sparse

    graph, options = sparse.csr_matrix(np.abs(X @ X.T)), {"method": "cleanlab_knn_shapley", "k": 3}
    valuator = DataValuator(**options).fit(None, Y, knn_graph=graph)
    np.testing.assert_array_equal(valuator.values_, dvspark.value_arrays(None, Y, knn_graph=graph, **options))
    assert not hasattr(valuator, "n_features_in_")


@pytest.mark.parametrize("frame", [pd.DataFrame, lambda x: pa.table(dict(zip(NAMES, x.T, strict=True)))])
def test_fit__features_of_frames_count_by_place_and_their_names_are_kept(frame: Any) -> None:
    frames = [frame(x) for x in (X, Z)]
    if isinstance(frames[0], pd.DataFrame):
        for one in frames:
            one.columns = NAMES
    valuator = DataValuator(k=3).fit(frames[0], Y, frames[1], Y_Z)
    np.testing.assert_array_equal(valuator.values_, dvspark.value_arrays(X, Y, Z, Y_Z, k=3))
    assert valuator.feature_names_in_ == NAMES
    assert not hasattr(valuator.fit(X, Y, frames[1], Y_Z), "feature_names_in_")


@pytest.mark.parametrize(("names", "said"), [(["a", "b", "d", "c"], "'d' for 'c' first"), (NAMES[:3], "3")])
def test_fit__features_in_another_order_are_refused(names: list[str], said: str) -> None:
    x, z = pd.DataFrame(X, columns=NAMES), pd.DataFrame(Z[:, : len(names)], columns=names)
    with pytest.raises(InputError, match="the 4 features of X, in its order") as refused:
        DataValuator(k=3).fit(x, Y, z, Y_Z)
    assert refused.value.problems[0].got == said


def test_fit__numbers_as_names_and_a_column_of_lists_say_nothing() -> None:
    x, z = pd.DataFrame({"embedding": list(X)}), pd.DataFrame({"vector": list(Z)})
    for pair in ((x["embedding"], z["vector"]), (pd.DataFrame(X), pd.DataFrame(Z, columns=[3, 2, 1, 0]))):
        valuator = DataValuator(k=3).fit(pair[0], Y, pair[1], Y_Z)
        np.testing.assert_array_equal(valuator.values_, dvspark.value_arrays(X, Y, Z, Y_Z, k=3))


def test_fit__what_is_wrong_is_told_by_value_arrays() -> None:
    with pytest.raises(ConfigError, match="knn_shaply"):
        DataValuator("knn_shaply").fit(X, Y, Z, Y_Z)
    with pytest.raises(InputError, match="x_train"):
        DataValuator().fit([["a"]], Y, Z, Y_Z)
    with pytest.raises(ConfigError, match="self_validation"):
        DataValuator().fit(X, Y)


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_validation", "y_validation", "k_", "values_", "fit"])
def test_parameters__that_are_rows_or_the_estimators_own_names_are_refused(name: str) -> None:
    """Rows ended in a TypeError, names with a last underscore were left out without a word, `fit` was no function."""
    for call in (DataValuator, DataValuator().set_params):
        with pytest.raises(ConfigError, match=name):
            call(**{name: 3})
    if name != "y_validation":
        with pytest.raises(ConfigError, match=name):
            DataValuator().fit(X, Y, Z, Y_Z, **{name: 3})


def test_parameters__are_got_set_and_shown() -> None:
    valuator = DataValuator("threshold_knn_shapley", radius=1.5)
    assert valuator.get_params() == {"method": "threshold_knn_shapley", "k": 10, "radius": 1.5}
    assert valuator.set_params(radius=2.0) is valuator
    assert repr(valuator) == "DataValuator(method='threshold_knn_shapley', k=10, radius=2.0)"
    assert valuator.fit(X, Y, Z, Y_Z).get_params() == {"method": "threshold_knn_shapley", "k": 10, "radius": 2.0}
    assert type(valuator)(**valuator.get_params()).get_params() == valuator.get_params()


def test_estimator__survives_a_pickle() -> None:
    valuator = DataValuator(k=3, metric="cosine").fit(X, Y, Z, Y_Z)
    again = pickle.loads(pickle.dumps(valuator))
    np.testing.assert_array_equal(again.values_, valuator.values_)
    assert again.get_params() == valuator.get_params()


def test_scikit_learn__clones_it_and_knows_whether_it_is_fitted() -> None:
    base = pytest.importorskip("sklearn.base")
    validation = pytest.importorskip("sklearn.utils.validation")
    valuator = DataValuator(k=3, metric="cosine").fit(X, Y, Z, Y_Z)
    clone = base.clone(valuator)
    assert clone.get_params() == valuator.get_params()
    assert not hasattr(clone, "values_")
    validation.check_is_fitted(valuator)
    with pytest.raises(pytest.importorskip("sklearn.exceptions").NotFittedError):
        validation.check_is_fitted(clone)


# Not: names of features that differ, and NaN, which are InputError here; there ValueError.
CHECKS = (
    "check_dict_unchanged",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_n_features_in",
    "check_no_attributes_set_in_init",
    "check_readonly_memmap_input",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learn__own_checks_pass(check: str) -> None:
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    if not hasattr(checks, check):
        pytest.skip("this scikit-learn has no such check")
    valuator = DataValuator(k=2, self_validation=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(checks, check)("DataValuator", DataValuator() if "in_init" in check else valuator)
