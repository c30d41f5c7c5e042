"""Read: table references become rows of both sides, or problems; also reads the run that is to change."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvspark.errors import Problem
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.run.change.change import Parent, without_known
from dvspark.run.change.parent import read_parent
from dvspark.run.request import Change, RowRules
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows, canonical_rows
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.session import Session

RowsOrProblems = Rows | list[Problem]


@dataclass(frozen=True)
class Tables:
    """Rows of both sides, or their problems; ``validation`` None is self-validation.

    ``parent`` is the run to which the validation rows are added, or from which they are taken. ``known`` has further
    rows, which the parent has already, as `REJECTED`.
    """

    train: RowsOrProblems
    validation: RowsOrProblems | None
    parent: Parent | None = None
    known: DataFrame | None = None


def read_tables(
    train: TableReference,
    validation: TableReference | None,
    rules: RowRules,
    options: ValueOptions,
    change: Change | None,
    session: Session,
    storage: Storage,
    stages: Stages,
    arrived: DataFrame | None = None,
) -> Tables:
    """Return the rows of both tables; ``arrived`` are validation rows in place of those of the table.

    Raises: ConfigError if the run that is to change cannot change.
    """
    target = options.target
    with stages.stage("read"):
        of_train = read_rows(session, "train", train, target)
        if isinstance(of_train, list) and rules.to_owners:
            of_train = [_with_way_out(problem) for problem in of_train]
        rows: RowsOrProblems | None = None
        if validation is not None and arrived is None:
            rows = read_rows(session, "validation", validation, target)
        elif validation is not None and arrived is not None:
            rows = canonical_rows("validation", arrived, validation, target)
        known, parent = None, None if change is None else read_parent(change, options, session, storage)
        if parent is not None and rules.on_bad_row == "reject" and isinstance(rows, Rows):
            rows, known = without_known(parent, rows)
    return Tables(of_train, rows, parent, known)


def _with_way_out(problem: Problem) -> Problem:
    """Return the problem of a missing owner, with what else can be done, since values should go to owners."""
    if "(owner)" not in problem.expected:
        return problem
    hint = f"{problem.hint}. Each owner gets its own values; publish_all_values: true puts all in one table."
    return dataclasses.replace(problem, hint=hint)
