"""Values from inputs other than embeddings: a graph of nearest neighbors, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from dvspark.arrays.array_columns import read_labels, read_numbers
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.kernels.formulas.chg_shapley import chg_values
from dvspark.kernels.formulas.cleanlab_knn_shapley import graph_scores
from dvspark.kernels.formulas.hardness_shapley import hardness_values
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Float64s, columns

GRAPH_METHODS = ("cleanlab_knn_shapley",)


def graph_values(knn_graph: Any, y_train: Any, options: ValueOptions) -> Float64s:
    """Return the scores of all rows from a graph of their nearest neighbors, float64 (n,), in the order given.

    ``knn_graph`` is a scipy sparse matrix (n, n); the stored numbers of a row are the distances to the row's neighbors.
    Cost: O(stored numbers).
    Raises: ConfigError for a method that takes no graph, InputError for unusable labels or graphs.
    """
    problems = options.problems()
    if options.method not in GRAPH_METHODS:
        expected = f"one of {', '.join(map(repr, GRAPH_METHODS))}, with a knn_graph"
        problems.append(Problem("method", expected, written(options.method), "other methods need embeddings"))
    if problems:
        raise ConfigError(problems)
    if not scipy.sparse.issparse(knn_graph):
        hint = "sklearn.neighbors.kneighbors_graph(x, k, mode='distance') makes one"
        raise InputError(Problem("knn_graph", "a scipy sparse matrix", type(knn_graph).__name__, hint))
    n_rows = knn_graph.shape[0]
    labels = read_labels("y_train", y_train, n_rows, problems)
    if not problems and columns.is_multi_label(labels):
        problems.append(Problem("y_train", "one label a row, with a knn_graph", "several", "give embeddings instead"))
    if problems:
        raise InputError(problems)
    codes = columns.codes_of(labels, columns.label_vocabulary(labels))
    return graph_scores(scipy.sparse.csr_matrix(knn_graph), codes, options.resolved(0).n_voting)


def chg_value_arrays(scaled_gradients: npt.ArrayLike, alpha: npt.ArrayLike | None = None, by: Any = None) -> Float64s:
    """Return the CHG-Shapley value of each row, float64 (n,), in the order given.

    ``scaled_gradients`` (n, p) has for each row its loss times its gradient in the last layer.
    ``alpha`` (p,), on the same scale, is the target for the mean of a set S of rows: U(S) = |alpha|² - |mean of S -
    alpha|². None means the mean of all rows.
    ``by`` (n,), integers or strings such as labels: the rows of each class are a game of their own, with their own
    mean.
    Cost: O(n p) time, 24 n p bytes.
    Raises: InputError with everything that is wrong.
    Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, in centered form and for any n.
    """
    problems: list[Problem] = []
    x = read_numbers("scaled_gradients", scaled_gradients, problems)
    target = None if alpha is None else read_numbers("alpha", alpha, problems)
    if x is not None and (x.ndim != 2 or 0 in x.shape):
        hint = "one row of p numbers for each training row"
        problems.append(Problem("scaled_gradients", "shape (n, p), at least 1 × 1", f"shape {x.shape}", hint))
    elif x is not None and target is not None and target.shape != x.shape[1:]:
        hint = "alpha is on the scale of the rows"
        problems.append(Problem("alpha", f"shape {x.shape[1:]}", f"shape {target.shape}", hint))
    games = np.zeros(0 if x is None else len(x), np.int32)
    if by is not None and x is not None:
        classes = read_labels("by", by, len(x), problems)
        if columns.is_multi_label(classes):
            problems.append(Problem("by", "one class a row", "several", "a row is in one game: choose one of each"))
        elif not problems:
            games = columns.codes_of(classes, columns.label_vocabulary(classes))
    if problems or x is None:
        raise InputError(problems)
    values = np.empty(len(x))
    for game in np.unique(games):
        values[games == game] = chg_values(x[games == game], target)
    if not np.isfinite(values).all():
        hint = "scale the gradients down: their squares overflow"
        raise InputError(Problem("scaled_gradients", "numbers whose squares are finite", "larger ones", hint))
    return values


def hardness_value_arrays(losses: npt.ArrayLike) -> Float64s:
    """Return the value of each row in the game of losses, float64 (n,), in the order given.

    ``losses`` (n,), numbers from 0, are those of the rows in a model. A set of rows is worth its mean loss, so rows
    that are hard for the model, wrong labels among them, are worth more than others. The values sum to the mean loss.
    Cost: O(n).
    Raises: InputError with everything that is wrong.
    Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, its hardness term; here as a game of its own.
    """
    problems: list[Problem] = []
    found = read_numbers("losses", losses, problems)
    if found is not None and found.ndim != 1:
        problems.append(Problem("losses", "shape (n,)", f"shape {found.shape}", "one loss a row"))
    elif found is not None and not np.isfinite(found).all():
        problems.append(Problem("losses", "finite numbers", "NaN or infinity", "drop or repair these rows"))
    elif found is not None and (found < 0).any():
        problems.append(Problem("losses", "numbers from 0", f"{found.min():g}", "shift them: a loss has a least value"))
    if problems or found is None:
        raise InputError(problems)
    return hardness_values(found)
