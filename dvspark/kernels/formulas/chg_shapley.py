"""CHG-Shapley: U(S) = |alpha|² - |mean of S - alpha|², U(∅) = 0: how near rows bring the mean to alpha."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.gradients.head_gradients import GradientSums, RowFormula
from dvspark.schemas import Float64s, Floats


@dataclass(frozen=True)
class ChgShapley(Parameters):
    """Parameters of the method: what a row is in its game, whose rows are a game, and how the head is trained.

    ``epochs`` None: to the minimum, before rows are valued once. ``source``: whether gradients are those in a head, or
    given in place of embeddings.
    """

    variant: str = "chg"
    by: str = "all"
    epochs: int | None = None
    batch_rows: int | None = None
    learning_rate: float = 1.0
    seed: int = 0
    source: str = "head"


@dataclass(frozen=True)
class GradientGame:
    """A game of ``n`` rows x.

    ``alpha`` is the target. Of the offsets d = x - alpha, ``total`` is the sum, and ``squares`` the sum of |d|². alpha
    and total have the shape of a row: (p,), or (n_classes, n_features + 1).
    """

    n: int
    alpha: Float64s
    total: Float64s
    squares: float

    @property
    def utility(self) -> float:
        """U(N)."""
        return float(np.vdot(self.alpha, self.alpha) - np.vdot(self.total, self.total) / self.n**2)

    @property
    def size(self) -> float:
        """The size of the terms of the values (squares of alpha and offsets); rounding is in proportion to it."""
        return float(np.vdot(self.alpha, self.alpha)) + self.squares / self.n

    def values(self, x: Floats) -> Float64s:
        """Return the values of some of the rows, (n, p) to (n,); their bits do not depend on other rows. O(n p)."""
        own, with_total, shared = self._terms()
        offset = np.asarray(x, np.float64) - self.alpha
        # Sums of single rows: a product of matrices may round a row by the place it stands at.
        value: Float64s = own * (offset * offset).sum(axis=1) + with_total * (offset * self.total).sum(axis=1) + shared
        return value

    def row_formula(self) -> RowFormula:
        """Return the same formula for rows that are not written out."""
        own, with_total, shared = self._terms()
        direction = with_total * self.total - 2.0 * own * self.alpha
        at_alpha = own * np.vdot(self.alpha, self.alpha) - with_total * np.vdot(self.alpha, self.total)
        return RowFormula(own, direction, shared + float(at_alpha))

    def _terms(self) -> tuple[float, float, float]:
        """Return the factors of |d|² and d·total, and the term that all rows get."""
        own, with_total, total_squared, squares = _coefficients(self.n)
        lengths = np.vdot(self.alpha, self.alpha), np.vdot(self.total, self.total)
        return own, with_total, float(lengths[0] / self.n + total_squared * lengths[1] + squares * self.squares)


def chg_values(x: Floats, alpha: Floats | None = None) -> Float64s:
    """Return the values of the rows of ``x`` (n, p), (n,) float64, any n >= 0; ``alpha`` (p,), None: their mean.

    value_j = |alpha|² / n + q |d_j|² + c d_j·T + s |T|² + o Σ |d|², with d_j = x_j - alpha, T = Σ d, and q, c, s, o
    that depend on n alone. Distances from alpha do not cancel if the rows lie far from 0, as squares of x do. If alpha
    is the mean, T = 0, and a row is worth more, the nearer it lies to the mean. The values sum to |alpha|² - |T / n|².
    Rows are gradients in the last layer, loss times gradient; x and alpha must be on one scale.
    Cost: O(n p) time, 24 n p bytes.
    Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, equation (3), which is 0 / 0 for n <= 2; here in centered form.
    """
    rows = np.asarray(x, np.float64)
    return game_of(rows, alpha).values(rows) if len(rows) else np.empty(0)


def game_of(rows: Float64s, alpha: Floats | None = None) -> GradientGame:
    """Return the game of all rows (n, p); there is at least one row."""
    target = rows.mean(axis=0) if alpha is None else np.asarray(alpha, np.float64)
    offset = rows - target
    total = offset.sum(axis=0) if alpha is not None else np.zeros(rows.shape[1])
    return GradientGame(len(rows), target, total, float(np.einsum("np,np->", offset, offset)))


def game_of_sums(sums: GradientSums, target: GradientSums | None) -> GradientGame:
    """Return the game of gradients that add up to ``sums``; alpha is the mean of ``target``, or their own mean.

    Their own mean is the target if ``target`` is None.
    """
    alpha = sums.total / sums.n if target is None else target.total / target.n
    total = np.zeros_like(alpha) if target is None else sums.total - sums.n * alpha
    squares = sums.squares - 2.0 * np.vdot(sums.total, alpha) + sums.n * np.vdot(alpha, alpha)
    return GradientGame(sums.n, alpha, total, max(float(squares), 0.0))


def utility(x: Floats, alpha: Floats | None = None) -> tuple[float, float]:
    """Return U(N) and U(∅)."""
    rows = np.asarray(x, np.float64)
    if len(rows) == 0:
        return 0.0, 0.0
    mean = rows.mean(axis=0)
    target = mean if alpha is None else np.asarray(alpha, np.float64)
    return float(target @ target - (mean - target) @ (mean - target)), 0.0


def reference_values(x: Floats, alpha: Floats | None = None) -> Float64s:
    """Return the values by another formula, from squares and products of x itself, for checks. Cost: O(n p).

    U(S) = 2 mean·alpha - |mean|². The formula loses digits if rows lie far from 0. Source: Cai 2024, equation (3).
    """
    rows = np.asarray(x, np.float64)
    n, total = len(rows), rows.sum(axis=0)
    target = total / max(n, 1) if alpha is None else np.asarray(alpha, np.float64)
    return reference_of_sums(rows, n, total, float((rows * rows).sum()), target)


def reference_of_sums(rows: Float64s, n: int, total: Float64s, squares: float, target: Float64s) -> Float64s:
    """Return the reference values of (m, p) ``rows``, of n rows with sum ``total`` and sum of squares ``squares``."""
    squared = (rows * rows).sum(axis=1)
    if n < 2:
        return 2.0 * (rows @ target) - squared
    h1, h2 = sum(1.0 / j for j in range(n, 0, -1)), sum(1.0 / j**2 for j in range(n, 0, -1))
    triple = (2.0 * h1 - 2.0 * h2 - 1.0 + 1.0 / n) / (n * (n - 1) * (n - 2)) if n > 2 else 0.0
    pairs = n * (n - 1)
    values = (-h2 / n + (2.0 * h1 - 3.0 * h2 + 1.0 / n) / pairs + 2.0 * triple) * squared
    values += (-2.0 * (h1 - h2) / pairs - 2.0 * triple) * (rows @ total)
    values += triple * (total @ total) + ((h2 - 1.0 / n) / pairs - triple) * squares
    return values + 2.0 * (h1 - 1.0 / n) / (n - 1) * (rows @ target) - 2.0 * (h1 - 1.0) / pairs * (total @ target)


@lru_cache
def _coefficients(n: int) -> tuple[float, float, float, float]:
    """Return the factors of |d_j|², d_j·T, |T|² and Σ |d|² for n rows: means over the size of the coalition."""
    if n == 1:
        return -1.0, 0.0, 0.0, 0.0
    reciprocals = 1.0 / np.arange(n, 0, -1)
    h1, h2 = float(reciprocals.sum()), float(reciprocals @ reciprocals)
    of_own, of_pair = h1 - h2, h2 - 1.0 / n
    pairs = n * (n - 1)
    triple = (2.0 * of_own - 1.0 + 1.0 / n) / (pairs * (n - 2)) if n > 2 else 0.0
    own = -h2 / n + (2.0 * of_own - of_pair) / pairs + 2.0 * triple
    return own, -2.0 * of_own / pairs - 2.0 * triple, triple, of_pair / pairs - triple
