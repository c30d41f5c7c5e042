"""Gradients: values a few rows of a `sums` method again, by another formula and with gradients written out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dvspark.audit.checks import finding
from dvspark.kernels.formulas import hardness_shapley
from dvspark.kernels.formulas.chg_shapley import GradientGame, reference_of_sums
from dvspark.kernels.formulas.hardness_shapley import HardnessGame
from dvspark.kernels.gradients.course import Games
from dvspark.kernels.gradients.head_pass import CHG
from dvspark.kernels.gradients.softmax_head import SoftmaxHead
from dvspark.schemas import Finding, Float64s, Floats, Int32s

# In proportion to the largest term of a value; rounding is 1e-13 of it with a million rows.
ROWS_TOLERANCE = 1e-9


def check_rows(values: Float64s, again: Float64s, size: float) -> Finding:
    """Return whether some training rows have the values of the reference, whose terms have this size."""
    gap = float(np.max(np.abs(values - again)))
    meaning = f"largest difference to the reference over {len(values)} training rows"
    return finding("sample", gap, ROWS_TOLERANCE * size, meaning)


class ValuedAgain:
    """A few training rows ``x`` with classes ``codes``, valued again in each epoch; see `valued_again`.

    ``losses``: theirs, where gradients are given.
    """

    def __init__(
        self, x: Floats, codes: Int32s, variant: str, *, by_label: bool, losses: Float64s | None = None
    ) -> None:
        self._x, self._codes, self._variant, self._by_label = x, codes, variant, by_label
        self._losses = np.zeros(len(codes)) if losses is None else losses
        self._values, self._size, self._n = np.zeros(len(codes)), 0.0, 0

    def see(self, head: SoftmaxHead | None, games: Games) -> None:
        """Value the rows by the head, None: by the gradients that they are, and the games of an epoch."""
        rows = zip(self._x, self._codes.tolist(), self._losses.tolist(), strict=True)
        told = [
            (loss, np.asarray(x, np.float64)) if head is None else loss_and_gradient(x, c, head) for x, c, loss in rows
        ]
        values, size = valued_again(told, self._codes, games, self._variant, by_label=self._by_label)
        self._values += values
        self._size += size
        self._n += 1

    def arrays(self) -> dict[str, Float64s]:
        """Return what it has come to so far, as arrays by name."""
        return {"again.values": self._values, "again.sums": np.array([self._size, self._n])}

    def restore(self, told: Mapping[str, Float64s]) -> None:
        """Go on with what `arrays` has told."""
        self._values, (self._size, n) = np.array(told["again.values"]), told["again.sums"].tolist()
        self._n = int(n)

    def mean(self) -> tuple[Float64s, float]:
        """Return the mean over epochs of the values and of the size of their terms."""
        return self._values / self._n, self._size / self._n


def valued_again(
    rows: list[tuple[float, Float64s]], codes: Int32s, games: Games, variant: str, *, by_label: bool
) -> tuple[Float64s, float]:
    """Return the values of a few training rows, each a loss and a gradient, and the size of their largest terms.

    They are valued by the reference. The sums over all rows come from the games.
    """
    values, size = np.empty(len(rows)), 0.0
    for place, ((loss, gradient), code) in enumerate(zip(rows, codes.tolist(), strict=True)):
        game = games[code if by_label else 0]
        if isinstance(game, HardnessGame):
            values[place] = hardness_shapley.reference_values(np.array([loss]), game.n, game.total)[0]
            own = loss
        else:
            written = loss * gradient if variant == CHG else gradient
            values[place] = _reference_of(game, written)
            own = float(written @ written)
        size = max(size, max(own, game.size) / game.n)
    return values, size


def _reference_of(game: GradientGame, written: Float64s) -> float:
    total = game.total + game.n * game.alpha
    squares = game.squares + 2.0 * np.vdot(total, game.alpha) - game.n * np.vdot(game.alpha, game.alpha)
    found = reference_of_sums(written[None], game.n, total.ravel(), float(squares), game.alpha.ravel())
    return float(found[0])


def scaled_gradient(row: Floats, code: int, head: SoftmaxHead) -> Float64s:
    """Return one row's loss times the gradient of its loss in the head's weights, (n_classes × (n_features + 1),)."""
    loss, gradient = loss_and_gradient(row, code, head)
    return loss * gradient


def loss_and_gradient(row: Floats, code: int, head: SoftmaxHead) -> tuple[float, Float64s]:
    """Return one row's loss, and its gradient in the head's weights, (n_classes × (n_features + 1),)."""
    features = np.append((np.asarray(row, np.float64) - head.center) / head.scale, 1.0)
    logits = np.array([weights @ features for weights in head.weights])
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return float(-np.log(shares[code])), np.outer(shares - (np.arange(len(shares)) == code), features).ravel()
