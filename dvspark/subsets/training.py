"""Training on a subset: a softmax head is trained on chosen rows, which a criterion chooses every so often."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from dvspark.arguments import choice_problems, count_problems, is_count, is_number
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.kernels.gradients.course import MOMENTUM
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.softmax_head import PENALTY, SoftmaxHead, untrained_head
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Float64s
from dvspark.subsets.criteria import ADAPTIVE, CRITERIA, Asked, ChosenRows, drawn


@dataclass(frozen=True)
class TrainedOnSubset:
    """The ``head``; the rows ``chosen`` last; CPU ``seconds`` in all, and ``choosing`` of them for the criterion."""

    head: SoftmaxHead
    chosen: ChosenRows
    seconds: float
    choosing: float

    def accuracy(self, rows: Piece) -> float:
        """Return the share of rows whose class the head gives the highest probability."""
        with one_thread():
            logs = self.head.log_probabilities(self.head.features(rows[0]))
        return float(np.mean(np.argmax(logs, axis=1) == rows[1]))


@dataclass(frozen=True)
class SubsetTraining:
    """How a head is trained on a ``share`` of the rows, which a ``criterion`` chooses anew ``every`` so many epochs.

    Steps are by ``batch_rows`` rows with Nesterov's momentum; their size falls from ``learning_rate`` to 0 along half a
    cosine. A step is down the mean loss of its rows by their weights. In the first epoch of a criterion that chooses
    again, when losses still say nothing, rows are drawn.
    """

    criterion: str = "chg"
    share: float = 0.3
    epochs: int = 60
    every: int = 20
    batch_rows: int = 128
    learning_rate: float = 1.0
    seed: int = 0

    def problems(self) -> list[Problem]:
        """Return everything that is wrong with it."""
        problems = choice_problems("method", self.criterion, [*CRITERIA])
        if not is_number(self.share) or not 0 < self.share <= 1:
            problems.append(
                Problem("share", "a number above 0, up to 1", written(self.share), "0.3 keeps three in ten")
            )
        for name, meaning in (("epochs", "passes over the chosen rows"), ("every", "epochs between two choices")):
            problems += count_problems(name, getattr(self, name), meaning)
        problems += count_problems("batch_rows", self.batch_rows, "rows of a step")
        if not problems and self.criterion in ADAPTIVE and self.epochs == 1:
            hint = "rows are chosen after the first epoch; random draws them once"
            problems.append(Problem("epochs", f"2 or more, for {self.criterion}", "1", hint))
        if self.seed != 0 and not is_count(self.seed):
            problems.append(
                Problem("seed", "a whole number from 0", written(self.seed), "the seed decides what is drawn")
            )
        if not is_number(self.learning_rate) or not 0 < self.learning_rate < math.inf:
            problems.append(Problem("learning_rate", "a finite number above 0", written(self.learning_rate)))
        return problems

    def trained(self, rows: Piece, points: Piece | None = None) -> TrainedOnSubset:
        """Return the head trained on ``rows``, whose classes are 0, 1, ... without a gap.

        ``points``: validation rows, only for `glister`; None: the rows themselves. The same bits for the same rows,
        seed and BLAS. Cost: epochs × share × O(n × classes × features), and that of the criterion.
        Raises: ConfigError for what is unusable; InputError where a loss is no longer finite.
        """
        if problems := self.problems():
            raise ConfigError(problems)
        with one_thread():
            found = self._trained(rows, rows if points is None else points)
        if not np.isfinite(found.head.weights).all():
            hint = "steps are too long: give a smaller learning rate"
            raise InputError(Problem("training", "finite weights", "NaN or infinity", hint))
        return found

    def _trained(self, rows: Piece, points: Piece) -> TrainedOnSubset:
        begun, choosing = time.process_time(), 0.0
        draw = np.random.Generator(np.random.PCG64(self.seed))
        head = untrained_head(rows[0], int(rows[1].max()) + 1)
        features, velocity = head.features(rows[0]), np.zeros_like(head.weights)
        asked = Asked(head, rows, points, self.share, self.learning_rate, draw)
        chosen = CRITERIA[self.criterion](asked) if self.criterion not in ADAPTIVE else drawn(asked)
        for epoch in range(self.epochs):
            if self.criterion in ADAPTIVE and epoch and (epoch - 1) % self.every == 0:
                before = time.process_time()
                chosen = CRITERIA[self.criterion](replace(asked, head=head))
                choosing += time.process_time() - before
            size = self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
            head, velocity = self._epoch(head, velocity, features, rows, chosen, draw, size)
        return TrainedOnSubset(head, chosen, time.process_time() - begun, choosing)

    def _epoch(
        self,
        head: SoftmaxHead,
        velocity: Float64s,
        features: Float64s,
        rows: Piece,
        chosen: ChosenRows,
        draw: np.random.Generator,
        size: float,
    ) -> tuple[SoftmaxHead, Float64s]:
        counted = np.flatnonzero(chosen.weights)  # rows of weight 0 take no time
        dealt = draw.permutation(counted)
        for start in range(0, len(dealt), self.batch_rows):
            batch = dealt[start : start + self.batch_rows]
            here = features[chosen.places[batch]]
            residuals = np.exp(head.log_probabilities(here))
            residuals[np.arange(len(batch)), rows[1][chosen.places[batch]]] -= 1.0
            weights = chosen.weights[batch]
            slope = (residuals * (weights / weights.sum())[:, None]).T @ here + PENALTY * head.weights
            velocity = MOMENTUM * velocity + slope
            head = replace(head, weights=head.weights - size * (slope + MOMENTUM * velocity))
        return head, velocity
