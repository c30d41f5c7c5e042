"""Gaming: what owners would gain by splitting into two, or by handing in their rows twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.arguments import name_problems
from dvspark.arrays.array_columns import read_owners
from dvspark.arrays.array_guises import ERRORS, labels_of, numbers_of
from dvspark.arrays.array_values import value_arrays
from dvspark.errors import ConfigError, InputError, Problem, written

# The methods whose values are of owners.
OWNER_METHODS = ("owner_knn_shapley", "owner_sum_of_points")

SUMS = "A sum of rows' values: an owner who splits gains nothing; an owner who hands in copies may gain."
RESISTS = {
    "owner_knn_shapley": "The game of owners: copies gain only where they fill more of the k places; an owner who "
    "splits may gain.",
    "owner_sum_of_points": SUMS,
}


def gaming_gains(
    x_train: npt.ArrayLike,
    y_train: Any,
    x_validation: npt.ArrayLike,
    y_validation: Any,
    owners: Any,
    *,
    method: str = "owner_knn_shapley",
    **options: Any,
) -> pa.Table:
    """Return for each owner, ascending, its value, and what it would have gained by splitting and by copies.

    Columns: owner (its place among the owners), n_rows, value, gain_of_split (its rows, in turn, to two owners; both
    values less its own), gain_of_copies (all its rows twice, the copies after all other rows). ``options`` are those of
    `dvspark.value_arrays`, without ids and weights.
    Cost: two valuations an owner, and one. Raises: ConfigError for a method of rows; else as `value_arrays` does.
    """
    if problems := _problems(method, options):
        raise ConfigError(problems)
    problems = name_problems("x_train", x_train, "x_validation", x_validation)
    try:
        x, labels = numbers_of(x_train), labels_of(y_train)
    except ERRORS as error:
        hint = "give them as to value_arrays"
        raise InputError(Problem("x_train, y_train", "numbers and a label a row", str(error), hint)) from None
    codes = read_owners(owners, len(labels), problems)
    if codes is None or problems:
        raise InputError(problems or Problem("owners", "one owner a training row", "None", "pass owners=…"))
    values = value_arrays(x, labels, x_validation, y_validation, owners=codes, method=method, **options)

    def values_of(rows: npt.NDArray[np.int64], of: npt.NDArray[np.int32]) -> Any:
        given = x[rows], labels.take(pa.array(rows)), x_validation, y_validation
        return value_arrays(*given, owners=of, method=method, **options)

    everything, n_owners = np.arange(len(x)), int(codes.max()) + 1
    split, copied = np.zeros(n_owners), np.zeros(n_owners)
    for owner in range(n_owners):
        own = np.flatnonzero(codes == owner)
        if len(own) > 1:  # a single row cannot be split
            parted = codes.copy()
            parted[own[1::2]] = n_owners
            found = values_of(everything, parted)
            split[owner] = found[owner] + found[n_owners] - values[owner]
        twice = np.append(everything, own)
        copied[owner] = values_of(twice, codes[twice])[owner] - values[owner]
    columns = {"owner": np.arange(n_owners), "n_rows": np.bincount(codes), "value": values}
    return pa.table({**columns, "gain_of_split": split, "gain_of_copies": copied})


def _problems(method: str, options: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the method, and with options that hold for the rows as given alone."""
    problems = []
    if method not in OWNER_METHODS:
        hint = "sums of other Shapley values resist splitting, too, and no copies"
        problems.append(Problem("method", f"one of {', '.join(OWNER_METHODS)}", written(method), hint))
    if options.get("train_ids") is not None:
        problems.append(Problem("train_ids", "none", "given", "leave them out: copies come after all other rows"))
    if options.get("error_bound"):
        problems.append(Problem("error_bound", "False", "True", "leave it out; ask `value_arrays` for certificates"))
    return problems
