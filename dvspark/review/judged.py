"""Judged: what the labels of rows are found to be, whether a row has one label or several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dvspark.review.posterior import posterior
from dvspark.review.votes import LogProbabilities, RowLabels, Voters, choices_of_pairs, choices_of_rows
from dvspark.schemas import Bools, Float64s, Int64s


@dataclass(frozen=True)
class Judged:
    """Of n rows, in id order.

    - ``score`` (n,): probability that the label is right; of several labels, that of the least probable.
    - ``issue`` (n,): whether the label is probably wrong. ``differs`` (n,): whether another one is suggested.
    - ``suggested`` (n rows): the most probable labels as codes; ``suggested_score`` (n,): their probability.
    - ``support`` (n,): how many of the ``n_asked`` nearest rows have the suggested label; -1 for rows with several
      labels.
    - ``noise``: the share of wrong labels among rows whose class is sure.
    """

    score: Float64s
    issue: Bools
    differs: Bools
    suggested: RowLabels
    suggested_score: Float64s
    support: Int64s
    n_asked: int
    noise: float


def judge(labels: RowLabels, voters: list[Voters], n_codes: int, head: LogProbabilities | None) -> Judged:
    """Return what speaks for the labels of rows with one label each. Cost: that of `posterior`."""
    choices = choices_of_rows(labels, voters, n_codes, head)
    found = posterior(choices, n_codes, max(1, n_codes - 1))
    return Judged(
        found.given,
        found.flagged,
        found.best_place != choices.given,
        RowLabels(np.arange(labels.n_rows + 1), choices.codes[found.best_place]),
        found.best,
        choices.votes[found.best_place].astype(np.int64),
        voters[0].near.n_near,
        found.noise.rate,
    )


def judge_sets(labels: RowLabels, voters: list[Voters], n_codes: int) -> Judged:
    """Return what speaks for the labels of rows that may have several. Cost: that of `posterior`.

    A label is suggested if the row has it, unless it is flagged and improbable; and if it is flagged as lacking. If
    none would be left, the row keeps its own: no table takes a row without labels.
    """
    choices, rows, codes = choices_of_pairs(labels, voters, n_codes)
    found = posterior(choices, 2 * n_codes, 1)
    n, given = labels.n_rows, choices.given_codes % 2 == 1
    differs = found.flagged & (found.best_place != choices.given)
    differs &= np.isin(rows, rows[given ^ differs])
    has = given ^ differs
    issue, other = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    issue[rows[found.flagged]] = True
    other[rows[differs]] = True
    return Judged(
        _least(found.given, rows, n),
        issue,
        other,
        RowLabels(np.searchsorted(rows[has], np.arange(n + 1)), codes[has]),
        _least(np.where(differs, found.best, found.given), rows, n),
        np.full(n, -1),
        voters[0].near.n_near,
        found.noise.rate,
    )


def _least(each: Float64s, rows: Int64s, n: int) -> Float64s:
    """Return the smallest of the numbers of each row; 1 for rows without any."""
    found = np.ones(n)
    np.minimum.at(found, rows, each)
    return found


def label_array(labels: RowLabels, words: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return labels as an Arrow array of the type that they were given in."""
    flat = words.take(pa.array(labels.codes))
    if not pa.types.is_list(kind):
        return flat.cast(kind)
    return pa.ListArray.from_arrays(pa.array(labels.offsets.astype(np.int32)), flat).cast(kind)
