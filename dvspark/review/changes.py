"""Changes: what a review, or a person who edited its decisions, does to rows of the training table."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dvspark.errors import InputError, Problem, shown
from dvspark.review.edited import edited_decisions
from dvspark.review.sets import duplicate_sets

LOG_COLUMNS = ("id", "decision", "label", "new_label", "by", "reason")
FIRST = 5


@dataclass(frozen=True)
class RowChange:
    """What becomes of a row: ``decision`` drop or relabel, then with ``new_label``; ``by`` the review or a file."""

    decision: str
    label: Any
    new_label: Any
    by: str
    reason: str


def changes_of(review: pa.Table, decisions: Path | None) -> dict[Any, RowChange]:
    """Return the rows that change, by id, in the order of the review; ``decisions``: a CSV with a person's own.

    Raises: InputError with everything that is wrong in the CSV.
    """
    edited = {} if decisions is None else edited_decisions(review, decisions)
    found: dict[Any, RowChange] = {}
    columns = ("id", "decision", "label", "suggested_label", "reason")
    for row in review.select(columns).to_pylist():
        decision, new_label, by, reason = row["decision"], row["suggested_label"], "review", row["reason"]
        if row["id"] in edited:
            decided, own = edited[row["id"]]
            if decided != decision or own is not None:
                by, reason = str(decisions), "decided by a person"
            decision, new_label = decided, new_label if own is None else own
        if decision == "drop" or (decision == "relabel" and new_label != row["label"]):
            new_label = new_label if decision == "relabel" else None
            found[row["id"]] = RowChange(decision, row["label"], new_label, by, reason)
    return found


def losses(review: pa.Table, changes: dict[Any, RowChange]) -> list[str]:
    """Return what is lost by the changes as sentences: classes without rows, and rows of which no copy stays.

    Raises: InputError where no row stays.
    """
    dropped = {row for row, change in changes.items() if change.decision == "drop"}
    rows = review.select(("id", "label")).to_pylist()
    if rows and len(dropped) == len(rows):
        raise InputError(Problem("decisions", "a row that stays", f"all {len(rows)} rows dropped", "keep some"))
    before, after = set[Any](), set[Any]()
    for row in rows:
        change = changes.get(row["id"])
        before |= names_in(row["label"])
        if row["id"] not in dropped:
            after |= names_in(row["label"] if change is None else change.new_label)
    sets = dict[Any, list[Any]]()
    for row, first in zip(rows, duplicate_sets(review).to_pylist(), strict=True):
        sets.setdefault(first, []).append(row["id"])
    lost = [first for first, members in sets.items() if len(members) > 1 and dropped.issuperset(members)]
    told = (
        (before - after, "class has no row any more", "classes have no row any more"),
        (after - before, "label is new: no row had it", "labels are new: no row had them"),
        (set(lost), "row is dropped with all its copies", "rows are dropped with all their copies"),
    )
    return [
        f"{len(some)} {of_one if len(some) == 1 else of_more}: {shown(sorted(some, key=str)[:FIRST])}"
        for some, of_one, of_more in told
        if some
    ]


def log_text(changes: dict[Any, RowChange]) -> str:
    """Return the log of all changes as CSV, a line a changed row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LOG_COLUMNS)
    for row, change in changes.items():
        new_label = "" if change.decision == "drop" else _text(change.new_label)
        writer.writerow([row, change.decision, _text(change.label), new_label, change.by, change.reason])
    return text.getvalue()


def names_in(label: Any) -> set[Any]:
    """Return a label, or several, as a set."""
    return set(label) if isinstance(label, list) else {label}


def _text(label: Any) -> str:
    return json.dumps(label, ensure_ascii=False) if isinstance(label, list) else str(label)
