"""Outliers: rows whose neighbors are much farther from them than from their own neighbors."""

from __future__ import annotations

import numpy as np

from dvspark.review.near import NearTable
from dvspark.schemas import Bools, Float64s

# Rows beyond the third quartile by so many times the distance of the quartiles, in logarithms, are outliers.
FAR_OUT = 3.0
# Neighbors that are all equal count as this share of the usual distance apart.
LEAST_SHARE = 1e-6


def outliers(near: NearTable) -> tuple[Float64s, Bools]:
    """Return each row's score, (n,) float64, and which rows are outliers, (n,).

    A score is the mean distance to the near rows, divided by the mean of theirs; 1 is usual.
    Source: of scores the simplified local outlier factor, Schubert et al., 2014, doi:10.1007/s10618-012-0300-z; of the
    limit the outer fence of Tukey, Exploratory Data Analysis, 1977.
    """
    if not near.n_near:
        return np.ones(len(near.rows)), np.zeros(len(near.rows), np.bool_)
    own = near.distances.mean(axis=1)
    # All rows tell what is usual; but where most near rows are copies, those that have others.
    telling = own > 0.0
    if not telling.any() or float(np.median(own)) > 0.0:
        telling[:] = True
    usual = float(np.median(own[telling]))
    least = LEAST_SHARE * usual if usual > 0.0 else 1.0
    scores: Float64s = np.maximum(own, least) / np.maximum(own[near.rows].mean(axis=1), least)
    logs = np.log(scores)
    first, third = np.quantile(logs[telling], [0.25, 0.75])
    return scores, logs > third + FAR_OUT * (third - first) + 1e-12
