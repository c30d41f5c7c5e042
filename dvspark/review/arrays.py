"""The review of NumPy arrays in one process."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.arguments import choice_problems
from dvspark.arrays.array_columns import id_order
from dvspark.arrays.array_guises import names_of
from dvspark.arrays.array_inputs import OR_FLOAT64, ArrayInputs, Given, read_array_inputs
from dvspark.arrays.array_values import array_totals
from dvspark.errors import ConfigError, DataWarning, InputError, Problem
from dvspark.kernels.distances.distances import prepare
from dvspark.methods.finalize import finalize
from dvspark.methods.options import ValueOptions
from dvspark.review.heads import fold_heads
from dvspark.review.near import near_table
from dvspark.review.result import ReviewResult
from dvspark.review.review_rows import (
    AUTO,
    EQUAL_WITHIN,
    ReviewRows,
    Side,
    radius_problems,
    review_problems,
    review_rows,
    vocabulary,
)
from dvspark.schemas import TrainLabels, columns

# Rows are held against each other by distance, which may be 0; an inner product is none.
METRICS = tuple(EQUAL_WITHIN)


def review_arrays(
    x_train: npt.ArrayLike,
    y_train: Any,
    x_validation: npt.ArrayLike | None = None,
    y_validation: Any = None,
    *,
    k: int = 20,
    metric: str = "euclidean",
    train_ids: Any = None,
    validation_ids: Any = None,
    duplicate_radius: float | str = AUTO,
) -> ReviewResult:
    """Return one decision for each training row: keep, relabel, drop or check, and what it rests on.

    Arrays, labels and ids are given as for `dvspark.value_arrays`; rows may have several labels.
    - Without validation arrays, the rows of the table are compared with each other.
    - ``k``: how many of the nearest rows vote. ``metric``: euclidean or cosine.
    - ``duplicate_radius``: up to which distance rows count as nearly the same; "auto" takes it from the data, 0 finds
      equal rows only. ``validation_ids`` (n_validation,): for the column ``leaked_from``; positions if left out.

    Of several copies the one with the lowest id stays, or without ids the first given. With ids of both tables, the
    order in which rows are given changes nothing. The function warns (DataWarning) as `dvspark.value_arrays` does, and
    of every finding.

    Cost: O(N (N + V) D) for the neighbors, as much again for the values, and three softmax heads. Memory beside the
    inputs: `dvspark.review.memory_bytes`.
    Raises: ConfigError for unusable options, InputError for unusable data; each names all problems.
    Source: docs/review.md.
    """
    inputs, ids, validation_ids = _read(
        Given(x_train, y_train, x_validation, y_validation, train_ids), k, metric, duplicate_radius, validation_ids
    )
    options = _options(k, metric, self_validation=x_validation is None)
    rows = _rows(inputs, options, ids, validation_ids)
    found = review_rows(rows, duplicate_radius)
    for finding in (*inputs.findings(options), *found.findings):
        warnings.warn(str(finding), DataWarning, stacklevel=2)
    as_given = np.empty_like(inputs.train_order)
    as_given[inputs.train_order] = np.arange(len(as_given))
    return dataclasses.replace(found, table=found.table.take(pa.array(as_given)))


def _options(k: Any, metric: Any, *, self_validation: bool) -> ValueOptions:
    return ValueOptions.of("knn_shapley", k, None, {}, metric=metric, self_validation=self_validation)


def _read(
    given: Given, k: Any, metric: Any, duplicate_radius: Any, validation_ids: Any
) -> tuple[ArrayInputs, pa.Array, pa.Array | None]:
    """Return the inputs and the ids of both tables, all in id order.

    Raises: ConfigError with all problems of the options, or else InputError with all problems of the arrays.
    """
    alone = given.x_validation is None and given.y_validation is None
    problems = review_problems("knn_shapley", metric, None) or choice_problems("metric", metric, METRICS)
    problems += radius_problems(duplicate_radius)
    if alone and validation_ids is not None:
        problems.append(Problem("validation_ids", "none without validation rows", "given", "leave them out"))
    options = _options(k, metric, self_validation=alone)
    usual = metric if metric in METRICS else "euclidean"
    try:
        if problems := [*problems, *(one for one in options.problems() if one.where != "metric")]:
            raise ConfigError(problems)
        inputs = read_array_inputs(given, _options(k, usual, self_validation=alone))
    except InputError as error:
        # A review has no precision that could be set.
        told = [dataclasses.replace(one, hint=one.hint.removesuffix(OR_FLOAT64)) for one in error.problems]
        raise InputError([*told, *_id_problems(validation_ids, given.y_validation)]) from None
    n_validation = len(inputs.validation_labels)
    problems, of_validation = [], None
    if not alone:
        by_id = id_order(validation_ids, n_validation, problems)
        if problems:
            raise InputError([dataclasses.replace(one, where="validation_ids") for one in problems])
        # Rows that tie, and sums of values, are in the order of their ids.
        of_validation, labels = _ids(validation_ids, n_validation), inputs.validation_labels
        of_validation, labels = (column.take(pa.array(by_id)) for column in (of_validation, labels))
        inputs = dataclasses.replace(inputs, x_validation=inputs.x_validation[by_id], validation_labels=labels)
    order = inputs.train_order
    return inputs, _ids(given.train_ids, len(order)).take(pa.array(order)), of_validation


def _id_problems(validation_ids: Any, labels: Any) -> list[Problem]:
    """Return the problems of validation ids, as far as they show beside other problems."""
    problems: list[Problem] = []
    if validation_ids is not None and hasattr(labels, "__len__"):
        id_order(validation_ids, len(labels), problems)
    return [dataclasses.replace(one, where="validation_ids") for one in problems]


def _ids(given: Any, n_rows: int) -> pa.Array:
    """Return checked ids, or positions, as int64 or string."""
    if given is None:
        return pa.array(np.arange(n_rows))
    return columns.canonical_labels(pa.array(names_of(given).tolist()))


def _rows(inputs: ArrayInputs, options: ValueOptions, ids: pa.Array, validation_ids: pa.Array | None) -> ReviewRows:
    """Return the rows with their neighbors, values and heads."""
    metric, k = options.metric, int(options.parameters["k"])
    words = vocabulary(inputs.train_labels, None if validation_ids is None else inputs.validation_labels)
    train = prepare(inputs.x_train, columns.encode_train_labels(inputs.train_labels, words), metric)
    near = near_table(train, train.x, metric, k, itself=True)
    values, errors = finalize(array_totals(inputs, options), "mean")
    head = None
    if not columns.is_multi_label(inputs.train_labels):
        codes = columns.codes_of(inputs.train_labels, words)
        head = fold_heads(lambda rows: train.x[rows], train.x.shape[1], codes, len(words), metric)
    rows = ReviewRows(Side(ids, inputs.train_labels), near, EQUAL_WITHIN[metric], values, errors, head=head)
    if validation_ids is None:
        return rows
    unlabelled = TrainLabels(np.zeros(len(inputs.x_validation), np.int32))
    others = prepare(inputs.x_validation, unlabelled, metric)
    return dataclasses.replace(
        rows,
        validation=Side(validation_ids, inputs.validation_labels),
        near_validation=near_table(others, train.x, metric, k, itself=False),
    )
