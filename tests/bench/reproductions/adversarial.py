"""Adversarial rows: small steps in the features that lead a softmax head away from a row's label."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.gradients.softmax_head import SoftmaxHead
from dvspark.schemas import Float64s, Int32s

# Steps of the iterative attack; where a row is not led astray by then, it is left where it is.
MOST_STEPS = 200
# The length of each step, as a share of the root mean square distance of rows to their mean.
STEP = 0.02


def loss_slopes(head: SoftmaxHead, x: Float64s, codes: Int32s) -> Float64s:
    """Return the gradient of each row's loss by its features, (n, n_features). Cost: O(n × classes × features)."""
    found: Float64s = np.exp(head.log_probabilities(head.features(x)))
    found[np.arange(len(codes)), codes] -= 1.0
    return found @ head.weights[:, :-1] / head.scale


def fast_gradient_sign(head: SoftmaxHead, x: Float64s, codes: Int32s, step: float) -> Float64s:
    """Return the rows after one step of size ``step`` in each feature, in the direction in which their loss rises.

    Cost: that of `loss_slopes`.
    Source: Goodfellow, Shlens & Szegedy, Explaining and harnessing adversarial examples, ICLR 2015, arXiv:1412.6572.
    """
    return x + step * np.sign(loss_slopes(head, x, codes))


def iterative_l2(head: SoftmaxHead, x: Float64s, codes: Int32s, *, most_steps: int = MOST_STEPS) -> Float64s:
    """Return the rows, each led by short steps of one length along its gradient until the head mistakes its class.

    Rows that are mistaken already stay. Cost: that of ``most_steps`` calls of `loss_slopes`.
    Source: Kurakin, Goodfellow & Bengio, ICLR 2017, arXiv:1607.02533, with steps of one L2 length.
    """
    found, step = x.astype(np.float64), STEP * head.scale
    for _ in range(most_steps):
        right = np.flatnonzero(head.log_probabilities(head.features(found)).argmax(axis=1) == codes)
        if not len(right):
            break
        slopes = loss_slopes(head, found[right], codes[right])
        lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
        found[right] += step * slopes / np.where(lengths > 0, lengths, 1.0)
    return found
