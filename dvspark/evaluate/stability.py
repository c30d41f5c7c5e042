"""Stability: do rows rank alike in another run, with another k, by another method, by other validation rows?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.evaluate.labeled import LabeledRows, require_same_features
from dvspark.evaluate.measures import band, rank_correlation
from dvspark.evaluate.removal import halves
from dvspark.methods import METHODS
from dvspark.schemas import Float64s

QUESTION = "Do rows rank alike in another run, with another k, by another method, by other validation rows?"
KS = (1, 5, 10, 20, 50)

T = TypeVar("T")


def stability(
    train: LabeledRows,
    validation: LabeledRows,
    contenders: Sequence[Contender],
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    ks: Sequence[int] = KS,
) -> Evaluation:
    """Return rank correlations (Spearman) between values of the same rows.

    - ``stability``: by contender, between two runs of the same (1 but for private methods, which draw noise anew),
      between values by two halves of the validation rows, with its band over ``seeds``, and between neighbors in
      ``ks`` (the lowest), for methods that have a k.
    - ``methods``: between each two contenders. ``ks``: between each two k of a contender.
    Cost: 2 + 2 seeds + ks valuations a contender.
    Raises: ConfigError, InputError as `dvspark.value_arrays` does.
    """
    require_same_features(train, validation=validation)
    values = {one.name: one.values(train, validation) for one in contenders}
    rows, of_ks = list[Row](), list[Row]()
    for one in contenders:
        by_k = _by_k(one, train, validation, ks)
        pairs = [
            {"method": one.name, "k": k, "other k": other, "correlation": found} for k, other, found in _pairs(by_k)
        ]
        steps = [rank_correlation(by_k[k], by_k[other]) for k, other in itertools.pairwise(by_k)]
        of_ks += pairs
        split = [halves_correlation(one, train, validation, seed) for seed in seeds]
        over = {} if None in split else band([found for found in split if found is not None])
        rows.append(
            {
                "method": one.name,
                "runs": rank_correlation(values[one.name], one.values(train, validation)),
                "validation halves": over.get("mean"),
                "sd": over.get("sd"),
                "lowest": over.get("lowest"),
                "neighboring k": float(np.min(steps)) if steps else None,  # NaN if one is: `min` may pass over it
            }
        )
    between = [{"method": one, "other method": two, "correlation": found} for one, two, found in _pairs(values)]
    settings = {"seeds": [*seeds], "ks": [*ks], "methods": {one.name: dict(one.options) for one in contenders}}
    return Evaluation(QUESTION, settings, {"stability": rows, "methods": between, "ks": of_ks})


def _by_k(one: Contender, train: LabeledRows, validation: LabeledRows, ks: Sequence[int]) -> dict[int, Float64s]:
    """Return the values with each k; nothing for a method that has none."""
    if not METHODS[one.method].knows("k"):
        return {}
    return {k: replace(one, options={**one.options, "k": k}).values(train, validation) for k in ks}


def _pairs(values: Mapping[T, Float64s]) -> Iterator[tuple[T, T, float]]:
    """Yield each two keys, in order, and the rank correlation of their values."""
    names = list(values)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            yield name, other, rank_correlation(values[name], values[other])


def halves_correlation(one: Contender, train: LabeledRows, validation: LabeledRows, seed: int) -> float | None:
    """Return the rank correlation of values by two halves of the validation rows, drawn by a seed.

    None for methods whose validation rows are the training rows. Cost: two valuations by half of the rows.
    """
    if METHODS[one.method].self_validates:
        return None
    first, second = halves(validation, seed)
    return rank_correlation(one.values(train, first), one.values(train, second))
