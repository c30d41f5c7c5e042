"""DVRL: how often a small network, which learns by rewards, would choose a row to train a softmax head on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from dvspark.kernels.formulas.both_tables import BothTables, ValuedRows
from dvspark.kernels.formulas.kinds import WholeFormulas
from dvspark.kernels.gradients.softmax_head import PENALTY, SoftmaxHead, drawn_rows, fit_head
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Finding, Float64s, Floats, Int32s

# The network has one layer of so many units; Adam's decays and floor are usual ones. By the article's step of 0.01 the
# network wandered with the noise of rewards: AUROC of wrong labels was 0.5 of 1,000 digits, by 0.001 0.75 to 0.78.
HIDDEN = 64
STEP, DECAYS, FLOOR = 0.001, (0.9, 0.999), 1e-8
# A head is trained on chosen rows by so many steps of gradient descent with momentum, from weights of 0.
HEAD_STEPS, HEAD_STEP, MOMENTUM = 20, 1.0, 0.9
# A reward is compared with the mean of so many before it, as in the article.
REMEMBERED = 20
# Values of all rows are computed so many rows at a time.
TILE = 4096
# The head of the validation rows, whose answers the network sees.
VALIDATION_PENALTY = 0.01


@dataclass(frozen=True)
class Dvrl(WholeFormulas):
    """Data valuation by reinforcement learning, over a softmax head; the network sees a row, its label, and its answer.

    In each of ``steps`` steps a batch is drawn, each row of it is chosen with the chance that the network gives it, a
    head is trained on the chosen rows, and the fall of its loss on the validation rows is the reward. The network
    follows the gradient of the chances of what it chose, times how much better than before the reward is (REINFORCE).
    The answer of a row is how far the probabilities of a head of the validation rows are from its label.
    ``seed`` decides what is drawn. Values lie between 0 and 1.
    Cost: O(steps × batch_rows × (d C + 64 (d + 2 C))) and a pass over all rows; the tables in memory.
    Source: Yoon, Arik & Pfister, ICML 2020, arXiv:1909.11671; Kingma & Ba, arXiv:1412.6980.
    """

    steps: int
    batch_rows: int
    seed: int

    def valued(self, tables: BothTables) -> ValuedRows:
        """Return the values of all training rows."""
        with one_thread():
            seen = _Seen.of(tables)
            x, codes = tables.train()
            network, losses = self._learned(seen, x, codes)
            found = [
                network.chances(seen.inputs(x[start : start + TILE], codes[start : start + TILE]))
                for start in range(0, len(x), TILE)
            ]
        half = self.steps // 2
        early, late = float(losses[: half or 1].mean()), float(losses[half:].mean())
        meaning = "mean loss on the validation rows in the last half of the steps, no more than in the first"
        finding = Finding("rewards", "pass" if late <= early else "warn", late, early, meaning)
        return ValuedRows(np.concatenate(found), [finding])

    def _learned(self, seen: _Seen, x: Floats, codes: Int32s) -> tuple[Network, Float64s]:
        """Return the network after all steps, and the loss on the validation rows in each."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        network, losses = Network.drawn(rng, seen.width), np.empty(self.steps)
        rewards, size = deque[float](maxlen=REMEMBERED), min(self.batch_rows, len(x))
        for step in range(self.steps):
            places = np.sort(rng.random(len(x)).argsort(kind="stable")[:size])
            inputs = seen.inputs(x[places], codes[places])
            chances = network.chances(inputs)
            chosen = rng.random(size) < chances
            losses[step] = seen.loss(x[places[chosen]], codes[places[chosen]])
            reward = -float(losses[step])
            better = reward - (sum(rewards) / len(rewards) if rewards else reward)
            rewards.append(reward)
            network.follow(inputs, better * (chosen - chances) / size)
        return network, losses


@dataclass(frozen=True)
class _Seen:
    """What the network is told of rows, and what heads of chosen rows lose on the validation rows.

    ``head`` places rows, with weights of 0 before it is trained; ``of_points`` is the head of the validation rows.
    """

    head: SoftmaxHead
    of_points: SoftmaxHead
    points: Float64s
    codes: Int32s

    @classmethod
    def of(cls, tables: BothTables) -> _Seen:
        """Return what is known before the first step."""
        drawn = tables.some(drawn_rows(tables.n_train, tables.n_features, tables.n_classes))
        head = fit_head(*drawn, tables.n_classes, VALIDATION_PENALTY)
        of_points = fit_head(*tables.points, tables.n_classes, VALIDATION_PENALTY)
        return cls(head, of_points, head.features(tables.points[0]), tables.points[1])

    @property
    def n_classes(self) -> int:
        return len(self.head.weights)

    @property
    def width(self) -> int:
        """Numbers that the network sees of a row."""
        return self.head.weights.shape[1] + 2 * self.n_classes

    def inputs(self, x: Floats, codes: Int32s) -> Float64s:
        """Return what the network sees of rows, (n, width)."""
        label = np.zeros((len(x), self.n_classes))
        label[np.arange(len(x)), codes] = 1.0
        answer = np.exp(self.of_points.log_probabilities(self.of_points.features(x)))
        return np.concatenate([self.head.features(x), label, np.abs(label - answer)], axis=1)

    def loss(self, x: Floats, codes: Int32s) -> float:
        """Return the mean loss on the validation rows of a head that is trained on these rows."""
        weights = np.zeros_like(self.head.weights)
        if len(x):
            features, rows = self.head.features(x), np.arange(len(x))
            velocity = np.zeros_like(weights)
            for _ in range(HEAD_STEPS):
                left = np.exp(_log_shares(features, weights))
                left[rows, codes] -= 1.0
                slope = left.T @ features / len(x) + PENALTY * weights
                velocity = MOMENTUM * velocity + slope
                weights -= HEAD_STEP * (slope + MOMENTUM * velocity)
        logs = _log_shares(self.points, weights)
        return -float(logs[np.arange(len(self.codes)), self.codes].mean())


@dataclass
class Network:
    """A network of one hidden layer: ``weights`` are those into it with bias, and those out of it with bias."""

    weights: list[Float64s]
    means: list[Float64s] = field(default_factory=list)
    squares: list[Float64s] = field(default_factory=list)
    n_steps: int = 0

    @classmethod
    def drawn(cls, rng: np.random.Generator, width: int) -> Network:
        """Return a network whose chances are 1/2 for every row: what goes out of the hidden layer has weights of 0.

        Source of the size of the weights into it: Glorot & Bengio, AISTATS 2010.
        """
        size = np.sqrt(6.0 / (width + HIDDEN))
        into = (2.0 * rng.random((width + 1, HIDDEN)) - 1.0) * size
        into[-1] = 0.0
        weights = [into, np.zeros(HIDDEN + 1)]
        return cls(weights, [np.zeros_like(one) for one in weights], [np.zeros_like(one) for one in weights])

    def chances(self, inputs: Float64s) -> Float64s:
        """Return the chance of each row to be chosen, (n,)."""
        return self._answered(inputs)[1]

    def follow(self, inputs: Float64s, pulls: Float64s) -> None:
        """Step where the log-odds of the rows are pulled to, (n,)."""
        hidden, _ = self._answered(inputs)
        into, out = self.weights
        back = np.outer(pulls, out[:-1]) * (hidden > 0)
        slopes = [
            np.concatenate([inputs.T @ back, back.sum(axis=0)[None]]),
            np.append(hidden.T @ pulls, pulls.sum()),
        ]
        self.n_steps += 1
        for place, (own, slope) in enumerate(zip((into, out), slopes, strict=True)):
            first, second = DECAYS
            self.means[place] = first * self.means[place] + (1 - first) * slope
            self.squares[place] = second * self.squares[place] + (1 - second) * slope * slope
            mean = self.means[place] / (1 - first**self.n_steps)
            square = self.squares[place] / (1 - second**self.n_steps)
            self.weights[place] = own + STEP * mean / (np.sqrt(square) + FLOOR)

    def _answered(self, inputs: Float64s) -> tuple[Float64s, Float64s]:
        into, out = self.weights
        hidden = np.maximum(inputs @ into[:-1] + into[-1], 0.0)
        return hidden, 1.0 / (1.0 + np.exp(-np.clip(hidden @ out[:-1] + out[-1], -30.0, 30.0)))


def _log_shares(features: Float64s, weights: Float64s) -> Float64s:
    """Return the logarithm of each class's probability, (n, n_classes)."""
    logits = features @ weights.T
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits
