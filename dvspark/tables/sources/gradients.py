"""Gradients as a table: a column of gradients beside ids, brought to fixed names, with all checks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dvspark.errors import InputError, Problem, shown
from dvspark.tables.passes import tally
from dvspark.tables.row_checks import DIMENSION, FACTS, RowChecks
from dvspark.tables.sources.keys import repeated_ids
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows, canonical_rows
from dvspark.tables.table_checks import by_aspect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SIDE = "gradients"
# Name of the column that takes the place of a class if all rows are one game.
ALL_ROWS_ALIKE = "(all rows)"


def gradient_rows(frame: DataFrame, id_column: str, gradient: str, by: str | None, loss: str | None = None) -> Rows:
    """Return the rows in `ROWS` format: gradients as embeddings, and as label the class of the row's game, else 0.

    Raises: InputError with everything that is wrong with the columns.
    """
    label = by or ALL_ROWS_ALIKE
    given = frame if by else frame.selectExpr("*", f"0L AS `{label}`")
    reference = TableReference.of_frame("gradients_df", {"id": id_column, "embedding": gradient, "label": label})
    reference = dataclasses.replace(reference, loss=loss)
    if dict(frame.dtypes).get(gradient) == "binary":  # gradients have any size, so it does not show their type
        reference = dataclasses.replace(reference, embedding_dtype="float32")
    rows = canonical_rows(SIDE, given, reference)
    if isinstance(rows, Rows) and rows.is_multi_label:
        got, hint = rows.types["label"], "a row is in one game: choose one class of each"
        rows = [Problem(f"{SIDE} column {label!r}", "a string or an integer", got, hint)]
    if isinstance(rows, list):
        raise InputError(rows)
    return rows


def require_gradients(rows: Rows) -> int:
    """Return how many numbers each gradient has.

    Cost: two passes, one of them over ids alone.
    Raises: InputError with everything that is wrong with the rows.
    """
    # Of numbers whose squares float32 holds, sums of squares are far from what exact sums can hold.
    tallies = tally(rows, RowChecks("euclidean", "default"))
    dimensions = by_aspect(one for one in tallies if one["aspect"] == DIMENSION)
    problems = list[Problem]()
    for aspect, (n_rows, ids) in by_aspect(one for one in tallies if one["aspect"] not in FACTS).items():
        said = aspect.replace("embedding", "gradient").replace("label", "class")
        got = f"{said} in {n_rows} rows; the first: {shown(ids)}"
        problems.append(Problem(f"{SIDE} rows", f"no row whose {said}", got, "drop or repair these rows"))
    if len(dimensions) > 1:
        got = "; ".join(f"{n} rows of {d}, the first: {shown(ids)}" for d, (n, ids) in dimensions.items())
        problems.append(Problem(f"{SIDE} rows", "gradients of one length", got, "take those of one layer"))
    n_twice, first = repeated_ids(rows)
    if n_twice:
        got = f"{n_twice} ids more than once; the first: {shown(first)}"
        problems.append(Problem(f"{SIDE} ids", "unique ids", got, "make ids unique: they name the values"))
    if not problems and not dimensions:
        problems.append(Problem(f"{SIDE} table {rows.reference}", "at least one row", "no rows", "check the filter"))
    if problems:
        raise InputError(problems)
    return int(next(iter(dimensions)))
