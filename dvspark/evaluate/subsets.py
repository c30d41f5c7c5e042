"""Subsets: how well does a head train on a share of the rows, by how this share is chosen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dvspark.arguments import choice_problems
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.evaluate.evaluation import Evaluation, Row
from dvspark.evaluate.labeled import LabeledRows, require_same_features
from dvspark.evaluate.measures import band
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.removal import halves
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.subsets import CRITERIA, FULL, SubsetTraining, TrainedOnSubset

QUESTION = "How well does a head train on a share of the rows, by how the share is chosen?"
SHARES = (0.05, 0.1, 0.3, 0.5, 0.7)


def subsets(
    train: LabeledRows,
    validation: LabeledRows,
    criteria: Sequence[str] = tuple(CRITERIA),
    *,
    test: LabeledRows | None = None,
    protocol: Protocol | None = None,
    seeds: Sequence[int] | None = None,
    shares: Sequence[float] = SHARES,
    training: SubsetTraining = SubsetTraining(),  # noqa: B008 - it is frozen
) -> Evaluation:
    """Return the accuracy of heads trained on shares of the rows that `dvspark.subsets` chooses by ``criteria``.

    Heads are tested on ``test``, else on half of the validation rows, drawn by the seed; `glister` knows the other
    half. ``protocol`` may spoil training rows first (its share is 0 by default). ``training``: all but criterion, share
    and seed.
    - ``subsets``: by criterion and share, accuracy with its band over seeds; CPU seconds of a training with its
      choices, and of the choices alone, medians; and the share of the chosen rows that are spoiled.
    Cost: a training for each seed, share and criterion. Raises: ConfigError and InputError for what is unusable.
    """
    require_same_features(train, validation=validation, test=test)
    protocol = protocol or Protocol(share=0.0)
    seeds = protocol.seeds(3) if seeds is None else seeds
    problems = [problem for one in criteria for problem in choice_problems("method", one, [*CRITERIA])]
    problems += [Problem("shares", "numbers above 0, up to 1", written(one)) for one in shares if not 0 < one <= 1]
    if problems or training.problems():
        raise ConfigError(problems + training.problems())
    found: dict[tuple[str, float], list[dict[str, float]]] = {}
    for seed in seeds:
        trial = protocol.trial(train, validation, seed)
        known, testing = (trial.validation, test) if test is not None else halves(trial.validation, seed)
        words = np.unique(trial.train.y)
        rows, points, tested = (coded(part, words) for part in (trial.train, known, testing))
        if not len(points[1]) or not len(tested[1]):
            expected = "labels that training rows have, in both halves"
            raise InputError(Problem("validation labels", expected, "none", "check for case, blanks, id mix-ups"))
        for name in criteria:
            for share in (1.0,) if name == FULL else shares:
                done = replace(training, criterion=name, share=share, seed=seed).trained(rows, points)
                spoiled = float(trial.is_spoiled[done.chosen.places].mean())
                one = {"accuracy": accuracy_of(done, testing, words), "spoiled": spoiled}
                found.setdefault((name, share), []).append(one | {"seconds": done.seconds, "choosing": done.choosing})
    about = {name: value for name, value in vars(training).items() if name not in ("criterion", "share", "seed")}
    settings: dict[str, Any] = {"protocol": vars(protocol), "seeds": [*seeds], "shares": [*shares], "training": about}
    table = [_row(*key, of_seeds) for key, of_seeds in found.items()]
    return Evaluation(QUESTION, settings, {"subsets": table}, axes={"subsets": ("share", "accuracy", ("criterion",))})


def accuracy_of(done: TrainedOnSubset, rows: LabeledRows, words: Any) -> float:
    """Return the share of rows that the head is right about; of one whose label is none of ``words`` it never is."""
    known = coded(rows, words)
    return done.accuracy(known) * (len(known[1]) / len(rows))


def coded(rows: LabeledRows, words: Any) -> Piece:
    """Return the rows whose label is one of ``words``, ascending, with its number as class."""
    is_known = np.isin(rows.y, words)
    return rows.x[is_known], np.searchsorted(words, rows.y[is_known]).astype(np.int32)


def _row(name: str, share: float, of_seeds: list[dict[str, float]]) -> Row:
    row: Row = {"criterion": name, "share": share, "seeds": len(of_seeds)}
    over = band([one["accuracy"] for one in of_seeds])
    row |= {"accuracy" if part == "mean" else f"accuracy {part}": number for part, number in over.items()}
    row |= {part: float(np.median([one[part] for one in of_seeds])) for part in ("seconds", "choosing")}
    return row | {"spoiled": float(np.mean([one["spoiled"] for one in of_seeds]))}
