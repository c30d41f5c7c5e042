"""The local engine: NumPy in, NumPy out, one process; the reference the Spark engine is held against."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from dvspark import columns
from dvspark.engine.ann_index import searched
from dvspark.engine.array_inputs import ArrayInputs, Given, read_array_inputs
from dvspark.engine.chunks import CHUNK_ROWS
from dvspark.errors import ConfigError
from dvspark.kernels.distances import prepare
from dvspark.kernels.workspace import Workspace
from dvspark.methods.finalize import certificate, finalize
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Float64s, Partial


# Overloads say what the result depends on; names and types of the options are those of the function below.
@overload
def value_arrays(
    x_train: npt.ArrayLike,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    error_bound: Literal[False] = False,
    **options: Any,
) -> Float64s: ...


@overload
def value_arrays(
    x_train: npt.ArrayLike,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    error_bound: Literal[True],
    **options: Any,
) -> tuple[Float64s, Float64s]: ...


def value_arrays(
    x_train: npt.ArrayLike,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    method: str = "knn_shapley",
    k: int = 10,
    metric: str = "euclidean",
    train_ids: Any = None,
    owners: Any = None,
    weights: Any = None,
    n_classes: int | None = None,
    aggregate: str = "mean",
    precision: str = "default",
    ties: str = "id",
    ranking: str = "auto",
    tolerance: float = 1e-8,
    error_bound: bool = False,
    self_validation: bool = False,
    **method_params: Any,
) -> Float64s | tuple[Float64s, Float64s]:
    """Return the value of each training row, float64 (n_train,), in the order given.

    ``x_train`` (n_train, n_features) and ``x_validation`` (n_validation, n_features) of finite numbers;
    labels are integers or strings, or a sequence of them a row (multi-label: a match is a non-empty
    intersection), or numbers to predict under regression. ``train_ids`` decide ties, ascending; left out, the
    positions do. ``owners`` (n_train,) integers or strings, and ``weights`` (n_train,) or (n_validation, n_train), not
    negative, are for the methods that ask for them; where owners are valued the result is (n_owners,), in ascending
    order of the owners. With
    ``self_validation=True`` the validation arrays are left out: every training row is also a validation
    point and sits out its own game. The result is the mean over validation points, or their sum. With
    ``error_bound=True`` it is a pair: the values, and in the same shape how far each may be from the value
    under the sorted ranking, where all bounds are zero.

    Raises: ConfigError for unusable options, InputError for unusable data; each names all problems.
    Cost: O(V (N D + N log N)) time; memory beside the inputs: `kernels.memory.scratch_bytes`, plus one copy
    of ``x_train`` when it is neither float32 nor float64 in id order.
    Source: the method's, see `dvspark.methods`.
    """
    options = ValueOptions.of(
        method,
        k,
        n_classes,
        method_params,
        metric=metric,
        precision=precision,
        ties=ties,
        aggregate=aggregate,
        ranking=ranking,
        tolerance=tolerance,
        error_bound=error_bound,
        self_validation=self_validation,
    )
    given = Given(x_train, y_train, x_validation, y_validation, train_ids, owners, weights)
    inputs = read_array_inputs(given, options)
    if problems := options.table_problems(*inputs.x_train.shape):
        raise ConfigError(problems)
    totals = local_totals(inputs, options)
    values, _ = finalize(totals, aggregate, options.declaration.score)
    _, bounds = certificate(totals, aggregate)
    if options.declaration.players == "owners":  # in the order of their names, whatever the order of the rows
        return values if bounds is None else (values, bounds)
    result = _as_given(values, inputs)
    return result if bounds is None else (result, _as_given(bounds, inputs))


def local_totals(inputs: ArrayInputs, options: ValueOptions) -> Partial:
    """Return the partial of all validation points, chunk by chunk in the order given."""
    parameters = options.resolved(inputs.n_classes)
    words = columns.label_vocabulary(inputs.train_labels)
    train = prepare(inputs.x_train, columns.encode_train_labels(inputs.train_labels, words), options.metric)
    train = searched(dataclasses.replace(train, columns=inputs.train_columns), options.index, options.metric)
    ranking_options = options.ranking_options(parameters, train.n_train)
    codes, targets = columns.encode_labels(inputs.validation_labels, words), inputs.validation_targets
    n_values = options.declaration.n_values(train.n_train, train.columns.n_owners)
    totals, workspace = Partial.zeros(n_values, row_bounds=options.error_bound), Workspace()
    for start in range(0, len(inputs.x_validation), CHUNK_ROWS):
        here = slice(start, start + CHUNK_ROWS)
        rows = np.arange(len(codes))[here] if options.self_validation else None
        chunk = ChunkArrays(
            inputs.x_validation[here],
            codes[here],
            rows,
            targets=None if targets is None else targets[here],
            weights=None if inputs.point_weights is None else inputs.point_weights[here],
        )
        totals.add(options.declaration.partial(train, chunk, ranking_options, parameters, workspace))
    return totals


def _as_given(in_id_order: Float64s, inputs: ArrayInputs) -> Float64s:
    result = np.empty_like(in_id_order)
    result[inputs.train_order] = in_id_order
    return result
