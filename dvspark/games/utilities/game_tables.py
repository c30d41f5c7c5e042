"""Game tables: the rows by which a utility says what a coalition is worth, as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dvspark.arguments import count_problems, name_problems
from dvspark.errors import InputError, Problem
from dvspark.kernels.distances.distances import exact_keys, settle_ties
from dvspark.schemas import Bools, Float64s, Floats, Int64s

# Labels, or numbers to predict: one a row.
Answers = npt.NDArray[Any]


@dataclass(frozen=True)
class GameTables:
    """Training and validation rows in id order, and who brings the training rows.

    ``x_train`` (n_train, d), ``y_train`` (n_train,), ``x_validation`` (n_validation, d), ``y_validation``
    (n_validation,). ``owners`` int64 (n_train,): the number of each row's player, from 0; None: every row is a player.
    """

    x_train: Floats
    y_train: Answers
    x_validation: Floats
    y_validation: Answers
    owners: Int64s | None = None

    @classmethod
    def of(cls, x_train: Any, y_train: Any, x_validation: Any, y_validation: Any, owners: Any = None) -> Self:
        """Return the tables of arrays; ``owners`` may be any integers or strings: players are they in ascending order.

        Raises: InputError with everything that is wrong.
        """
        problems = name_problems("x_train", x_train, "x_validation", x_validation)
        x, z = (_features(name, x, problems) for name, x in (("x_train", x_train), ("x_validation", x_validation)))
        y, w = np.asarray(y_train), np.asarray(y_validation)
        for name, given, answers, rows in (("y_train", y_train, y, x), ("y_validation", y_validation, w, z)):
            if answers.shape != (len(rows),) and not problems:
                hint = "one label or number a row"
                problems.append(Problem(name, f"shape ({len(rows)},)", f"shape {answers.shape}", hint))
            problems += _missing_problems(name, given)
        if not problems and x.shape[1] != z.shape[1]:
            got = f"{z.shape[1]} features"
            problems.append(Problem("x_validation", f"{x.shape[1]} features, as x_train has", got, "embed both alike"))
        numbers = None if owners is None else np.asarray(owners)
        if numbers is not None and numbers.shape != (len(x),) and not problems:
            problems.append(Problem("owners", f"shape ({len(x)},)", f"shape {numbers.shape}", "one owner a row"))
        problems += [] if owners is None else _missing_problems("owners", owners)
        if problems:
            raise InputError(problems)
        return cls(x, y, z, w, None if numbers is None else np.unique(numbers, return_inverse=True)[1].astype(np.int64))

    @property
    def n_players(self) -> int:
        """The number of players: of owners, or of training rows."""
        return len(self.x_train) if self.owners is None else int(self.owners.max()) + 1

    def rows(self, players: Int64s) -> Int64s:
        """Return the training rows of some players, ascending, int64. Cost: O(rows) where players are owners."""
        if self.owners is None:
            return players
        joined = np.zeros(self.n_players, np.bool_)
        joined[players] = True
        return joined[self.owners].nonzero()[0]

    def rows_in_order(self, order: Int64s) -> tuple[Int64s, Int64s]:
        """Return the rows of players one after the other, and how many rows the first 1..n players have."""
        if self.owners is None:
            return order, np.arange(1, len(order) + 1)
        place = np.empty(self.n_players, np.int64)
        place[order] = np.arange(len(order))
        rows = np.argsort(place[self.owners], kind="stable")
        return rows, np.cumsum(np.bincount(self.owners, minlength=self.n_players)[order])

    def matches(self) -> Bools:
        """Return whether each training row has each point's label, bool (n_train, n_validation)."""
        return np.asarray(self.y_train[:, None] == self.y_validation[None, :], np.bool_)

    def keys(self, metric: str) -> Float64s:
        """Return the exact distance keys of all rows and points, float64 (n_train, n_validation): a point a column.

        Cost: O(n_train n_validation d) time, 8 n_train n_validation bytes.
        """
        rows, found = np.arange(len(self.x_train)), np.empty((len(self.x_validation), len(self.x_train)))
        for keys, z in zip(found, self.x_validation, strict=True):
            keys[:] = settle_ties(exact_keys(self.x_train, rows, z, metric), metric)
        return found.T

    def n_classes(self) -> int:
        """Return the number of different labels in both tables."""
        return len(np.union1d(self.y_train, self.y_validation))


def class_problems(n_classes: object) -> list[Problem]:
    """Return what is wrong with a number of classes; 0, and no truth value, stands for that of both tables."""
    if n_classes == 0 and not isinstance(n_classes, bool):
        return []
    return count_problems("n_classes", n_classes, "0 counts the labels of both tables")


def _missing_problems(name: str, given: Any) -> list[Problem]:
    """Return the problem of labels or owners that are masked, None or NaN: they would match each other, or nothing."""
    missing = np.ma.getmaskarray(np.ma.asarray(given)).copy()
    found = np.asarray(given)
    if found.dtype.kind == "O":
        is_none = [one is None or (isinstance(one, float) and math.isnan(one)) for one in found.ravel()]
        missing |= np.array(is_none, np.bool_).reshape(found.shape)
    elif found.dtype.kind == "f":
        missing |= np.isnan(found)
    n_missing = int(np.count_nonzero(missing))
    hint = "drop these rows"
    return [Problem(name, "one in every row", f"{n_missing} missing", hint)] if n_missing else []


def _features(name: str, x: Any, problems: list[Problem]) -> Floats:
    """Return features as float32 or float64; no rows and a problem if they are unusable."""
    none = np.zeros((0, 0))
    try:
        found = np.asarray(x)
        found = found if found.dtype in (np.float32, np.float64) else found.astype(np.float64)
    except (TypeError, ValueError) as error:
        problems.append(Problem(name, "rows of numbers", str(error), "give an array of shape (rows, features)"))
        return none
    if found.ndim != 2 or 0 in found.shape:
        hint = "one row of features each"
        problems.append(Problem(name, "shape (rows, features), at least 1 × 1", f"shape {found.shape}", hint))
        return none
    if not np.isfinite(found).all():
        problems.append(Problem(name, "finite numbers", "NaN or infinite ones", "drop these rows"))
        return none
    return found
