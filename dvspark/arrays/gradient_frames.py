"""Gradient frames: CHG-Shapley values of a DataFrame of gradients, in one game, one a class, or one an epoch."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from dvspark.arrays.array_columns import read_numbers
from dvspark.audit import checks
from dvspark.engine.replicated.gradient_sums import add_sums, games_of, sum_batches, value_batches
from dvspark.errors import InputError, Problem, close_matches, shown, written
from dvspark.kernels.formulas.chg_shapley import GradientGame
from dvspark.methods.options import ValueOptions
from dvspark.schemas import GRADIENT_SUMS, GRADIENT_VALUES, Float64s, Partial
from dvspark.tables.sources.gradients import gradient_rows, require_gradients
from dvspark.tables.sources.rows import Rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIRST = 5
# Values in the order of the epochs, so that their mean has the same bits each time.
MEAN = "aggregate(array_sort(every), 0D, (sum, one) -> sum + one.value) / size(every) AS value"


def frame_values(
    frame: DataFrame, columns: tuple[str, str, str | None, str | None], alpha: Any, epoch: str | None
) -> DataFrame:
    """Return id, maybe class, and value of rows by their columns id, gradient, class, loss: see `functions.chg_values`.

    Raises: what `functions.chg_values` raises.
    """
    target, by = _target(alpha), columns[2]
    if epoch is None:
        values = _game_values(gradient_rows(frame, *columns), target)
        return values if by else values.drop("by")
    found = [
        _game_values(gradient_rows(rows, *columns), target).selectExpr("*", f"struct({place} AS epoch, value) AS one")
        for place, rows in enumerate(_epochs(frame, epoch))
    ]
    if by:
        _require_one_class(frame, columns[0], by)
    known = ["id", "by"] if by else ["id"]
    together = reduce(lambda some, others: some.unionByName(others), found)
    every = together.groupBy(*known).agg({"one": "collect_list"}).toDF(*known, "every")
    return every.selectExpr(*known, MEAN)


def _game_values(rows: Rows, target: Float64s | None) -> DataFrame:
    """Return id, class and value of the rows, which are a game, or one for each class."""
    n_numbers = require_gradients(rows)
    if target is not None and target.shape != (n_numbers,):
        hint = "alpha is on the scale of the rows"
        raise InputError(Problem("alpha", f"shape ({n_numbers},)", f"shape {target.shape}", hint))
    types = {"id": rows.types["id"], "label": rows.types["label"]}
    told = rows.data_frame.mapInArrow(lambda batches: sum_batches(batches, n_numbers), GRADIENT_SUMS.ddl(**types))
    added = told.groupBy("by", "part", "level").applyInArrow(add_sums, GRADIENT_SUMS.ddl(**types)).toArrow()
    games = games_of(added, n_numbers, target)
    values = rows.data_frame.mapInArrow(lambda batches: value_batches(batches, games), GRADIENT_VALUES.ddl(**types))
    _require_sums(values, games)
    return values


def _epochs(gradients_df: DataFrame, epoch: str) -> list[DataFrame]:
    """Return the rows of each epoch, in ascending order of the epochs. Raises: InputError if there are none."""
    if epoch not in gradients_df.columns:
        hint = close_matches(epoch, gradients_df.columns)
        raise InputError(Problem("epoch", "a column of the table", written(epoch), hint))
    words = sorted(row[0] for row in gradients_df.select(epoch).dropna().distinct().collect())
    if not words or gradients_df.where(gradients_df[epoch].isNull()).head(1):
        hint = "each row tells the epoch in which it has this loss and gradient"
        raise InputError(Problem(f"gradients column {epoch!r}", "an epoch in each row", "none in some", hint))
    return [gradients_df.where(gradients_df[epoch] == word) for word in words]


def _require_one_class(frame: DataFrame, row_id: str, by: str) -> None:
    """Raise InputError for rows that are in one class in an epoch and in another in the next: a mean of two games."""
    pairs = frame.select(frame[row_id].alias("id"), frame[by].alias("by")).distinct()
    if first := pairs.groupBy("id").count().where("count > 1").orderBy("id").limit(FIRST).collect():
        got = f"several in some; the first: {shown([row['id'] for row in first])}"
        hint = "give a row the same class in each epoch"
        raise InputError(Problem(f"gradients column {by!r}", "one class a row over all epochs", got, hint))


def _target(alpha: Any) -> Float64s | None:
    """Return alpha as float64 numbers, None if none is given. Raises: InputError if alpha is not numeric."""
    problems: list[Problem] = []
    target = None if alpha is None else read_numbers("alpha", alpha, problems)
    if problems:
        raise InputError(problems)
    return target


def _require_sums(values: DataFrame, games: dict[Any, GradientGame]) -> None:
    """Raise AuditError unless the values of each game are finite and sum to its utility."""
    findings = []
    for row in values.groupBy("by").agg({"value": "sum"}).toDF("by", "total").collect():
        game = games[row["by"]]
        full = Partial(np.empty(0), np.empty(0), n_validation=1, utility=game.utility, size=game.size)
        findings.append(checks.check_efficiency(np.array([row["total"]]), full, "mean"))
    checks.require(findings, ValueOptions("chg_shapley"))
