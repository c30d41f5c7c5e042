"""Heads: three softmax heads, each trained on the rows of two folds, so that none judges a label it was trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dvspark.kernels.gradients.softmax_head import SoftmaxHead, drawn_rows, fit_head
from dvspark.kernels.one_thread import one_thread
from dvspark.review.votes import LogProbabilities
from dvspark.schemas import Floats, Int32s, Int64s

FOLDS = 3
SEED = 2019
# Heads with more weights than this, classes times features, are not trained: neighbors alone vote.
MOST_WEIGHTS = 2**22


# From places of rows to their embeddings, (n_places, n_features).
RowsAt = Callable[[Int64s], Floats]


def fold_heads(rows_at: RowsAt, n_features: int, codes: Int32s, n_codes: int, metric: str) -> LogProbabilities | None:
    """Return what the heads say of rows with classes ``codes`` (n,), in id order.

    Under cosine the heads see unit rows. None if there is nothing to learn or too much: fewer than two classes, fewer
    rows than folds, or more than MOST_WEIGHTS weights.
    Cost: three times that of `softmax_head.fit_head` on up to `drawn_rows`; rows are judged as they are asked for.
    """
    n = len(codes)
    if n_codes < 2 or n <= FOLDS or n_codes * (n_features + 1) > MOST_WEIGHTS:
        return None
    fold = np.random.default_rng(SEED).permutation(n) % FOLDS
    heads: list[SoftmaxHead] = []
    for own in range(FOLDS):
        others = np.flatnonzero(fold != own)
        drawn = others[drawn_rows(len(others), n_features, n_codes)]
        heads.append(fit_head(_seen(rows_at(drawn), metric), codes[drawn], n_codes))

    def log_probabilities(start: int, stop: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        found = np.empty((stop - start, n_codes))
        for own, head in enumerate(heads):
            rows = np.flatnonzero(fold[start:stop] == own)
            if not len(rows):
                continue
            with one_thread():
                found[rows] = head.log_probabilities(head.features(_seen(rows_at(start + rows), metric)))
        return found

    return log_probabilities


def _seen(x: Floats, metric: str) -> Floats:
    """Return the rows as a head sees them: as they are, or with length 1 under cosine."""
    if metric != "cosine":
        return x
    wide = np.asarray(x, np.float64)
    found: Floats = wide / np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return found
