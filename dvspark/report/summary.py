"""A run in one frozen object: everything that the report shows, already computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dvspark.errors import InputError, Problem
from dvspark.report.against import Comparison
from dvspark.report.browse import Browsed, browsed
from dvspark.report.card import RunCard, run_card
from dvspark.report.classes import ClassLine, class_lines
from dvspark.report.decisions import Decisions, decisions_of
from dvspark.report.distribution import Curve, Histogram, curve, histogram
from dvspark.report.rows import RowLine, listed_rows
from dvspark.report.scale import Scale, scale_of
from dvspark.report.shown import Shown
from dvspark.report.tasks import Tasks, tasks_of
from dvspark.schemas.finding import VERDICTS, Verdict, worst_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

N_CLASSES_SHOWN = 60

VALUES_COLUMNS = ("id", "value", "rank")
NEIGHBORS_COLUMNS = ("train_id", "position", "validation_id", "validation_label")


@dataclass(frozen=True)
class FindingLine:
    """The result of one check of the audit: what it measured, and what it allows."""

    name: str
    verdict: Verdict
    measured: float | None
    allowed: float | None
    meaning: str


@dataclass(frozen=True)
class Numbers:
    """All values in eight numbers. Numbers after ``n_not_finite`` leave out rows that are not finite."""

    n_rows: int
    n_not_finite: int
    n_below_zero: int
    total: float
    mean: float
    median: float
    lowest: float
    highest: float

    @property
    def share_below_zero(self) -> float:
        """Return the share of the rows whose value is negative, in [0, 1]."""
        return self.n_below_zero / self.n_rows


@dataclass(frozen=True)
class Summary:
    """Everything that one report shows; ``histogram`` and ``curve`` are None if no value is finite.

    ``decisions`` are None without a review, ``comparison`` without another run, ``tasks`` without tasks.
    """

    card: RunCard
    verdict: Verdict | Literal["none"]
    findings: tuple[FindingLine, ...]
    numbers: Numbers
    histogram: Histogram | None
    curve: Curve | None
    classes: tuple[ClassLine, ...]
    n_classes_hidden: int
    owners: tuple[ClassLine, ...]
    n_owners_hidden: int
    tasks: Tasks | None
    scale: Scale
    browsed: Browsed
    decisions: Decisions | None
    comparison: Comparison | None
    lowest: tuple[RowLine, ...]
    highest: tuple[RowLine, ...]


def summarize(
    values: pa.Table,
    run: Mapping[str, Any],
    findings: Iterable[Mapping[str, Any]],
    neighbors: pa.Table,
    *,
    review: pa.Table | None = None,
    shown: Shown | None = None,
    comparison: Comparison | None = None,
    by_task: pa.Table | None = None,
) -> Summary:
    """Return what the report of one run shows.

    - ``values`` (n rows): id, value float64, standard_error float64, rank int64, label, maybe owner.
    - ``run``: the run record; keys that it lacks are left out.
    - ``findings``: name, verdict (pass, warn, fail), measured, allowed, meaning.
    - ``neighbors`` of the rows of ``positions_with_neighbors``, or empty: train_id, position, validation_id,
      validation_label, distance.
    - ``review``: one row for each row of ``values``, in any order, with the columns of the review table.
    - ``by_task``: the values by task of the same rows, for a run that has tasks.
    - ``shown``: what a person recognizes rows by, for the rows of ``browsed_ids``.
    Cost: O(n log n) in time, a few arrays of n float64 in memory.
    Raises: InputError if a column is missing or there are no rows.
    """
    _check_columns(values, neighbors)
    if "label" in values.column_names and values["label"].null_count == len(values):
        values = values.drop_columns(["label"])  # owners have none
    numbers_of = values["value"].to_numpy().astype(np.float64)
    finite = np.isfinite(numbers_of)
    classes: tuple[ClassLine, ...] = ()
    if "label" in values.column_names:
        labels = values["label"] if finite.all() else values["label"].filter(pa.array(finite))
        classes = class_lines(labels, numbers_of[finite])
    shown_classes = classes[:N_CLASSES_SHOWN]
    owners = class_lines(values["owner"].filter(pa.array(finite)), numbers_of[finite]) if _is_owned(values) else ()
    numbers = _numbers(numbers_of, numbers_of[finite])
    scale = scale_of(numbers.lowest, numbers.highest)
    lowest, highest = listed_rows(values, neighbors)
    checked = tuple(_finding(finding) for finding in findings)
    return Summary(
        card=run_card(run),
        verdict=worst_verdict(finding.verdict for finding in checked) if checked else "none",
        findings=checked,
        numbers=numbers,
        histogram=histogram(numbers_of[finite]) if finite.any() else None,
        curve=curve(numbers_of[finite]) if finite.any() else None,
        classes=shown_classes,
        n_classes_hidden=max(0, len(classes) - N_CLASSES_SHOWN),
        owners=owners[:N_CLASSES_SHOWN],
        n_owners_hidden=max(0, len(owners) - N_CLASSES_SHOWN),
        tasks=None if by_task is None else tasks_of(by_task, run.get("tasks", [])),
        scale=scale,
        browsed=browsed(values, neighbors, review, shown, scale, [line.label for line in shown_classes]),
        decisions=None if review is None else decisions_of(review),
        comparison=comparison,
        lowest=lowest,
        highest=highest,
    )


def _is_owned(values: pa.Table) -> bool:
    return "owner" in values.column_names and not pa.types.is_null(values["owner"].type)


def _check_columns(values: pa.Table, neighbors: pa.Table) -> None:
    problems = []
    for name, table, columns in (
        ("values", values, VALUES_COLUMNS),
        ("neighbors", neighbors, NEIGHBORS_COLUMNS if neighbors.num_rows else ()),
    ):
        missing = [column for column in columns if column not in table.column_names]
        if missing:
            expected = f"columns {', '.join(columns)}"
            problems.append(Problem(f"report: {name}", expected, f"no {', '.join(missing)}"))
    if not values.num_rows:
        problems.append(Problem("report: values", "at least one row", "none"))
    if problems:
        raise InputError(problems)


def _numbers(values: npt.NDArray[np.float64], finite: npt.NDArray[np.float64]) -> Numbers:
    known = finite if len(finite) else np.array([np.nan])
    return Numbers(
        n_rows=len(values),
        n_not_finite=len(values) - len(finite),
        n_below_zero=int((finite < 0).sum()),
        total=float(known.sum()),
        mean=float(known.mean()),
        median=float(np.median(known)),
        lowest=float(known.min()),
        highest=float(known.max()),
    )


def _finding(finding: Mapping[str, Any]) -> FindingLine:
    verdict = finding.get("verdict")
    return FindingLine(
        name=str(finding.get("name", "")),
        # A verdict this report does not know must never be shown as passed.
        verdict=verdict if verdict in VERDICTS else "fail",
        measured=finding.get("measured"),
        allowed=finding.get("allowed"),
        meaning=str(finding.get("meaning", "")),
    )
