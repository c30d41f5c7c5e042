"""Labeled rows: what an evaluation takes, an embedding and one label a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dvspark.arrays.array_guises import ERRORS, numbers_of
from dvspark.errors import InputError, Problem
from dvspark.schemas import Float64s, Int64s


@dataclass(frozen=True)
class LabeledRows:
    """``x`` (n, n_features) float64, finite; ``y`` (n,) integers or strings. Ids are the rows' positions."""

    x: Float64s
    y: Any

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
        return cls(matrix, labels)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, places: Int64s) -> LabeledRows:
        """Return the rows at these positions, in this order."""
        return LabeledRows(self.x[places], self.y[places])

    def followed_by(self, others: LabeledRows) -> LabeledRows:
        """Return these rows, then the others."""
        return LabeledRows(np.concatenate([self.x, others.x]), np.concatenate([self.y, others.y]))


def _labels_of_objects(side: str, labels: Any, problems: list[Problem]) -> tuple[Any, list[Problem]]:
    """Return labels that came as objects as integers or strings, and what is wrong with them."""
    kinds = {type(one) for one in labels.tolist()} if labels.ndim == 1 else set()
    if labels.ndim == 1 and kinds in ({str}, {int}) and labels.dtype == object:
        return np.asarray(labels.tolist()), problems
    got = f"shape {labels.shape}, dtype {labels.dtype}"
    hint = "evaluations take one integer or string a row, none missing; no numbers to predict and no sets"
    return labels, [*problems, Problem(side, "one label a row", got, hint)]
