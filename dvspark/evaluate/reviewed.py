"""ReviewedRows: training rows after some of a review's decisions: rows dropped, labels replaced."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvspark.errors import DataWarning
from dvspark.evaluate.labeled import LabeledRows
from dvspark.review import review_arrays
from dvspark.schemas import Bools, Int64s


@dataclass(frozen=True)
class ReviewedRows:
    """``places`` (m,): the rows of ``train`` that are dropped or relabeled, the least probable label first.

    Of all n rows: ``is_dropped`` (n,), and ``labels`` (n,), the suggested one of a row that is relabeled, else its own.
    """

    train: LabeledRows
    places: Int64s
    is_dropped: Bools
    labels: Any

    def after(self, n_changes: int) -> LabeledRows:
        """Return the rows after the first changes, or after all if there are no more; in the order given."""
        done = self.places[:n_changes]
        labels = np.where(np.isin(np.arange(len(self.train)), done), self.labels, self.train.y)
        kept = np.setdiff1d(np.arange(len(self.train)), done[self.is_dropped[done]])
        return LabeledRows(self.train.x[kept], labels[kept])


def reviewed(train: LabeledRows, validation: LabeledRows, metric: str) -> ReviewedRows:
    """Return what `dvspark.review_arrays` decides of training rows; rows to keep and to check stay as they are.

    Cost and errors: those of `dvspark.review_arrays`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # spoiled rows are meant to look odd
        table = review_arrays(train.x, train.y, validation.x, validation.y, metric=metric).table
    decisions, scores, suggested = (table[name].to_numpy() for name in ("decision", "label_score", "suggested_label"))
    is_relabeled = decisions == "relabel"
    is_dropped = decisions == "drop"
    order = np.argsort(scores, kind="stable")
    labels = np.where(is_relabeled, np.asarray(suggested.tolist()), train.y)
    return ReviewedRows(train, order[(is_dropped | is_relabeled)[order]], is_dropped, labels)
