"""Decisions: keep, relabel, drop or check, one for each training row, by rules of which the first that fits decides.

1. The row is a validation row, or nearly: drop.
2. It is a copy of an earlier row with the same labels: drop. So of equal rows the first by id stays.
3. Its label is probably wrong: relabel if another one is probable enough; drop if another one is more probable but
   not by enough; else check.
4. It is a copy of an earlier row with other labels: check.
5. It is an outlier: check.
6. Else: keep.

If this would leave a class without rows, the row of the class whose label is the most probable is to be checked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dvspark.review.copies import Copies
from dvspark.review.judged import Judged
from dvspark.review.votes import RowLabels
from dvspark.schemas import Bools, Int64s

# From this probability on, a suggested label replaces the one given.
RELABEL_FROM = 0.8


@dataclass(frozen=True)
class Evidence:
    """What is known of n training rows, in id order.

    ``same_labels`` (n,): whether a row has the labels of the row that it is a copy of. ``outlying`` (n,): outliers.
    ``n_codes``: number of labels.
    """

    labels: RowLabels
    judged: Judged
    copies: Copies
    same_labels: Bools
    leaks: Copies
    outlying: Bools
    n_codes: int


@dataclass(frozen=True)
class Decided:
    """One word of `schemas.reviewing.DECISIONS` for each row, (n,), and the rows that save a class.

    ``saved`` (m,) are their places, ascending, and ``saved_codes`` (m,) the classes: a row may save several.
    """

    words: npt.NDArray[np.str_]
    saved: Int64s
    saved_codes: Int64s


def decide(evidence: Evidence) -> Decided:
    """Return the decisions. Cost: a few passes over the rows, and one over the labels."""
    judged, is_copy = evidence.judged, evidence.copies.found
    another = judged.issue & judged.differs
    rules = [
        (evidence.leaks.found, "drop"),
        (is_copy & evidence.same_labels, "drop"),
        (another & (judged.suggested_score >= RELABEL_FROM), "relabel"),
        (another, "drop"),
        (judged.issue | is_copy | evidence.outlying, "check"),
    ]
    words = np.select([fits for fits, _ in rules], [word for _, word in rules], default="keep").astype("<U7")
    saved: list[tuple[int, int]] = []
    while pairs := _saving_rows(evidence, words):  # a row that stays may have been the last of another class
        words[[row for row, _ in pairs]] = "check"
        saved += pairs
    rows, codes = np.array(sorted(saved), np.int64).reshape(-1, 2).T
    return Decided(words, rows, codes)


def same_labels(labels: RowLabels, copies: Copies) -> Bools:
    """Return which rows have the labels of the row that they are a copy of, (n,); False for rows that are no copy."""
    found = np.zeros(labels.n_rows, np.bool_)
    for row in np.flatnonzero(copies.found).tolist():
        found[row] = np.array_equal(codes_at(labels, row), codes_at(labels, int(copies.of[row])))
    return found


def codes_at(labels: RowLabels, row: int) -> npt.NDArray[np.int32]:
    """Return the codes of a row's labels."""
    codes: npt.NDArray[np.int32] = labels.codes[labels.offsets[row] : labels.offsets[row + 1]]
    return codes


def _saving_rows(evidence: Evidence, words: npt.NDArray[np.str_]) -> list[tuple[int, int]]:
    """Return for each class that would have no row left the row whose label is the most probable, and the class."""
    before, after = evidence.labels, evidence.judged.suggested
    stays, moves = np.isin(words, ("keep", "check")), words == "relabel"
    left = np.bincount(before.codes[_of_rows(before, stays)], minlength=evidence.n_codes)
    left += np.bincount(after.codes[_of_rows(after, moves)], minlength=evidence.n_codes)
    empty = np.flatnonzero((left == 0) & (np.bincount(before.codes, minlength=evidence.n_codes) > 0))
    row_of = np.repeat(np.arange(before.n_rows), np.diff(before.offsets))
    found = []
    for code in empty.tolist():
        rows = row_of[before.codes == code]
        found.append((int(rows[np.argmax(evidence.judged.score[rows])]), code))
    return found


def _of_rows(labels: RowLabels, rows: Bools) -> Bools:
    """Return which of the labels in the list are those of such rows."""
    found: Bools = np.repeat(rows, np.diff(labels.offsets))
    return found
