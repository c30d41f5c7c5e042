"""The estimator: `value_arrays` in the manner of scikit-learn, which need not be installed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

from dvspark.arguments import feature_names, name_problems
from dvspark.arrays.array_guises import ERRORS, numbers_of
from dvspark.arrays.array_values import value_arrays
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.schemas import Float64s

# What `fit` calls the rows that `value_arrays` takes by these names.
_OF_FIT = {"x_train": "X", "y_train": "y", "x_validation": "X_validation", "y_validation": "y_validation"}


class DataValuator:
    """Values of training rows, by `fit`; options are those of `dvspark.value_arrays`, checked when rows are there.

    After `fit`: ``values_`` float64 (n_train,), or (n_owners,) where owners are valued; ``error_bounds_`` in the same
    shape, under ``error_bound=True``; ``n_features_in_``; ``feature_names_in_`` where the columns have names.
    Options are attributes, and `sklearn.base.clone` copies them.
    """

    values_: Float64s
    error_bounds_: Float64s
    n_features_in_: int
    feature_names_in_: list[str]

    def __init__(self, method: str = "knn_shapley", k: int = 10, **options: Any) -> None:
        self.set_params(method=method, k=k, **options)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn gives it
        """Return the options by name; those that were left out have the defaults of `value_arrays`."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def set_params(self, **options: Any) -> Self:
        """Return this estimator with other options. Raises: ConfigError for rows, and for names of its own."""
        if problems := _name_problems(options):
            raise ConfigError(problems)
        vars(self).update(options)
        return self

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any,
        X_validation: Any = None,  # noqa: N803
        y_validation: Any = None,
        **columns: Any,
    ) -> Self:
        """Return this estimator with the values of the rows of ``X``, by those of ``X_validation``, in ``values_``.

        ``X`` (n_train, n_features), ``y`` (n_train,) and the validation arrays as in `value_arrays`, left out under
        ``self_validation=True``; ``columns`` are its train_ids, owners, weights, knn_graph and release. Features count
        by their places; where both frames name several, the names must be the same.
        Raises: ConfigError, InputError as `value_arrays` does. Cost: that of `value_arrays`.
        """
        if problems := _name_problems(columns):
            raise ConfigError(problems)
        names = feature_names(X)
        if problems := name_problems("X", X, "X_validation", X_validation):
            raise InputError(problems)
        with suppress(*ERRORS):  # what cannot be read, `value_arrays` tells of
            X = X if X is None else numbers_of(X)  # noqa: N806 - once: a generator cannot be read twice
        found = value_arrays(X, y, X_validation, y_validation, **(self.get_params() | columns))
        for name in [name for name in vars(self) if name.endswith("_")]:  # of an earlier fit
            delattr(self, name)
        if isinstance(found, tuple):
            self.values_, self.error_bounds_ = found
        else:
            self.values_ = found
        if X is not None:
            self.n_features_in_ = X.shape[1]
        if names:
            self.feature_names_in_ = names
        return self

    def __repr__(self) -> str:
        return f"DataValuator({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags  # noqa: PLC0415 - it asks, so it is there

        return Tags(estimator_type=None, target_tags=TargetTags(required=True))


def _name_problems(options: Iterable[str]) -> list[Problem]:
    """Return which options would stand where rows, results or functions of the estimator do."""
    problems = []
    for name in options:
        if name in _OF_FIT:
            hint = f"give them to fit, as {_OF_FIT[name]}"
            problems.append(Problem(name, "rows as arguments of fit", "an option", hint))
        elif name.endswith("_") or hasattr(DataValuator, name):
            hint = "leave it out: the estimator itself uses this name"
            problems.append(Problem(name, "an option of dvspark.value_arrays", written(name), hint))
    return problems
