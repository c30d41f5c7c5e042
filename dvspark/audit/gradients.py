"""Gradients: values a few rows of a `sums` method again, by another formula and with gradients written out."""

from __future__ import annotations

import numpy as np

from dvspark.audit.checks import finding
from dvspark.kernels.formulas.chg_shapley import GradientGame, reference_of_sums
from dvspark.kernels.gradients.softmax_head import SoftmaxHead
from dvspark.schemas import Finding, Float64s, Floats, Int32s

# In proportion to the largest term of a value; rounding is 1e-13 of it with a million rows.
ROWS_TOLERANCE = 1e-9


def check_rows(x: Floats, codes: Int32s, values: Float64s, head: SoftmaxHead, game: GradientGame) -> Finding:
    """Return whether some training rows have the values of the reference; the sums over all rows come from the game."""
    total = game.total + game.n * game.alpha
    squares = game.squares + 2.0 * np.vdot(total, game.alpha) - game.n * np.vdot(game.alpha, game.alpha)
    written = np.stack([scaled_gradient(row, code, head) for row, code in zip(x, codes.tolist(), strict=True)])
    others = reference_of_sums(written, game.n, total.ravel(), float(squares), game.alpha.ravel())
    size = float(np.max((written * written).sum(axis=1), initial=game.size)) / game.n
    gap = float(np.max(np.abs(values - others)))
    meaning = f"largest difference to the reference over {len(values)} training rows"
    return finding("sample", gap, ROWS_TOLERANCE * size, meaning)


def scaled_gradient(row: Floats, code: int, head: SoftmaxHead) -> Float64s:
    """Return one row's loss times the gradient of its loss in the head's weights, (n_classes × (n_features + 1),)."""
    features = np.append((np.asarray(row, np.float64) - head.center) / head.scale, 1.0)
    logits = np.array([weights @ features for weights in head.weights])
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    loss = -np.log(shares[code])
    return (loss * np.outer(shares - (np.arange(len(shares)) == code), features)).ravel()
