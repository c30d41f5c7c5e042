"""Owned rows that are given as arrays: read like training rows, and joined with these, the candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.arrays.array_columns import id_order
from dvspark.arrays.array_guises import ERRORS, names_of
from dvspark.errors import Problem
from dvspark.methods.options import ValueOptions
from dvspark.schemas import OWNED, Bools, Floats, Int64s

ReadRows = Callable[[str, Any], Floats]
ReadLabels = Callable[[str, Any, int], pa.Array]


@dataclass(frozen=True)
class GivenOwned:
    """The arguments of `dvspark.value_arrays` about owned rows, as given, not checked."""

    x: Any = None
    y: Any = None
    ids: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether no owned rows are given, which may be said by arrays without rows."""
        return self.x is None or (hasattr(self.x, "__len__") and len(self.x) == 0)

    def problems(self, options: ValueOptions) -> list[Problem]:
        """Return what is wrong with which of the arguments are given."""
        arguments = {"x_owned": self.x, "y_owned": self.y, "owned_ids": self.ids}
        given = [name for name, argument in arguments.items() if argument is not None]
        if OWNED.name not in options.asks:
            hint = "leave it out, or choose knn_acquisition_shapley"
            return [Problem(name, f"no owned rows, for {options.method}", "given", hint) for name in given]
        problems = [
            Problem(name, "embeddings and labels of the owned rows", "None", "give x_owned and y_owned, or neither")
            for name in ("x_owned", "y_owned")
            if given and name not in given
        ]
        if options.self_validation and not self.is_empty:
            hint = "give validation rows; owned rows play in every game"
            problems.append(Problem("self_validation", "False with owned rows", "True", hint))
        return problems

    def findings(self) -> list[Problem]:
        """Return a warning if nobody said that nothing is owned."""
        if self.x is not None:
            return []
        hint = "values are those of knn_shapley; if that is what you want, give arrays without rows"
        return [Problem("x_owned", "the rows that are owned", "None", hint)]


@dataclass(frozen=True)
class JoinedRows:
    """Candidates and owned rows together: in ``order`` (n,) ids ascend; ``owned`` (n,) bool marks the owned ones."""

    x: Floats
    labels: pa.Array
    order: Int64s
    owned: Bools


def join_owned(
    x: Floats,
    labels: pa.Array,
    train_ids: Any,
    given: GivenOwned,
    read: tuple[ReadRows, ReadLabels],
    problems: list[Problem],
) -> JoinedRows:
    """Return candidates with the owned rows after them; what is wrong is added to ``problems``.

    Ids of both tables decide ties; without ids, owned rows come before candidates at the same distance.
    """
    n = len(x)
    if given.is_empty:
        return JoinedRows(x, labels, id_order(train_ids, n, problems), np.zeros(n, np.bool_))
    x_owned = read[0]("x_owned", given.x)
    y_owned = read[1]("y_owned", given.y, len(x_owned))
    owned = np.arange(n + len(x_owned)) >= n
    if (train_ids is None) != (given.ids is None):
        hint = "ids decide ties between both tables: give both, or neither"
        problems.append(Problem("train_ids and owned_ids", "ids of both tables, or of neither", "only of one", hint))
        order = np.argsort(~owned, kind="stable")
    elif train_ids is None:
        order = np.argsort(~owned, kind="stable")
    else:
        order = id_order(_ids_of_both(train_ids, given.ids), len(owned), problems, "train_ids and owned_ids")
    if problems:
        return JoinedRows(x, labels, order, owned)
    problems += _pair_problems(x, labels, x_owned, y_owned)
    if problems:
        return JoinedRows(x, labels, order, owned)
    return JoinedRows(np.concatenate([x, x_owned]), pa.concat_arrays([labels, y_owned]), order, owned)


def _ids_of_both(train_ids: Any, owned_ids: Any) -> npt.NDArray[Any] | list[Any]:
    """Return the ids of candidates, then those of owned rows; `id_order` says what is wrong with them."""
    try:
        both = [names_of(ids) for ids in (train_ids, owned_ids)]
    except ERRORS:
        return [train_ids, owned_ids]
    return np.array([one for ids in both for one in ids.ravel().tolist()], object)


def _pair_problems(x: Floats, y: pa.Array, x_owned: Floats, y_owned: pa.Array) -> list[Problem]:
    problems = []
    if x.shape[1] != x_owned.shape[1]:
        got = f"{x.shape[1]} in x_train, {x_owned.shape[1]} in x_owned"
        problems.append(Problem("x_owned", "as many features as x_train", got, "embed both the same way"))
    if y.type != y_owned.type:
        got = f"{y.type} in y_train, {y_owned.type} in y_owned"
        problems.append(Problem("labels", "one kind of label", got, "make both integers or both strings"))
    return problems
