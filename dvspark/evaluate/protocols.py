"""Protocols: how rows are spoiled, in labels or in features, by a seed; and which rows are then train and validation.

`plain` takes both tables as they are. `threshold-knn-2023` goes by Wang et al., Threshold KNN-Shapley, NeurIPS 2023,
arXiv:2308.15709, and by what is known of its program: classes are balanced by duplicating rows of smaller ones before
the split, 2,000 rows are train and 200 validation, noise has the length (L2 norm) of its column as standard deviation,
and the seed is 999. In which order the article's program draws is not documented, so the rows that are drawn here are
not the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dvspark.arguments import choice_problems, is_number
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.evaluate.labeled import LabeledRows
from dvspark.schemas import Int64s

PLAIN, THRESHOLD_KNN_2023 = "plain", "threshold-knn-2023"
PROTOCOLS = (PLAIN, THRESHOLD_KNN_2023)
# What is spoiled: a label becomes another one, or each feature gets noise.
LABELS, FEATURES = "labels", "features"
SPOILS = (LABELS, FEATURES)
# The seed of each protocol's first trial; each further trial has the next one.
FIRST_SEEDS = {PLAIN: 0, THRESHOLD_KNN_2023: 999}
# Under `plain`, noise in standard deviations of its column.
NOISE = 1.0
# Sizes of the article's tables.
N_TRAIN, N_VALIDATION = 2_000, 200


@dataclass(frozen=True)
class Trial:
    """Rows of both sides, as one seed makes them; ``is_spoiled`` (n_train,) says which training rows are spoiled."""

    train: LabeledRows
    validation: LabeledRows
    is_spoiled: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Protocol:
    """How trials are made: ``name``, what is spoiled, the ``share`` of training rows, and the strength of ``noise``.

    ``noise``: in standard deviations of the column under `plain`, in lengths of the column under the other protocol.
    """

    name: str = PLAIN
    spoil: str = LABELS
    share: float = 0.1
    noise: float = NOISE
    n_train: int = N_TRAIN
    n_validation: int = N_VALIDATION

    def problems(self) -> list[Problem]:
        """Return everything that is wrong with it."""
        problems = choice_problems("protocol", self.name, PROTOCOLS) + choice_problems("spoil", self.spoil, SPOILS)
        if not is_number(self.share) or not 0 <= self.share < 1:
            problems.append(
                Problem("share", "a number from 0, below 1", written(self.share), "0.1 spoils every tenth row")
            )
        if not is_number(self.noise) or not 0 <= self.noise < np.inf:
            problems.append(Problem("noise", "a finite number from 0", written(self.noise), f"{NOISE} is the default"))
        return problems

    def seeds(self, n: int) -> list[int]:
        """Return the seeds of ``n`` trials."""
        return [FIRST_SEEDS[self.name] + place for place in range(n)]

    def trial(self, train: LabeledRows, validation: LabeledRows, seed: int) -> Trial:
        """Return the trial of a seed: the same bits for the same rows and seed.

        `plain` spoils training rows; the other protocol draws both sides from all rows, train's first.
        Raises: ConfigError for a protocol that is not usable, InputError for rows of one class, or too few of them.
        """
        if problems := self.problems():
            raise ConfigError(problems)
        classes = np.unique(train.y)
        if self.spoil == LABELS and self.share and len(classes) < 2:
            hint = "there is no other label that a row could get"
            raise InputError(Problem("train", "rows of two classes", f"one: {classes[0]}", hint))
        if self.name == THRESHOLD_KNN_2023:
            return self._trial_of_2023(train.followed_by(validation), seed)
        draw = np.random.Generator(np.random.PCG64(seed))
        places = draw.choice(len(train), self._count(len(train)), replace=False)
        if self.spoil == LABELS:
            spoiled = LabeledRows(train.x, with_other_labels(train.y, places, draw.integers))
        else:
            steps = draw.standard_normal((len(places), train.x.shape[1]))
            spoiled = LabeledRows(_with_noise(train.x, places, self.noise * train.x.std(axis=0) * steps), train.y)
        return Trial(spoiled, validation, _marked(len(train), places))

    def _trial_of_2023(self, rows: LabeledRows, seed: int) -> Trial:
        """Return the trial of the article: balance, shuffle, standardize, split, spoil, in this order of draws.

        NumPy keeps the stream of `RandomState` the same for ever.
        """
        draw = np.random.RandomState(seed)
        rows = rows.take(balanced_places(rows.y, draw))
        if len(rows) < self.n_train + self.n_validation:
            expected, hint = f"{self.n_train + self.n_validation:,} rows, balanced", "take the protocol plain"
            raise InputError(Problem("train and validation", expected, f"{len(rows):,}", hint))
        order = draw.permutation(len(rows))
        x = standardized(rows.x)
        parts = order[: self.n_train], order[self.n_train : self.n_train + self.n_validation]
        train, validation = (LabeledRows(x[part], rows.y[part]) for part in parts)
        places = draw.choice(len(train), self._count(len(train)), replace=False)
        if self.spoil == LABELS:
            spoiled = LabeledRows(train.x, with_other_labels(train.y, places, draw.randint))
        else:
            lengths = np.sqrt(np.einsum("ij,ij->j", train.x, train.x))
            steps = draw.standard_normal((len(places), train.x.shape[1]))
            spoiled = LabeledRows(_with_noise(train.x, places, self.noise * lengths * steps), train.y)
        return Trial(spoiled, validation, _marked(len(train), places))

    def _count(self, n_train: int) -> int:
        return round(self.share * n_train)


def with_other_labels(y: Any, places: Int64s, integers: Any) -> Any:
    """Return the labels with each one at ``places`` replaced by another, all other labels alike likely.

    ``integers(low, high, size)`` draws from low to high - 1. Of two classes nothing is drawn.
    """
    classes, codes = np.unique(y, return_inverse=True)
    codes = codes.copy()
    steps = integers(1, len(classes), len(places)) if len(classes) > 2 else 1
    codes[places] = (codes[places] + steps) % len(classes)
    return classes[codes]


def balanced_places(y: Any, draw: np.random.RandomState) -> Int64s:
    """Return the places of all rows, then of drawn duplicates, so that each class has as many rows as the largest."""
    classes, counts = np.unique(y, return_counts=True)
    lacking = [(label, int(counts.max() - n)) for label, n in zip(classes, counts, strict=True) if n < counts.max()]
    drawn = [draw.choice(np.flatnonzero(y == label), n, replace=True) for label, n in lacking]
    return np.concatenate([np.arange(len(y)), *drawn])


def standardized(x: Any) -> Any:
    """Return the columns with mean 0 and standard deviation 1; constant columns become 0."""
    spread = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _with_noise(x: Any, places: Int64s, steps: Any) -> Any:
    noisy = x.copy()
    noisy[places] += steps
    return noisy


def _marked(n: int, places: Int64s) -> npt.NDArray[np.bool_]:
    marked = np.zeros(n, bool)
    marked[places] = True
    return marked
