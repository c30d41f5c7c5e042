"""Removal: do models get better without the rows of lowest value, and worse without those of highest value?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.evaluate.labeled import LabeledRows, require_same_features
from dvspark.evaluate.measures import band
from dvspark.evaluate.models import MODELS, model_problems, require_models, scores
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.reviewed import ReviewedRows, reviewed
from dvspark.schemas import Int64s

QUESTION = "Do models get better without the rows of lowest value, and worse without those of highest value?"
# Contender, order, action and share; the rows to which models are fitted; whether they are compared by cosine.
Table = tuple[tuple[str, str, str, float], LabeledRows, bool]
# Shares of training rows that are removed, or that an empty table is given.
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
REMOVE, ADD = "remove", "add"
LOW, HIGH, RANDOM = "low first", "high first", "random"
# The contender whose order is drawn, and the one that drops and relabels rows by itself.
CHANCE, REVIEW = "random", "review"
DECIDED = "as decided"


def removal(
    train: LabeledRows,
    validation: LabeledRows,
    contenders: Sequence[Contender],
    *,
    test: LabeledRows | None = None,
    protocol: Protocol | None = None,
    seeds: Sequence[int] | None = None,
    shares: Sequence[float] = SHARES,
    models: Sequence[str] = MODELS,
    review_metric: str | None = None,
) -> Evaluation:
    """Return the scores of models fitted to training rows that are removed, or added, in order of value.

    The models are tested on ``test``, else on half of the validation rows, drawn by the seed; values then come from
    the other half. ``protocol`` may spoil rows first (its share is 0 by default: rows as they are). With
    ``review_metric``, euclidean or cosine, the decisions of `dvspark.review_arrays` are beside the contenders: at a
    share, so many rows at most are dropped, or relabeled, as decided, the least probable label first.
    - ``removal``: by contender and model, how much accuracy changes, as a mean over ``shares``, when rows of low value
      are removed and not random ones (good values: above 0), and the same of high values (below 0). Of the review,
      ``without low`` is after its decisions.
    - ``curves``: by contender, action (remove, add), order (low first, high first, random, as decided) and model:
      accuracy and macro recall at each of ``shares``, with their band over seeds.
    Cost: one valuation, and two fits a share, order and model, for each seed and contender; a review for each seed.
    Raises: ConfigError where scikit-learn is not installed; else as `dvspark.value_arrays` does.
    """
    require_same_features(train, validation=validation, test=test)
    protocol = protocol or Protocol(share=0.0)
    if problems := _share_problems(shares) + model_problems(models):
        raise ConfigError(problems)
    require_models()
    found: dict[tuple[str, str, str, float, str], list[dict[str, float]]] = {}
    seeds = protocol.seeds(3) if seeds is None else seeds
    decisions: list[Row] = []
    for seed in seeds:
        trial = protocol.trial(train, validation, seed)
        valuing, testing = (trial.validation, test) if test is not None else halves(trial.validation, seed)
        tables = _ordered(trial.train, valuing, contenders, shares, seed)
        if review_metric is not None:
            review = reviewed(trial.train, valuing, review_metric)
            n_dropped = int(review.is_dropped.sum())
            decisions.append({"seed": seed, "dropped": n_dropped, "relabeled": len(review.places) - n_dropped})
            tables = itertools.chain(tables, _decided(review, shares, cosine=review_metric == "cosine"))
        for key, rows_left, cosine in tables:
            for model in models:
                found.setdefault((*key, model), []).append(scores(model, rows_left, testing, cosine=cosine))
    rows = [_row(key, of_seeds) for key, of_seeds in found.items()]
    settings = {"protocol": vars(protocol), "seeds": [*seeds], "shares": [*shares], "models": [*models]}
    settings["methods"] = {one.name: dict(one.options) for one in contenders}
    orders = [(one.name, LOW, HIGH) for one in contenders]
    orders += [] if review_metric is None else [(REVIEW, DECIDED, DECIDED)]
    summary = [_summary(name, (low, high), model, rows) for name, low, high in orders for model in models]
    curve = ("share", "accuracy", ("method", "action", "order", "model"))
    told = {"removal": summary, "curves": rows} | ({"decisions": decisions} if decisions else {})
    return Evaluation(QUESTION, settings, told, axes={"curves": curve})


def halves(rows: LabeledRows, seed: int) -> tuple[LabeledRows, LabeledRows]:
    """Return two halves of the rows, drawn by a seed, each in the order given; the first is the larger one.

    Raises: InputError for fewer than two rows.
    """
    if len(rows) < 2:
        raise InputError(Problem("validation", "two rows or more", str(len(rows)), "half of them are held out"))
    order = np.random.Generator(np.random.PCG64([seed, 2])).permutation(len(rows))
    n_first = (len(rows) + 1) // 2
    return rows.take(np.sort(order[:n_first])), rows.take(np.sort(order[n_first:]))


def _ordered(
    train: LabeledRows, valuing: LabeledRows, contenders: Sequence[Contender], shares: Sequence[float], seed: int
) -> Iterator[Table]:
    """Yield what is left, or there, of the training rows by order of value, and by a drawn order.

    Rows of equal values are in the drawn order: where many tie, the order of the table would tell of its classes.
    """
    chance = np.random.Generator(np.random.PCG64([seed, 1])).permutation(len(train))
    orders = [(CHANCE, RANDOM, chance, False)]
    for one in contenders:
        lowest_first = chance[np.argsort(one.values(train, valuing)[chance], kind="stable")]
        cosine = one.options.get("metric") == "cosine"
        orders += [(one.name, LOW, lowest_first, cosine), (one.name, HIGH, lowest_first[::-1], cosine)]
    for name, order, places, cosine in orders:
        for action, share, kept in _kept(places, shares):
            yield (name, order, action, share), train.take(kept), cosine


def _decided(review: ReviewedRows, shares: Sequence[float], *, cosine: bool) -> Iterator[Table]:
    """Yield the training rows after as many of a review's decisions as a share of the rows is."""
    for share in shares:
        rows = review.after(round(share * len(review.train)))
        if len(rows):
            yield (REVIEW, DECIDED, REMOVE, share), rows, cosine


def _kept(order: Int64s, shares: Sequence[float]) -> Iterator[tuple[str, float, Int64s]]:
    """Yield the rows that are left, or there, when a share of ``order`` is removed, or added; never none."""
    for share in shares:
        n = round(share * len(order))
        if n < len(order):
            yield REMOVE, share, np.sort(order[n:])
        if n:
            yield ADD, share, np.sort(order[:n])


def _row(key: tuple[str, str, str, float, str], of_seeds: list[dict[str, float]]) -> Row:
    name, order, action, share, model = key
    row: dict[str, Any] = {"method": name, "action": action, "order": order, "model": model, "share": share}
    for measure in ("accuracy", "macro recall"):
        over = band([one[measure] for one in of_seeds])
        row |= {measure if part == "mean" else f"{measure} {part}": number for part, number in over.items()}
    return row


def _summary(name: str, orders: tuple[str, str], model: str, rows: list[Row]) -> Row:
    """Return how accuracy without rows of low value, and of high value, differs from that without random rows.

    ``orders`` are those two; a review has one, and no second number. Only shares that leave rows are told of by all: a
    review keeps rows whatever the share.
    """
    removed = [row for row in rows if row["action"] == REMOVE and row["model"] == model and row["share"] > 0]
    shares = {row["share"] for row in removed if row["method"] == CHANCE}

    def mean(method: str, order: str) -> float:
        own = [row for row in removed if (row["method"], row["order"]) == (method, order)]
        return float(np.mean([row["accuracy"] for row in own if row["share"] in shares]))

    without_any = mean(CHANCE, RANDOM)
    low, high = (mean(name, order) - without_any for order in orders)
    told = {"method": name, "model": model, "random": without_any, "without low": low}
    return told | {"without high": None if name == REVIEW else high}


def _share_problems(shares: Sequence[float]) -> list[Problem]:
    problems = [Problem("shares", "numbers from 0, up to 1", written(one)) for one in shares if not 0 <= one <= 1]
    if not any(0 < one < 1 for one in shares):
        problems.append(Problem("shares", "one between 0 and 1", f"{[*shares]}", "such as 0.1: every tenth row"))
    return problems
