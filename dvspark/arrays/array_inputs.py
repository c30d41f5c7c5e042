"""Inputs of `value_arrays`: all checked, training rows put in id order, and labels of both tables of one type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.arguments import name_problems
from dvspark.arrays.array_columns import (
    first_rows,
    read_labels,
    read_owners,
    read_targets,
    read_validation_weights,
    read_weights,
)
from dvspark.arrays.array_guises import ERRORS, numbers_of
from dvspark.arrays.owned_inputs import GivenOwned, JoinedRows, join_owned
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import OWNED, Float64s, Floats, Int64s, TrainColumns, columns
from dvspark.schemas.columns import LARGEST_SQUARED_NORM, SMALLEST_SQUARED_NORM
from dvspark.schemas.labels import label_findings, rows_by_label

# What a message adds where numbers are too large to be squared in float32.
OR_FLOAT64 = ", or precision='float64'"


ONE_TABLE = Problem(
    "x_train, x_validation",
    "different rows",
    "the same rows in both",
    "a row that validates itself is overvalued; pass self_validation=True and no validation arrays",
)


@dataclass(frozen=True)
class ArrayInputs:
    """Checked inputs, training rows in id order; ``train_order`` (n_train,) has their positions in the arrays given.

    Owned rows are among them, after all others in ``train_order``; the first ``n_valued`` of these get values.
    """

    x_train: Floats
    train_labels: pa.Array
    train_order: Int64s
    x_validation: Floats
    validation_labels: pa.Array
    n_classes: int
    train_columns: TrainColumns
    point_weights: Float64s | None
    n_valued: int
    validation_weights: Float64s | None = None

    def findings(self, options: ValueOptions) -> list[Problem]:
        """Return warnings: one table on both sides, or labels that are legal but say nothing, such as one alone."""
        # A private method may tell nothing of training rows but what is released, so it gives no such warning.
        if options.declaration.is_private:
            return []
        twice = [] if options.self_validation or not self._are_one_table() else [ONE_TABLE]
        if options.target != "label":
            return twice
        of_points = None if options.self_validation else rows_by_label(self.validation_labels)
        n_rows = len(self.train_labels), len(self.validation_labels)
        n_classes = options.parameters.get("n_classes")
        return [*twice, *label_findings(rows_by_label(self.train_labels), of_points, n_rows, n_classes)]

    def _are_one_table(self) -> bool:
        """Return whether the validation rows are the training rows. Cost: a pass over both if the first are alike."""
        if self.x_train.shape != self.x_validation.shape:
            return False
        first = self.train_order[0]
        if not np.array_equal(self.x_train[0], self.x_validation[first]):
            return False
        return np.array_equal(self.x_train, self.x_validation[self.train_order])

    @property
    def validation_targets(self) -> Float64s | None:
        """The numbers to predict for the validation rows, float64 (n_validation,), under regression."""
        return columns.target_numbers(self.validation_labels)


@dataclass(frozen=True)
class Given:
    """The arguments of `dvspark.value_arrays` that are data, as given, not checked."""

    x_train: Any
    y_train: Any
    x_validation: Any = None
    y_validation: Any = None
    train_ids: Any = None
    owners: Any = None
    weights: Any = None
    validation_weights: Any = None
    owned: GivenOwned = field(default_factory=GivenOwned)


def read_array_inputs(given: Given, options: ValueOptions) -> ArrayInputs:
    """Return the inputs after all checks.

    Raises: ConfigError with all problems of the options, or else InputError with all problems of the arrays.
    """
    problems = options.problems() + _pairing_problems(given.x_validation, given.y_validation, options)
    if options.method in list(METHODS):
        problems += _asked_problems(given, options) + given.owned.problems(options)
        problems += _weighing_problems(given, options)
    if problems:
        raise ConfigError(problems)
    problems = name_problems("x_train", given.x_train, "x_validation", given.x_validation)
    problems += name_problems("x_train", given.x_train, "x_owned", given.owned.x)
    x = _embeddings("x_train", given.x_train, options, problems)
    y = _answers("y_train", given.y_train, len(x), options, problems)
    joined = _with_owned(x, y, given, options, problems)
    n_valued, x, y, order = len(x), joined.x, joined.labels, joined.order
    if options.self_validation:
        z, y_z = x[order], y if problems else y.take(pa.array(order))
    else:
        z = _embeddings("x_validation", given.x_validation, options, problems)
        y_z = _answers("y_validation", given.y_validation, len(z), options, problems)
    owners = read_owners(given.owners, len(x), problems)
    weights = read_weights(given.weights, (len(z), len(x)), problems)
    of_points = read_validation_weights(given.validation_weights, len(z), problems)
    if problems := problems or _side_problems(x, y, z, y_z):
        raise InputError(problems)
    dtype = np.result_type(x, z)
    in_order = bool(np.all(order[:-1] < order[1:]))
    x, y = (x, y) if in_order else (x[order], y.take(pa.array(order)))
    counted = [_flat(y_z)] if options.declaration.is_private else [_flat(y), _flat(y_z)]
    n_classes = len(pa.chunked_array(counted).unique())
    for_all = weights is not None and weights.ndim == 1
    train_columns = TrainColumns(
        targets=columns.target_numbers(y),
        weights=weights[order] if weights is not None and for_all else None,
        owners=None if owners is None else owners[order],
        n_owners=0 if owners is None else int(owners.max()) + 1,
        owned=joined.owned[order] if OWNED.name in options.asks else None,
    )
    return ArrayInputs(
        x_train=np.asarray(x, dtype),
        train_labels=y,
        train_order=order,
        x_validation=np.asarray(z, dtype),
        validation_labels=y_z,
        n_classes=n_classes,
        train_columns=train_columns,
        point_weights=None if weights is None or for_all else _in_order(weights, order, options),
        n_valued=n_valued,
        validation_weights=of_points[order] if of_points is not None and options.self_validation else of_points,
    )


def _side_problems(x: Floats, y: pa.Array, z: Floats, y_z: pa.Array) -> list[Problem]:
    """Return why training and validation rows cannot be compared; one problem, the first."""
    if x.shape[1] != z.shape[1]:
        got = f"{x.shape[1]} in x_train, {z.shape[1]} in x_validation"
        return [Problem("x_validation", "as many features as x_train", got, "embed both the same way")]
    if _flat(y).type != _flat(y_z).type:
        got = f"{_flat(y).type} in y_train, {_flat(y_z).type} in y_validation"
        return [Problem("labels", "one kind of label", got, "make both integers or both strings")]
    return []


def _with_owned(x: Floats, y: pa.Array, given: Given, options: ValueOptions, problems: list[Problem]) -> JoinedRows:
    """Return the training rows with the owned ones, if there are any; add what is wrong to ``problems``."""

    def rows(name: str, some: Any) -> Floats:
        return _embeddings(name, some, options, problems)

    def labels(name: str, some: Any, n_rows: int) -> pa.Array:
        return _answers(name, some, n_rows, options, problems)

    return join_owned(x, y, given.train_ids, given.owned, (rows, labels), problems)


def _in_order(weights: Float64s, order: Int64s, options: ValueOptions) -> Float64s:
    """Return the weights of each point with the training rows in id order, and under self-validation the points too."""
    return weights[np.ix_(order, order)] if options.self_validation else weights[:, order]


def _asked_problems(given: Given, options: ValueOptions) -> list[Problem]:
    """Return problems of owners and weights: missing though the method needs them, or given though it does not."""
    problems = []
    if "losses" in options.asks:
        hint = "call dvspark.chg_value_arrays(losses[:, None] * gradients), or hardness_value_arrays(losses)"
        problems.append(Problem("source", "variant: gradient, in arrays", "gradients that need losses", hint))
    for name in ("owners", "weights"):
        asked, present = name in options.asks, getattr(given, name) is not None
        if asked and not present:
            problems.append(
                Problem(name, f"{name}, for {options.method}", "None", f"pass {name}=…, one a training row")
            )
        elif present and not asked:
            hint = f"leave {name} out, or choose a method that uses it"
            problems.append(Problem(name, f"no {name}, for {options.method}", "given", hint))
    return problems


def _weighing_problems(given: Given, options: ValueOptions) -> list[Problem]:
    """Return why validation rows cannot have weights under this method."""
    method = options.declaration
    if given.validation_weights is None or (method.adds_up and method.score is None and method.hides != "values"):
        return []
    hint = "leave validation_weights out, or choose a method whose values add up point by point, such as knn_shapley"
    return [Problem("validation_weights", f"none, for {options.method}", "given", hint)]


def _answers(name: str, y: Any, n_rows: int, options: ValueOptions, problems: list[Problem]) -> pa.Array:
    """Return labels, or under regression the numbers to predict; add what is wrong to ``problems``."""
    read = read_labels if options.target == "label" else read_targets
    return read(name, y, n_rows, problems)


def _flat(array: pa.Array) -> pa.Array:
    return array.flatten() if columns.is_multi_label(array) else array


def _pairing_problems(x: object, y: object, options: ValueOptions) -> list[Problem]:
    given = [name for name, value in (("x_validation", x), ("y_validation", y)) if value is not None]
    if options.self_validation and given:
        expected = "no validation arrays with self_validation=True"
        return [Problem(" and ".join(given), expected, "given", "leave them out, or drop self_validation")]
    if not options.self_validation and len(given) < 2:
        missing = [name for name in ("x_validation", "y_validation") if name not in given]
        hint = "give both, or pass self_validation=True"
        return [Problem(" and ".join(missing), "validation embeddings and labels", "None", hint)]
    return []


def _embeddings(name: str, x: Any, options: ValueOptions, problems: list[Problem]) -> Floats:
    """Return a 2-d float32 or float64 array; add what is wrong to ``problems``."""
    empty = np.zeros((0, 1), np.float32)
    try:
        array = numbers_of(x)
        if array.dtype == np.float16 or array.dtype.kind in "iub":
            # float16 and whole numbers are widened, which loses nothing as long as the wider type holds them.
            given = array
            array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
            if given.dtype.kind in "iu" and given.dtype.itemsize == 8 and (array.astype(given.dtype) != given).any():
                raise ValueError("whole numbers that float64 rounds, some beyond 2^53")
    except ERRORS as error:
        problems.append(Problem(name, "a 2-d array of numbers", str(error), _hint_of_rows(str(error))))
        return empty
    if array.ndim != 2 or array.dtype not in (np.float32, np.float64) or 0 in array.shape:
        got = f"shape {array.shape}, dtype {array.dtype}"
        problems.append(Problem(name, "a 2-d array of numbers, at least 1 × 1", got, _hint_of_shape(array)))
        return empty
    array = np.ascontiguousarray(array)
    finite = np.asarray(np.isfinite(array).all(axis=1), np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.einsum("ij,ij->i", array, array, dtype=np.float64)
    limit = LARGEST_SQUARED_NORM[options.precision]
    _count(problems, name, ~finite, "finite numbers", "missing numbers, NaN or infinity", "drop or repair these rows")
    hint = "scale the embeddings down" + ("" if options.precision == "float64" else OR_FLOAT64)
    _count(problems, name, finite & (norms > limit), f"squared norms up to {limit:.0e}", "larger", hint)
    if options.metric == "cosine":
        zero = np.asarray(~np.any(array, axis=1), np.bool_)
        expected = f"squared norms from {SMALLEST_SQUARED_NORM:.0e}, for cosine"
        _count(problems, name, zero, "a direction, for cosine", "all zeros", "drop these rows")
        _count(problems, name, ~zero & (norms < SMALLEST_SQUARED_NORM), expected, "smaller", "scale the embeddings up")
    return array


def _hint_of_rows(said: str) -> str:
    """Return what to do with something that is no array of numbers, by what was said of it."""
    if "type str" in said:
        return (
            "make numbers of it: embed words by a model; parse text such as '[1.5, 2]', by json.loads or astype(float)"
        )
    return "give one row of numbers for each label" if "no column of rows" in said else "give rows of equal length"


def _hint_of_shape(array: npt.NDArray[Any]) -> str:
    """Return what to do with an array that is no matrix of real numbers."""
    if array.dtype.kind in "US":
        return "make numbers of it: embed words by a model; numbers in text are read by astype(float)"
    if array.dtype.kind not in "f" or 0 in array.shape:
        return "one row of real numbers an embedding, and one row at least"
    if array.ndim > 2:
        return "make one row of each: x.reshape(len(x), -1); pictures are better embedded by a model"
    order = "the order is x_train, y_train, x_validation, y_validation"
    return f"one row an embedding; {order}; of one feature give x.reshape(-1, 1)"


def _count(problems: list[Problem], name: str, bad: npt.NDArray[np.bool_], expected: str, got: str, hint: str) -> None:
    if bad.any():
        told = f"{got} in {np.count_nonzero(bad)} rows; the first: {first_rows(bad)}"
        problems.append(Problem(name, expected, told, hint))
