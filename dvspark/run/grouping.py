"""Grouping: validation rows are told apart by task, weight and label, where values should tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from dvspark.engine.groups import LABEL, TASK, WEIGHT, Groups
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.local.rows import LocalRows
from dvspark.methods.options import ValueOptions
from dvspark.tables.sources.keys import content_counts
from dvspark.tables.sources.rows import Rows
from dvspark.tables.table_checks import ValidatedInputs

if TYPE_CHECKING:
    from dvspark.local.rows import Frame

# Each task takes memory of the driver, see `driver_bytes`.
MOST_TASKS = 1_000
# Two sums of 24 bytes a value, and the labels' rows; of each task its totals, and a table of values as it is written.
SUM_ROW_BYTES, TASK_ROW_BYTES = 64, 200
# A group has chunks of its own, so each sends 16 bytes a training row at least. Rows of small groups share no products.
FEW_ROWS = 16


def grouped(inputs: ValidatedInputs, options: ValueOptions, chunk_rows: int) -> tuple[ValidatedInputs, Groups | None]:
    """Return the inputs without validation rows of weight 0, and the groups of the others; None if all count alike.

    Cost: a count of the rows by task, weight and label, if they are told apart.
    Raises: InputError for weights that are all 0, or too many tasks; ConfigError for rows with several labels.
    """
    rows = inputs.validation
    names = group_columns(rows, options)
    if not names:
        return inputs, None
    if options.by_class and (rows.is_multi_label or inputs.train.is_multi_label):
        hint = "leave by_class out: a row with several labels has no class of its own"
        raise ConfigError(Problem("by_class", "one label in each row", "arrays of labels", hint))
    groups = Groups.of(content_counts(rows, names), chunk_rows)
    if problems := _problems(rows, groups):
        raise InputError(problems)
    warnings = inputs.warnings + tuple(_warnings(groups))
    if WEIGHT in names and groups.n_rows < inputs.validation_facts.n_rows:
        rows = rows.with_frame(_weighted_rows(rows.frame))
    return replace(inputs, validation=rows, warnings=warnings), groups


def group_columns(rows: Rows, options: ValueOptions) -> list[str]:
    """Return the columns by which validation rows are told apart."""
    names = [] if options.self_validation else [name for name in (TASK, WEIGHT) if name in rows.types]
    return names + [LABEL] * bool(options.by_class)


def expected_groups(rows: Rows, options: ValueOptions, chunk_rows: int) -> Groups | None:
    """Return the groups of validation rows that nobody has checked; None if all count alike, as far as that shows.

    Raises: InputError for weights that are all 0, or too many tasks.
    """
    names = group_columns(rows, options)
    if not names or (options.by_class and rows.is_multi_label):
        return None
    counted = content_counts(rows, names).drop_null()
    groups = Groups.of(counted, chunk_rows)
    if len(counted) and (problems := _problems(rows, groups)):
        raise InputError(problems)
    return groups if groups.members else None


def _problems(rows: Rows, groups: Groups) -> list[Problem]:
    if not groups.members:
        hint = "weights say how much a row counts; one above 0 at least"
        return [Problem(f"{rows.side} weights", "a weight above 0", "zeros in all rows", hint)]
    n_tasks = len(groups.n_rows_of_tasks())
    if n_tasks > MOST_TASKS:
        hint = "name the task by what is paid for, such as a buyer or a month, not by the row"
        return [Problem(f"{rows.side} tasks", f"at most {MOST_TASKS:,} tasks", f"{n_tasks:,}", hint)]
    return []


def _warnings(groups: Groups) -> list[Problem]:
    n_groups = len(groups.members)
    if n_groups < FEW_ROWS or groups.n_rows >= FEW_ROWS * n_groups:
        return []
    got = f"{n_groups:,} groups of {groups.n_rows / n_groups:.3g} rows in the mean"
    hint = "legal, but slow: only rows of one group share matrix products; round weights to few different ones"
    return [Problem("validation rows", f"groups of {FEW_ROWS} rows or more, by {', '.join(groups.columns)}", got, hint)]


def _weighted_rows(frame: Frame) -> Frame:
    """Return the rows of weight above 0: the others count nowhere, not even in samples."""
    if isinstance(frame, LocalRows):
        table = frame.table
        return LocalRows.of_table(frame.session, frame.types, table.filter(pc.greater(table[WEIGHT], 0.0)))
    return frame.where(f"{WEIGHT} > 0")


def driver_bytes(groups: Groups, n_train: int) -> int:
    """Return about how much memory of the driver groups take: for sums, and for a table of values of each task."""
    n_tasks = len(groups.n_rows_of_tasks()) if TASK in groups.columns else 0
    return n_train * (SUM_ROW_BYTES + TASK_ROW_BYTES * n_tasks)
