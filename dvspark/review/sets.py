"""Duplicate sets: rows that are copies of each other, as one player whose value is told for each copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.schemas import Float64s
from dvspark.schemas.columns import unmasked

# The column that names the set of a row.
COLUMN = "duplicate_set"


def duplicate_sets(review: pa.Table) -> pa.Array:
    """Return for each row of a review table the id of the row of its set that stays, its own if it is no copy.

    As `owners` of owner_knn_shapley they make each set one player, so that copies earn nothing by being many.
    Cost: O(n).
    """
    ids = review["id"].combine_chunks()
    first = dict(zip(ids.to_pylist(), review["duplicate_of"].to_pylist(), strict=True))

    def stays(row: Any) -> Any:  # a copy of a row that is nearly the same as an earlier one is two steps away
        while (earlier := first[row]) is not None:
            row = earlier
        return row

    return pa.array([stays(row) for row in first], ids.type)


def values_of_copies(sets: Any, values: Float64s) -> Float64s:
    """Return for each row the value of its set, (n,) float64; ``values`` (n_sets,) in ascending order of the sets.

    Copies share what their set is worth: the numbers do not add up over rows, but over sets. A masked value is NaN.
    Raises: ValueError if there are not as many values as sets.
    """
    names, of_row = np.unique(np.asarray(sets), return_inverse=True)
    if len(names) != len(values):
        raise ValueError(f"expected a value for each of {len(names)} sets, ascending; got {len(values)}")
    found: Float64s = unmasked(values)[of_row]
    return found
