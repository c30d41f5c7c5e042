"""Labeled rows: what an evaluation takes, an embedding and one label a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dvspark.arguments import feature_names, name_problems
from dvspark.arrays.array_guises import ERRORS, numbers_of
from dvspark.errors import InputError, Problem
from dvspark.schemas import Float64s, Int64s


@dataclass(frozen=True)
class LabeledRows:
    """``x`` (n, n_features) float64, finite; ``y`` (n,) integers or strings. Ids are the rows' positions.

    ``columns`` are the names of the features, where a frame gave some.
    """

    x: Float64s
    y: Any
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, side: str, x: Any, y: Any) -> LabeledRows:
        """Return the rows of arrays in any form that `dvspark.value_arrays` reads.

        Raises: InputError for rows that are no finite numbers, or that do not have one label each.
        """
        problems = []
        try:
            matrix = np.asarray(numbers_of(x), np.float64)
        except ERRORS as error:
            matrix = np.full((1, 1), np.nan)
            problems.append(Problem(side, "a matrix of numbers", str(error), "one row an embedding"))
        else:
            if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
                got = f"shape {matrix.shape}" if matrix.ndim != 2 or not matrix.size else "NaN or infinity"
                problems.append(Problem(side, "a matrix of finite numbers", got, "drop or repair these rows"))
        labels = np.asarray(y)
        if labels.ndim != 1 or labels.dtype.kind not in "iuUT" or (not problems and len(labels) != len(matrix)):
            labels, problems = _labels_of_objects(side, labels, problems)
        if problems:
            raise InputError(problems)
        return cls(matrix, labels, tuple(feature_names(x)))

    def __len__(self) -> int:
        return len(self.y)

    def take(self, places: Int64s) -> LabeledRows:
        """Return the rows at these positions, in this order."""
        return LabeledRows(self.x[places], self.y[places], self.columns)

    def followed_by(self, others: LabeledRows) -> LabeledRows:
        """Return these rows, then the others."""
        return LabeledRows(np.concatenate([self.x, others.x]), np.concatenate([self.y, others.y]), self.columns)


def require_same_features(train: LabeledRows, **others: LabeledRows | None) -> None:
    """Raise InputError unless all rows have the features of the training rows, in the same order."""
    problems = []
    for name, rows in others.items():
        if rows is None:
            continue
        n, n_here = train.x.shape[1], rows.x.shape[1]
        if n != n_here:
            hint = "make the embeddings of all rows by one model"
            problems.append(Problem(name, f"{n} features, as the training rows have", f"{n_here}", hint))
        else:
            problems += name_problems("the training rows", train, name, rows)
    if problems:
        raise InputError(problems)


def _labels_of_objects(side: str, labels: Any, problems: list[Problem]) -> tuple[Any, list[Problem]]:
    """Return labels that came as objects as integers or strings, and what is wrong with them."""
    kinds = {type(one) for one in labels.tolist()} if labels.ndim == 1 else set()
    if labels.ndim == 1 and kinds in ({str}, {int}) and labels.dtype == object:
        return np.asarray(labels.tolist()), problems
    got = f"shape {labels.shape}, dtype {labels.dtype}"
    hint = "evaluations take one integer or string a row, none missing; no numbers to predict and no sets"
    return labels, [*problems, Problem(side, "one label a row", got, hint)]
