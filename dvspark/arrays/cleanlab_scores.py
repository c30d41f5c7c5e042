"""The function `data_shapley_knn` of cleanlab's `data_valuation`, with its arguments, defaults and scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dvspark.arguments import count_problems
from dvspark.arrays.array_columns import read_numbers
from dvspark.arrays.array_guises import ERRORS, numbers_of
from dvspark.arrays.array_values import value_arrays
from dvspark.errors import ConfigError, DvsparkError, InputError, Problem
from dvspark.extras import import_extra
from dvspark.kernels.distances.distances import METRICS
from dvspark.kernels.formulas.cleanlab_knn_shapley import CleanlabKnnShapley
from dvspark.schemas import Float64s

METHOD = "cleanlab_knn_shapley"
# cleanlab takes the cosine of rows with more features.
MOST_EUCLIDEAN_FEATURES = 3

# The names of `value_arrays` in messages, as they are called here.
NAMES = {"x_train": "features", "y_train": "labels"}


def data_shapley_knn(
    labels: Any,
    *,
    features: Any = None,
    knn_graph: Any = None,
    metric: str | Callable[..., float] | None = None,
    k: int = 10,
) -> Float64s:
    """Return cleanlab's score of each row, from 0 to 1, float64 (n,), in the order given.

    ``labels`` (n,) and ``features`` (n, n_features) as in `dvspark.value_arrays`, or in place of features a
    ``knn_graph`` (n, n), a scipy sparse matrix of distances to k other rows at least. ``metric`` None: cosine above
    three features, else Euclidean. Metrics that dvspark does not have are scikit-learn's (extra ``models``).
    Equal to cleanlab's scores where no two distances are equal; where some are, the earlier row counts as nearer.
    Raises: ConfigError for unusable options, InputError for unusable data.
    Cost: O(n (n n_features + k)) time, never n × n bytes; with a graph O(stored numbers).
    Source: cleanlab 2.9.0; see docs/methods/cleanlab_knn_shapley.md.
    """
    if knn_graph is None and features is None:
        raise ConfigError(Problem("features", "features or a knn_graph", "neither", "pass features=…"))
    with _own_names():
        if knn_graph is not None:
            return value_arrays(None, labels, method=METHOD, k=k, knn_graph=knn_graph)
        try:
            features = numbers_of(features)
        except ERRORS:  # told below, by whoever needs numbers
            metric = metric or "euclidean"
        if metric is None:
            many = features.ndim == 2 and features.shape[1] > MOST_EUCLIDEAN_FEATURES
            metric = "cosine" if many else "euclidean"
        if metric in METRICS:
            return value_arrays(features, labels, method=METHOD, k=k, metric=str(metric))
        return value_arrays(None, labels, method=METHOD, k=k, knn_graph=_graph(features, metric, k))


def _graph(features: Any, metric: Any, k: int) -> Any:
    """Return the graph of each row's k nearest other rows, by a metric of scikit-learn, scipy.sparse (n, n)."""
    problems: list[Problem] = []
    x = read_numbers("features", features, problems)
    if x is not None and (x.ndim != 2 or 0 in x.shape):
        problems.append(Problem("features", "a 2-d array of numbers, at least 1 × 1", f"shape {x.shape}"))
    if problems or x is None:
        raise InputError(problems)
    if problems := count_problems("parameter 'k'", k, "10 is usual"):
        raise ConfigError(problems)
    CleanlabKnnShapley(k).n_nearest(len(x) - 1)
    expected, instead = f"scikit-learn, for the metric {metric!r}", f", or one of {', '.join(METRICS)}"
    neighbors = import_extra("sklearn.neighbors", "models", "metric", expected, instead=instead)
    try:
        return neighbors.NearestNeighbors(n_neighbors=k, metric=metric).fit(x).kneighbors_graph(mode="distance")
    except (ValueError, TypeError) as error:
        hint = "sklearn.metrics.pairwise.distance_metrics() lists some"
        raise ConfigError(Problem("metric", "a metric that scikit-learn can use", str(error), hint)) from error


@contextmanager
def _own_names() -> Iterator[None]:
    """Tell problems of `value_arrays` by the names of the arguments here."""
    try:
        yield
    except DvsparkError as error:
        told = [dataclasses.replace(one, where=NAMES.get(one.where, one.where)) for one in error.problems]
        raise type(error)(told) from None
