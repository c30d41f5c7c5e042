"""Review: one decision a training row (keep, relabel, drop, check) and what it rests on.

    rows ──near──▶ nearest other rows, nearest validation rows
      │               │
      │               ├──votes──┐
      └──heads────────┼─────────┴──▶ posterior ──judged──▶ label_score, label_issue, suggested_label
                      ├──copies───────────────────────────▶ duplicate_of, leaked_from
                      └──outliers─────────────────────────▶ outlier_score
                                                            │
                                        decisions ◀─────────┘   first rule that fits
                                        reasons                 a sentence each

`review_rows` joins them for rows in id order, wherever these were read; `arrays` reads arrays and finds the
neighbors in this process. Nothing is ever N × N: of each row, its k nearest rows are kept.
"""

from __future__ import annotations

from dvspark.kernels.gradients.softmax_head import MOST_NUMBERS
from dvspark.review.arrays import review_arrays
from dvspark.review.near import near_bytes
from dvspark.review.result import ReviewResult
from dvspark.review.sets import duplicate_sets, values_of_copies

# Bytes of a label that a row may have, in `votes` and `posterior`.
CHOICE_BYTES = 150
# Bytes of a row in the review table and on the way to it, with a usual label, id and reason.
ROW_BYTES = 600

__all__ = ["ReviewResult", "duplicate_sets", "memory_bytes", "review_arrays", "values_of_copies"]


def memory_bytes(n_train: int, n_validation: int, n_features: int, k: int) -> int:
    """Return a bound on the memory of a review beside the inputs and the values' own, in bytes.

    Near rows; up to 2 k + 3 labels of a row, if validation rows vote, else k + 3; the table; a head and its rows.
    """
    near = near_bytes(n_train, n_train, n_features, k)
    near += near_bytes(n_train, n_validation, n_features, k) if n_validation else 0
    n_choices = (k * (2 if n_validation else 1) + 3) * n_train
    return near + CHOICE_BYTES * n_choices + ROW_BYTES * n_train + 5 * 8 * MOST_NUMBERS
