"""One line for each class: the sum and the mean of its rows' values, and how many lie below zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.report.labels import are_classes, memberships

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True)
class ClassLine:
    """The values of the rows of one class; ``label`` None gathers the rows without a label."""

    label: Hashable | None
    n_rows: int
    mean: float
    total: float
    share_below_zero: float
    lowest: float


def class_lines(labels: pa.ChunkedArray, values: npt.NDArray[np.float64]) -> tuple[ClassLine, ...]:
    """Return the classes in order of their mean value, lowest first.

    ``labels`` (n,) of scalars or lists, ``values`` (n,) float64. A row with several labels counts in each of its
    classes. Real-valued labels are targets of a regression, not classes, and give an empty result. Cost: O(n log n).
    """
    if not are_classes(labels.type):
        return ()
    rows, codes, names = memberships(labels)
    members = values[rows]
    n_rows = np.bincount(codes, minlength=len(names))
    totals = np.bincount(codes, weights=members, minlength=len(names))
    n_below = np.bincount(codes, weights=members < 0, minlength=len(names))
    lowest = np.full(len(names), np.inf)
    np.minimum.at(lowest, codes, members)
    lines = [
        ClassLine(
            label=names[code],
            n_rows=int(n_rows[code]),
            mean=float(totals[code] / n_rows[code]),
            total=float(totals[code]),
            share_below_zero=float(n_below[code] / n_rows[code]),
            lowest=float(lowest[code]),
        )
        for code in np.flatnonzero(n_rows)
    ]
    return tuple(sorted(lines, key=lambda line: (line.mean, str(line.label))))
