"""Arrays as inputs: checked all at once, put in id order, labels made one kind."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark import columns
from dvspark.columns import LARGEST_NUMBER, LARGEST_SQUARED_NORM
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Float64s, Floats, Int32s, Int64s, TrainColumns


@dataclass(frozen=True)
class ArrayInputs:
    """Checked inputs: training rows in id order, ``train_order`` (n_train,) their positions as given."""

    x_train: Floats
    train_labels: pa.Array
    train_order: Int64s
    x_validation: Floats
    validation_labels: pa.Array
    n_classes: int
    train_columns: TrainColumns
    point_weights: Float64s | None

    @property
    def validation_targets(self) -> Float64s | None:
        """The numbers to predict, (n_validation,)."""
        return columns.target_numbers(self.validation_labels)


@dataclass(frozen=True)
class Given:
    """Inputs as they were given, not checked; see `engine.local.value_arrays`."""

    x_train: Any
    y_train: Any
    x_validation: Any = None
    y_validation: Any = None
    train_ids: Any = None
    owners: Any = None
    weights: Any = None


def read_array_inputs(given: Given, options: ValueOptions) -> ArrayInputs:
    """Return the inputs, checked.

    Raises: ConfigError for the options' problems; InputError for everything wrong with the arrays.
    """
    problems = options.problems() + _pairing_problems(given.x_validation, given.y_validation, options)
    if options.method in list(METHODS):
        problems += _asked_problems(given, options)
    if problems:
        raise ConfigError(problems)
    problems = []
    x = _embeddings("x_train", given.x_train, options, problems)
    y = _answers("y_train", given.y_train, len(x), options, problems)
    order = _id_order(given.train_ids, len(x), problems)
    if options.self_validation:
        z, y_z = x[order], y if problems else y.take(pa.array(order))
    else:
        z = _embeddings("x_validation", given.x_validation, options, problems)
        y_z = _answers("y_validation", given.y_validation, len(z), options, problems)
    owners = _owners(given.owners, len(x), problems)
    weights = _weights(given.weights, (len(z), len(x)), problems)
    if not problems and x.shape[1] != z.shape[1]:
        got = f"{x.shape[1]} in x_train, {z.shape[1]} in x_validation"
        problems.append(Problem("x_validation", "as many features as x_train", got, "embed both the same way"))
    if not problems and _flat(y).type != _flat(y_z).type:
        got = f"{_flat(y).type} in y_train, {_flat(y_z).type} in y_validation"
        problems.append(Problem("labels", "one kind of label", got, "make both integers or both strings"))
    if problems:
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
    )


def _in_order(weights: Float64s, order: Int64s, options: ValueOptions) -> Float64s:
    """Return weights of each point with the training rows, and under self-validation the points, in id order."""
    return weights[np.ix_(order, order)] if options.self_validation else weights[:, order]


def _asked_problems(given: Given, options: ValueOptions) -> list[Problem]:
    """Return what the method asks for and was not given, and what was given and it does not ask for."""
    problems = []
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


def _answers(name: str, y: Any, n_rows: int, options: ValueOptions, problems: list[Problem]) -> pa.Array:
    """Return labels, or numbers to predict as an Arrow array of float64; note what is wrong with them."""
    if options.declaration.target == "label":
        return read_labels(name, y, n_rows, problems)
    numbers = _small_numbers(name, y, problems)
    if numbers is not None and numbers.shape != (n_rows,) and n_rows:
        problems.append(Problem(name, f"{n_rows} numbers, one a row", f"shape {numbers.shape}", "align them with rows"))
    return pa.array(np.zeros(0) if numbers is None else numbers.ravel())


def read_numbers(name: str, values: Any, problems: list[Problem]) -> Float64s | None:
    """Return finite float64 numbers of any shape, or None and what is wrong with them."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"dtype {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        problems.append(Problem(name, "numbers", str(error), "give an array of numbers"))
        return None
    if not np.isfinite(array).all():
        n_bad = int(np.count_nonzero(~np.isfinite(array)))
        problems.append(Problem(name, "finite numbers", f"{n_bad} that are NaN or infinite", "drop these rows"))
        return None
    return array


def _small_numbers(name: str, values: Any, problems: list[Problem]) -> Float64s | None:
    """Return finite float64 numbers whose squares can be squared, or None and what is wrong with them."""
    array = read_numbers(name, values, problems)
    if array is None or not (n_large := int(np.count_nonzero(np.abs(array) > LARGEST_NUMBER))):
        return array
    problems.append(Problem(name, f"numbers up to {LARGEST_NUMBER:.0e}", f"{n_large} larger", "scale them down"))
    return None


def _weights(weights: Any, shape: tuple[int, int], problems: list[Problem]) -> Float64s | None:
    """Return the weights, (n_train,) or (n_validation, n_train); note what is wrong with them."""
    array = None if weights is None else _small_numbers("weights", weights, problems)
    if array is None:
        return None
    if array.shape not in (shape, shape[1:]):
        expected, got = f"shape {shape[1:]} or {shape}", f"shape {array.shape}"
        problems.append(Problem("weights", expected, got, "one a training row, or one a point and training row"))
    elif array.size and array.min() < 0:
        got = f"{int(np.count_nonzero(array < 0))} negative ones"
        problems.append(Problem("weights", "weights of at least 0", got, "weights say how much a neighbor counts"))
    return array


def _owners(owners: Any, n_rows: int, problems: list[Problem]) -> Int32s | None:
    """Return the owner of each training row as its place among the ascending owners, (n_train,) int32."""
    if owners is None:
        return None
    names = owners if isinstance(owners, np.ndarray) else np.asarray(owners, object)
    kinds = sorted({_id_kind(one) for one in names.ravel().tolist()})
    if names.shape != (n_rows,) or kinds not in (["integer"], ["string"]):
        got = f"shape {names.shape} of kind {', '.join(kinds)}"
        problems.append(Problem("owners", f"{n_rows} integers or strings", got, "one owner a training row"))
        return None
    return np.unique(names, return_inverse=True)[1].astype(np.int32)


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
    """Return a 2-d float32 or float64 array without negative zeros; note what is wrong with it."""
    empty = np.zeros((0, 1), np.float32)
    try:
        array = np.asarray(x)
        if array.dtype == np.float16 or array.dtype.kind in "iub":
            # Whole numbers and halves widen without loss where the wider type holds them.
            array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    except ValueError as error:
        problems.append(Problem(name, "a 2-d array of numbers", str(error), "give rows of equal length"))
        return empty
    if array.ndim != 2 or array.dtype not in (np.float32, np.float64) or 0 in array.shape:
        got = f"shape {array.shape}, dtype {array.dtype}"
        problems.append(Problem(name, "a 2-d array of numbers, at least 1 × 1", got, "one row an embedding"))
        return empty
    array = np.ascontiguousarray(array)
    finite = np.isfinite(array).all(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.einsum("ij,ij->i", array, array, dtype=np.float64)
    limit = LARGEST_SQUARED_NORM[options.precision]
    _count(problems, name, ~finite, "finite numbers", "NaN or infinity", "drop or repair these rows")
    hint = "scale the embeddings down" + ("" if options.precision == "float64" else ", or precision='float64'")
    _count(problems, name, finite & (norms > limit), f"squared norms up to {limit:.0e}", "larger", hint)
    if options.metric == "cosine":
        _count(problems, name, norms == 0, "a direction, for cosine", "all zeros", "drop these rows")
    return array


def _count(problems: list[Problem], name: str, bad: npt.NDArray[np.bool_], expected: str, got: str, hint: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        first = ", ".join(map(str, rows[:5]))
        problems.append(Problem(name, expected, f"{got} in {len(rows)} rows; the first: {first}", hint))


def read_labels(name: str, y: Any, n_rows: int, problems: list[Problem]) -> pa.Array:
    """Return labels as an Arrow array of int64, string, or lists of either; note what is wrong with them."""
    expected = "one label a row: an integer, a string, or a sequence of either"
    try:
        if not isinstance(y, np.ndarray) or y.ndim != 1 or y.dtype == object:
            y = [sorted(row) if isinstance(row, set | frozenset) else _plain(row) for row in y]
        array = columns.canonical_labels(pa.array(y))
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        problems.append(Problem(name, expected, str(error), "use one kind of label for all rows"))
        return pa.array([], pa.int64())
    nulls = array.null_count + (_flat(array).null_count if columns.is_multi_label(array) else 0)
    if nulls:
        problems.append(Problem(name, "a label in every row", f"{nulls} without", "drop unlabelled rows"))
    elif n_rows and len(array) != n_rows:
        problems.append(Problem(name, f"{n_rows} labels, one a row", str(len(array)), "align labels and rows"))
    return array


def _plain(row: Any) -> Any:
    if isinstance(row, np.generic):
        return row.item()
    return row.tolist() if isinstance(row, np.ndarray) else row


def _id_kind(one: Any) -> str:
    """Return "integer", "string", or the name of a type that cannot be an id: NaN has no place in an order."""
    if isinstance(one, str):
        return "string"
    if isinstance(one, bool):  # Python's flags are integers
        return "bool"
    return "integer" if isinstance(one, Integral) else type(one).__name__


def _id_order(train_ids: Any, n_rows: int, problems: list[Problem]) -> Int64s:
    """Return the positions of the training rows in id order, (n_train,) int64."""
    if train_ids is None:
        return np.arange(n_rows)
    # A list stays objects: NumPy would turn the 1 of [1, "a"] into a word.
    ids = train_ids if isinstance(train_ids, np.ndarray) else np.asarray(train_ids, object)
    if ids.shape != (n_rows,) or ids.dtype.kind not in "iuUSO":
        got = f"shape {ids.shape}, dtype {ids.dtype}"
        problems.append(Problem("train_ids", f"{n_rows} integers or strings", got, "one id a training row"))
        return np.arange(n_rows)
    kinds = sorted({_id_kind(one) for one in ids}) if ids.dtype == object else ["integer"]
    if kinds not in (["integer"], ["string"]):
        got = f"ids of kind {', '.join(kinds)}"
        problems.append(Problem("train_ids", "ids of one kind", got, "all integers or all strings"))
        return np.arange(n_rows)
    order = np.argsort(ids, kind="stable")
    twice = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(twice):
        first = ", ".join(repr(i) for i in ids[order][twice][:5].tolist())
        got = f"{len(twice)} repeated; the first: {first}"
        problems.append(Problem("train_ids", "unique ids", got, "make the ids unique: they decide ties"))
    return order
