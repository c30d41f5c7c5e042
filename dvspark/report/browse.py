"""Browse: the rows that a person can search, sort and decide on, suspects first, as columns for the page's script."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.report.class_names import ClassNames, class_names
from dvspark.report.labels import are_classes, label_set
from dvspark.report.rows import differs, listed_positions, lowest_positions, neighbors_by_row
from dvspark.report.scale import Scale
from dvspark.report.shown import Shown
from dvspark.report.text import clip

# 5,000 rows with labels, reasons and a line of text each are about 1.5 MB of the page, and at most 3 MB.
N_BROWSED = 5_000
# Of so many of them it also has the nearest validation rows.
N_NEAR = 100
# Ids up to here go whole into the page and out of it again; a longer one can be seen, but not decided on.
LONGEST_ID = 1_000
KEEP = "keep"
# Review columns whose text the page shows, by the longest text it shows.
TEXTS = {"suggested_label": 80, "decision": 20, "reason": 160, "duplicate_of": 80, "leaked_from": 80}
NUMBERS = ("label_score", "suggested_score", "duplicate_distance", "outlier_score")
# A score in [0, 1], or a distance, to so many digits.
SCORE_DIGITS = 4


@dataclass(frozen=True)
class Browsed:
    """The rows of the page: how many there are, how many the table has, and their columns by name.

    A column of texts is a list of distinct texts, and for each row the place of its text in that list. The columns:
    rank, id, id_text (the id as shown), value and standard_error (multiples of the unit), owner, the columns of a
    review, ``shown`` (kind and content), and ``near``: for a row the validation rows nearest to it. Labels that are
    classes are codes of ``classes``: columns class, suggested_class, and at the end of each near row. Targets of a
    regression are texts, in the column label.
    """

    n_rows: int
    n_table: int
    columns: dict[str, Any]
    classes: ClassNames

    @property
    def has_labels(self) -> bool:
        """Return whether rows have labels; owners have none."""
        return "class" in self.columns or "label" in self.columns


def browsed(
    values: pa.Table,
    neighbors: pa.Table,
    review: pa.Table | None,
    shown: Shown | None,
    scale: Scale,
    told: Sequence[Any] = (),
) -> Browsed:
    """Return at most 5,000 rows: those on which a review decided anything but keep, then the lowest.

    ``values``, ``neighbors`` as for `summarize`; ``review``: one row for each row of values, in any order; ``told``:
    labels that the page shows elsewhere, which get names as classes.
    Cost: O(n log n) in time; the page's rows in memory beside two int64 for each row of the table.
    """
    places, of_review = _places(values, review)
    picked = values.take(pa.array(places))
    of_rows = None if review is None else review.take(pa.array(of_review))
    ids = picked["id"].to_pylist()
    columns: dict[str, Any] = {
        "rank": picked["rank"].to_pylist(),
        "id": [_exported(each) for each in ids],
        "id_text": [clip(each, LONGEST_ID).shown for each in ids],
        "value": _multiples(picked["value"], scale),
    }
    if "standard_error" in picked.column_names:
        columns["standard_error"] = _multiples(picked["standard_error"], scale)
    if "owner" in picked.column_names:
        columns["owner"] = _coded(picked["owner"].to_pylist(), 80)
    if of_rows is not None:
        for name in (name for name in TEXTS if name in of_rows.column_names):
            columns[name] = _coded(of_rows[name].to_pylist(), TEXTS[name])
        for name in (name for name in NUMBERS if name in of_rows.column_names):
            columns[name] = [_rounded(number) for number in of_rows[name].to_pylist()]
    near = neighbors_by_row(neighbors, ids)
    classes = _add_labels(columns, picked, of_rows, near, told)
    if shown is not None:
        columns["shown"] = shown.of(ids)
    return Browsed(len(ids), len(values), columns, classes)


def _add_labels(
    columns: dict[str, Any],
    picked: pa.Table,
    of_rows: pa.Table | None,
    near: dict[Hashable, list[dict[str, Any]]],
    told: Sequence[Any],
) -> ClassNames:
    """Add the columns that have labels, and return the classes; there are none where labels are numbers to predict."""
    has_labels = "label" in picked.column_names
    labels = picked["label"].to_pylist() if has_labels else [None] * len(picked)
    suggested = of_rows["suggested_label"].to_pylist() if "suggested_label" in columns and of_rows is not None else []
    is_target = has_labels and not are_classes(picked["label"].type)
    near_labels = [] if is_target else [line["validation_label"] for lines in near.values() for line in lines]
    others = [] if is_target else [*suggested, *near_labels, *told]
    classes = class_names([] if is_target else labels, others)
    if is_target:
        columns["label"] = _coded(labels, 80)
    elif has_labels:
        columns["class"] = [classes.of(label) for label in labels]
    if suggested:
        pairs = zip(suggested, labels, strict=True)
        columns["is_other"] = [int(label_set(one) not in (frozenset(), label_set(own))) for one, own in pairs]
        if not is_target:
            columns["suggested_class"] = [classes.of(label) for label in suggested]
    if near:
        ids = picked["id"].to_pylist()
        known = None if is_target else classes
        columns["near"] = {at: _near(near[ids[at]], labels[at], known) for at in range(len(ids)) if ids[at] in near}
    return classes


def _places(values: pa.Table, review: pa.Table | None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the places of the browsed rows in the values, and in the review."""
    if review is None:
        return lowest_positions(values, N_BROWSED), np.empty(0, np.int64)
    n, rank = len(values), values["rank"].to_numpy()
    of_value = pc.index_in(values["id"], value_set=review["id"].combine_chunks()).to_numpy(zero_copy_only=False)
    at = of_value.astype(np.int64)
    decided = pc.not_equal(review["decision"], KEEP).to_numpy(zero_copy_only=False)[at]
    score = review["label_score"].to_numpy().astype(np.float64)[at]
    # Rows to decide on first, the most suspicious of them first; a row without a score after those with one.
    order = np.lexsort((n - rank, np.where(np.isnan(score), np.inf, score), ~decided))[:N_BROWSED]
    return order, at[order]


def positions_with_neighbors(values: pa.Table, review: pa.Table | None = None) -> np.ndarray[Any, Any]:
    """Return the positions of the rows whose nearest validation rows the page shows, ascending: 150 at most.

    They are the first 100 of the page's rows, and those with the 25 lowest and highest values. Cost: O(n log n).
    """
    lowest, highest = listed_positions(values)
    return np.unique(np.concatenate([_places(values, review)[0][:N_NEAR], lowest, highest]))


def browsed_ids(values: pa.Table, review: pa.Table | None) -> pa.ChunkedArray:
    """Return the ids of the rows that the page lists, in its order. Cost: O(n log n)."""
    return values["id"].take(pa.array(_places(values, review)[0]))


def _multiples(column: pa.ChunkedArray, scale: Scale) -> list[float | None]:
    numbers = column.to_numpy().astype(np.float64)
    return [round(scale.multiple(number), scale.decimals + 2) if np.isfinite(number) else None for number in numbers]


def _rounded(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else float(f"{number:.{SCORE_DIGITS}g}")


def _coded(texts: list[Any], longest: int) -> dict[str, list[Any]]:
    """Return the distinct texts, in the order of their first row, and each row's place among them; -1 for none."""
    places: dict[str, int] = {}
    codes = []
    for text in texts:
        is_none = text is None or (isinstance(text, list | tuple) and not len(text))
        codes.append(-1 if is_none else places.setdefault(clip(text, longest).shown, len(places)))
    return {"texts": [*places], "codes": codes}


def _exported(each: Any) -> str | int | None:
    """Return an id as a CSV gives it back; None for one that a page cannot give back."""
    if isinstance(each, int):
        # Whole numbers that a script can hold; longer ones as text, which a CSV does not tell apart.
        return each if abs(each) < 2**53 else str(each)
    return each if isinstance(each, str) and len(each) <= LONGEST_ID else None


def _near(lines: list[dict[str, Any]], label: Any, classes: ClassNames | None) -> list[list[Any]]:
    """Return id, label or its class, distance and whether the labels differ, for each near validation row."""
    return [
        [
            clip(line["validation_id"], 40).shown,
            classes.of(line["validation_label"]) if classes else clip(line["validation_label"]).shown,
            _rounded(line.get("distance")),
            differs(label, line["validation_label"]),
        ]
        for line in lines
    ]
