"""The softmax head: multinomial logistic regression with bias on embeddings, trained the same way every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Float64s, Floats, Int32s, Int64s

# Minimized is the mean loss + PENALTY / 2 times the sum of squares of all weights, biases too, on embeddings that are
# centered and have mean squared length 1. So it has one minimum, even where the classes can be told apart without error
# or a class is not among the rows, and neither a shift nor a scale of the embeddings changes the probabilities
# (docs/decisions/0013).
PENALTY = 1e-4
# L-BFGS ends after so many steps, or when no partial derivative is larger than this, whichever comes first.
MOST_STEPS = 500
FLAT_SLOPE = 1e-7
# The rows to train on, with their probabilities, take at most so many numbers, 256 MiB of float64.
MOST_NUMBERS = 2**25
SEED = 2406


@dataclass(frozen=True)
class SoftmaxHead:
    """``weights`` (n_classes, n_features + 1) of a row's features: its embedding, centered and scaled, and a 1.

    ``center`` (n_features,) is subtracted and then ``scale`` divides, in training and in gradients alike; otherwise
    gradients would depend on the origin of the embeddings. About the training: ``n_rows``, ``n_steps``, and ``slope``
    and mean ``loss`` at the end.
    """

    weights: Float64s
    center: Float64s
    scale: float
    n_rows: int
    n_steps: int
    slope: float
    loss: float

    def features(self, x: Floats) -> Float64s:
        """Return the features, (n, n_features + 1): the embedding, centered and scaled, and last a 1 for the bias."""
        found = np.ones((len(x), self.weights.shape[1]))
        np.subtract(x, self.center, out=found[:, :-1])
        found[:, :-1] /= self.scale
        return found

    def log_probabilities(self, features: Float64s) -> Float64s:
        """Return the logarithm of each class's probability, (n, n_classes)."""
        return _log_softmax(features @ self.weights.T)


def drawn_rows(n_train: int, n_features: int, n_classes: int) -> Int64s:
    """Return the places, in id order, of the rows on which a head is trained: all, or as many as MOST_NUMBERS allows.

    The places depend only on the sizes, so they are the same on every engine.
    """
    n_rows = max(n_classes, MOST_NUMBERS // (n_features + n_classes))
    if n_rows >= n_train:
        return np.arange(n_train)
    return np.sort(np.random.default_rng(SEED).choice(n_train, n_rows, replace=False))


def fit_head(x: Floats, codes: Int32s, n_classes: int, penalty: float = PENALTY) -> SoftmaxHead:
    """Return the head trained on rows ``x`` (n, n_features) with classes ``codes`` (n,), minimizing with ``penalty``.

    Cost: O(steps × n × classes × features) time; two copies of x and three (n, n_classes) in float64.
    Source: Liu & Nocedal, On the limited memory BFGS method, 1989, doi:10.1007/BF01589116; SciPy's L-BFGS-B.
    """
    center, scale = _placed(x)
    z = (x - center) / scale
    rows, shape = np.arange(len(z)), (n_classes, z.shape[1] + 1)

    def objective(flat: Float64s) -> tuple[float, Float64s]:
        weights = flat.reshape(shape)
        logs = _log_softmax(z @ weights[:, :-1].T + weights[:, -1])
        loss = -float(logs[rows, codes].mean()) + penalty / 2 * float(flat @ flat)
        residuals = np.exp(logs)
        residuals[rows, codes] -= 1.0
        slope = np.column_stack([residuals.T @ z, residuals.sum(axis=0)]) / len(z) + penalty * weights
        return loss, slope.ravel()

    limits = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": FLAT_SLOPE, "ftol": 0.0}
    with one_thread():
        found = scipy.optimize.minimize(
            objective, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options=limits
        )
    slope = float(np.abs(found.jac).max())
    return SoftmaxHead(found.x.reshape(shape), center, scale, len(z), int(found.nit), slope, float(found.fun))


def untrained_head(x: Floats, n_classes: int) -> SoftmaxHead:
    """Return the head that gives all classes the same probability, placed by rows ``x`` as `fit_head` places it."""
    center, scale = _placed(x)
    weights = np.zeros((n_classes, len(center) + 1))
    return SoftmaxHead(weights, center, scale, len(x), 0, np.inf, float(np.log(n_classes)))


def _placed(x: Floats) -> tuple[Float64s, float]:
    """Return the mean of the rows, (n_features,), and the root mean square of their distances to it.

    The second number is 1 if all rows are equal.
    """
    # Offsets from a row, whose mean rounds in proportion to the rows' spread, not to how far from 0 they lie; rows all
    # alike have it as their center, to the bit.
    first = np.asarray(x[0], np.float64)
    center: Float64s = first + (x - first).mean(axis=0)
    z = x - center
    largest = float(np.abs(z).max()) or 1.0
    z /= largest  # squares of what is left neither overflow nor vanish
    length = float(np.sqrt(np.einsum("ij,ij->", z, z) / len(z))) or 1.0
    return center, length * largest


def _log_softmax(logits: Float64s) -> Float64s:
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits
