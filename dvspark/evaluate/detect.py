"""Detect: are spoiled rows the ones with the lowest values?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dvspark.errors import ConfigError, Problem
from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.evaluate.labeled import LabeledRows, require_same_features
from dvspark.evaluate.measures import SHARES, auroc, band, found_share, ideal_share, precision_at
from dvspark.evaluate.protocols import Protocol

QUESTION = "Are spoiled rows the ones with the lowest values?"


def detect(
    train: LabeledRows,
    validation: LabeledRows,
    contenders: Sequence[Contender],
    *,
    protocol: Protocol | None = None,
    seeds: Sequence[int] | None = None,
    shares: Sequence[float] = SHARES,
) -> Evaluation:
    """Return how well each contender finds rows that a protocol spoiled, over the protocol's trials of these seeds.

    - ``detection``: by contender, mean, standard deviation, lowest and highest AUROC over seeds; the precision among as
      many lowest values as rows are spoiled; the precision of chance; seconds a valuation.
    - ``curves``: the share of spoiled rows that is found when these ``shares`` of rows are looked at, lowest first,
      with its band, beside chance and ideal.
    - ``trials``: AUROC and precision of each seed.
    Cost: one valuation a seed and contender.
    Raises: ConfigError, InputError as `Protocol.trial` and `dvspark.value_arrays` do.
    """
    require_same_features(train, validation=validation)
    protocol = protocol or Protocol()
    trials, found = list[Row](), dict[str, list[Any]]()
    seconds, share_spoiled = dict[str, list[float]](), 0.0
    for seed in protocol.seeds(5) if seeds is None else seeds:
        trial = protocol.trial(train, validation, seed)
        n_spoiled, share_spoiled = int(trial.is_spoiled.sum()), float(trial.is_spoiled.mean())
        if not n_spoiled:
            got = f"none of {len(trial.is_spoiled):,} rows, by a share of {protocol.share}"
            raise ConfigError(
                Problem("share", "a row that is spoiled, which values can find", got, "take a larger one")
            )
        for one in contenders:
            values, took = one.timed_values(trial.train, trial.validation)
            spoiled = trial.is_spoiled
            precision = precision_at(spoiled, values, n_spoiled)
            trials.append({"method": one.name, "seed": seed, "auroc": auroc(spoiled, values), "precision": precision})
            found.setdefault(one.name, []).append(found_share(spoiled, values, shares))
            seconds.setdefault(one.name, []).append(took)
    summary = [_summary(one.name, trials, share_spoiled, seconds[one.name]) for one in contenders]
    curves = [row for one in contenders for row in _curve(one.name, np.array(found[one.name]), shares)]
    for name, share_at in (("random", lambda share: share), ("ideal", lambda share: ideal_share(share_spoiled, share))):
        curves += [{"method": name, "looked at": share, **band([share_at(share)])} for share in shares]
    tables = {"detection": summary, "curves": curves, "trials": trials}
    settings = {"protocol": vars(protocol), "methods": {one.name: dict(one.options) for one in contenders}}
    return Evaluation(QUESTION, settings, tables, axes={"curves": ("looked at", "mean", ("method",))})


def _summary(name: str, trials: list[Row], share_spoiled: float, seconds: list[float]) -> Row:
    own = [row for row in trials if row["method"] == name]
    scores, precisions = band([row["auroc"] for row in own]), band([row["precision"] for row in own])
    return {
        "method": name,
        "seeds": len(own),
        "auroc": scores["mean"],
        "sd": scores["sd"],
        "lowest": scores["lowest"],
        "highest": scores["highest"],
        "precision": precisions["mean"],
        "precision sd": precisions["sd"],
        "by chance": share_spoiled,
        "seconds": float(np.median(seconds)),
    }


def _curve(name: str, found: Any, shares: Sequence[float]) -> list[Row]:
    return [{"method": name, "looked at": share, **band(found[:, place])} for place, share in enumerate(shares)]
