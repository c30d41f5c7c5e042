"""Outliers: rows whose neighbors are much farther from them than from their own neighbors."""

from __future__ import annotations

import numpy as np

from dvspark.review.near import NearTable
from dvspark.schemas import Bools, Float64s

# Rows beyond the third quartile by so many times the distance of the quartiles, in logarithms, are outliers.
FAR_OUT = 3.0
# Neighbors that are all equal count as this share of the usual distance apart.
LEAST_SHARE = 1e-6


def outlier_scores(near: NearTable) -> Float64s:
    """Return each row's mean distance to its near rows, divided by the mean of theirs, (n,) float64; 1 is usual.

    Source: the simplified local outlier factor, Schubert et al., 2014, doi:10.1007/s10618-012-0300-z.
    """
    if not near.n_near:
        return np.ones(len(near.rows))
    own = near.distances.mean(axis=1)
    usual = float(np.median(own[_telling(own)]))
    least = LEAST_SHARE * usual if usual > 0.0 else 1.0
    scores: Float64s = np.maximum(own, least) / np.maximum(own[near.rows].mean(axis=1), least)
    return scores


def outliers(near: NearTable, scores: Float64s) -> Bools:
    """Return which rows are outliers. Source: the outer fence of Tukey, Exploratory Data Analysis, 1977."""
    logs = np.log(scores)
    telling = _telling(near.distances.mean(axis=1)) if near.n_near else np.ones(len(logs), np.bool_)
    first, third = np.quantile(logs[telling], [0.25, 0.75])
    found: Bools = logs > third + FAR_OUT * (third - first) + 1e-12
    return found


def _telling(own: Float64s) -> Bools:
    """Return the rows that tell what distances are usual: all, but where most near rows are copies those with others.

    ``own`` (n,): mean distances of near rows.
    """
    apart: Bools = own > 0.0
    return apart if apart.any() and float(np.median(own)) == 0.0 else np.ones(len(own), np.bool_)
