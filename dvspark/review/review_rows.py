"""Review: from rows, their neighbors and their values to one decision a row, in id order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.arguments import is_finite
from dvspark.errors import Problem, shown, written
from dvspark.methods import METHODS
from dvspark.review.copies import copy_radius, earlier_copies, leaks
from dvspark.review.decisions import Decided, Evidence, codes_at, decide, same_labels
from dvspark.review.judged import judge, judge_sets, label_array
from dvspark.review.near import NearTable
from dvspark.review.outliers import outliers
from dvspark.review.reasons import reasons
from dvspark.review.result import ReviewResult
from dvspark.review.votes import LogProbabilities, RowLabels, Voters
from dvspark.schemas import OWNED, Float64s, columns

# If a larger share of the labels is flagged, a person should look before the flags are followed.
MANY_FLAGGED = 0.25
# In place of a radius: it follows from the data.
AUTO = "auto"
# Metrics that are distances, and up to which distance rows are equal: rounding, under cosine.
EQUAL_WITHIN = {"euclidean": 0.0, "cosine": 1e-15}


@dataclass(frozen=True)
class Side:
    """The rows of a table in id order: ``ids`` and canonical ``labels``, (n,) each."""

    ids: pa.Array
    labels: pa.Array


@dataclass(frozen=True)
class ReviewRows:
    """What a review rests on; all of the training rows in id order.

    - ``near``: the nearest other training rows. Rows no farther apart than ``equal_within`` are equal.
    - ``near_validation``: the nearest validation rows, if there is a ``validation`` table.
    - ``values`` (n,) and ``standard_errors`` (n,), None if there are none.
    - ``head``: what softmax heads say of rows that they were not trained on, by code of `vocabulary`.
    """

    train: Side
    near: NearTable
    equal_within: float
    values: Float64s
    standard_errors: Float64s | None
    validation: Side | None = None
    near_validation: NearTable | None = None
    head: LogProbabilities | None = None


def review_problems(method: str, metric: str, parent: str | None) -> list[Problem]:
    """Return why a run cannot be reviewed."""
    problems, declared = [], METHODS.get(method)
    fits = declared is None or (declared.target == "label" and declared.players == "rows" and not declared.is_private)
    if not fits or (declared is not None and OWNED.name in declared.asks({})):
        hint = "knn_shapley does; or leave review out"
        problems.append(Problem("review", "a method that values rows by their labels", method, hint))
    if metric == "inner_product":
        hint = "take cosine for embeddings that are compared by inner product"
        problems.append(Problem("metric", "a distance, for a review: 'euclidean' or 'cosine'", written(metric), hint))
    if parent is not None:
        hint = "review all rows in a run of their own"
        problems.append(Problem("review", "a run of its own", f"a change of run {parent}", hint))
    return problems


def radius_problems(radius: Any) -> list[Problem]:
    """Return what is wrong with the distance up to which rows are nearly the same."""
    if radius == AUTO or (is_finite(radius) and radius >= 0):
        return []
    hint = "in the unit of the metric; 0 finds equal rows only"
    return [Problem("duplicate_radius", "'auto' or a number from 0", written(radius), hint)]


def vocabulary(train: pa.Array, validation: pa.Array | None) -> pa.Array:
    """Return the labels of both tables, ascending; codes are places in it."""
    words = [columns.label_vocabulary(train)]
    words += [] if validation is None else [columns.label_vocabulary(validation)]
    distinct = pc.unique(pa.concat_arrays(words))
    return distinct.take(pc.sort_indices(distinct))


def review_rows(rows: ReviewRows, duplicate_radius: float | str) -> ReviewResult:
    """Return the review, in id order; ``duplicate_radius`` "auto": it follows from the data.

    Cost: O(n m log m) for m near rows, besides what the rows rest on; `memory_bytes` in `dvspark.review`.
    """
    words = vocabulary(rows.train.labels, None if rows.validation is None else rows.validation.labels)
    labels = row_labels(rows.train.labels, words)
    voters = [Voters(rows.near, labels)] if rows.near.n_near else []
    if rows.validation is not None and rows.near_validation is not None:
        voters.append(Voters(rows.near_validation, row_labels(rows.validation.labels, words)))
    several = columns.is_multi_label(rows.train.labels)
    if not voters:  # a single row, with nothing to be held against
        voters = [Voters(NearTable(np.zeros((labels.n_rows, 0), np.int32), np.zeros((labels.n_rows, 0))), labels)]
    judged = judge_sets(labels, voters, len(words)) if several else judge(labels, voters, len(words), rows.head)
    given = duplicate_radius
    radius = copy_radius(rows.near, rows.equal_within) if isinstance(given, str) else float(given)
    scores, are_outliers = outliers(rows.near)
    copies = earlier_copies(rows.near, rows.equal_within, radius)
    evidence = Evidence(
        labels,
        judged,
        copies,
        same_labels(labels, copies),
        leaks(rows.near_validation, labels.n_rows, max(radius, rows.equal_within)),
        are_outliers,
        len(words),
    )
    decided = decide(evidence)
    table = _table(rows, evidence, decided, scores, words)
    return ReviewResult(table, radius, judged.noise, tuple(_findings(rows, evidence, decided, words)))


def row_labels(labels: pa.Array, words: pa.Array) -> RowLabels:
    """Return labels as codes of the vocabulary."""
    return RowLabels.of(columns.encode_labels(labels, words))


def _table(rows: ReviewRows, evidence: Evidence, decided: Decided, scores: Float64s, words: pa.Array) -> pa.Table:
    """Return the review table in id order, with `LABEL_CHANGES` if rows have several labels."""
    judged, kind = evidence.judged, rows.train.labels.type
    validation_ids = pa.array([], pa.int64()) if rows.validation is None else rows.validation.ids
    told = reasons(evidence, decided, words.to_pylist(), rows.train.ids.to_pylist(), validation_ids.to_pylist())
    missing = pa.nulls(len(scores), pa.float64())
    found = {
        "id": rows.train.ids,
        "label": rows.train.labels,
        "value": pa.array(rows.values),
        "standard_error": missing if rows.standard_errors is None else pa.array(rows.standard_errors),
        "label_score": pa.array(judged.score),
        "label_issue": pa.array(judged.issue),
        "suggested_label": label_array(judged.suggested, words, kind),
        "suggested_score": pa.array(judged.suggested_score),
        "duplicate_of": _named(evidence.copies.of, rows.train.ids),
        "duplicate_distance": pa.array(evidence.copies.distances, from_pandas=True),
        "leaked_from": _named(evidence.leaks.of, validation_ids),
        "outlier_score": pa.array(scores),
        "decision": pa.array(decided.words.tolist(), pa.string()),
        "reason": pa.array(told, pa.string()),
    }
    if columns.is_multi_label(rows.train.labels):
        found["labels_to_add"] = label_array(_beyond(judged.suggested, evidence.labels), words, kind)
        found["labels_to_remove"] = label_array(_beyond(evidence.labels, judged.suggested), words, kind)
    return pa.table(found)


def _named(places: np.ndarray[tuple[int], np.dtype[np.int64]], ids: pa.Array) -> pa.Array:
    """Return the ids at these places; null where the place is -1."""
    return ids.take(pa.array(places, mask=places < 0))


def _beyond(some: RowLabels, others: RowLabels) -> RowLabels:
    """Return the labels of each row that the row does not have among the others."""
    return RowLabels.of([np.setdiff1d(codes_at(some, row), codes_at(others, row)) for row in range(some.n_rows)])


def _findings(rows: ReviewRows, evidence: Evidence, decided: Decided, words: pa.Array) -> Iterator[Problem]:
    """Yield what to look at before rows are dropped."""
    labels = evidence.labels
    below = np.repeat(rows.values < 0, np.diff(labels.offsets))
    n_rows = np.bincount(labels.codes, minlength=len(words))
    n_below = np.bincount(labels.codes, weights=below, minlength=len(words)).astype(int)
    for code in np.flatnonzero(2 * n_below > n_rows).tolist():
        label = shown([words[code].as_py()])
        got = f"{n_below[code]:,} of {n_rows[code]:,} below 0"
        hint = "do not drop rows of this class by their value: look at them, and for more rows like them"
        yield Problem(f"class {label}", "values above 0 for most rows", got, hint)
    n_flagged = int(np.count_nonzero(evidence.judged.issue))
    if n_flagged > MANY_FLAGGED * labels.n_rows:
        hint = "look at some of them first: labels are very noisy, or embeddings do not tell these classes apart"
        got = f"{n_flagged:,} of {labels.n_rows:,} flagged"
        yield Problem("label_issue", f"at most {MANY_FLAGGED:.0%} of the labels flagged", got, hint)
    for row, code in zip(decided.saved.tolist(), decided.saved_codes.tolist(), strict=True):
        label = shown([words[code].as_py()])
        hint = "look at the row: it was to be dropped or relabeled, and nothing of its class would be left"
        yield Problem(f"class {label}", "rows that stay", f"one, {shown([rows.train.ids[row].as_py()])}", hint)
