"""Hardness: U(S) = the mean loss of S, U(∅) = 0: how hard rows are for a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.gradients.head_gradients import RowFormula
from dvspark.schemas import Float64s, Floats


@dataclass(frozen=True)
class HardnessGame:
    """A game of ``n`` rows whose losses, from 0, add up to ``total``."""

    n: int
    total: float

    @property
    def utility(self) -> float:
        """U(N)."""
        return self.total / self.n

    @property
    def size(self) -> float:
        """The size of the terms of the values; rounding is in proportion to it."""
        return self.total / self.n

    def row_formula(self) -> RowFormula:
        """Return what a row gets for its loss, and what all rows get besides."""
        n, mean = self.n, self.total / self.n
        own = 1.0 if n == 1 else (n * float((1.0 / np.arange(n, 0, -1)).sum()) - 1.0) / (n * (n - 1))
        return RowFormula(own, None, mean / n - own * mean)

    def values(self, losses: Floats) -> Float64s:
        """Return the values of some of the rows from their losses, (n,) to (n,)."""
        formula = self.row_formula()
        found: Float64s = formula.own * np.asarray(losses, np.float64) + formula.shared
        return found


def hardness_values(losses: Floats) -> Float64s:
    """Return the values of rows with ``losses`` (n,), (n,) float64, any n >= 0.

    value_j = m / n + (n H - 1) / (n (n - 1)) (l_j - m), with the mean loss m and H = 1 + ... + 1/n. They sum to m.
    Cost: O(n).
    Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, its hardness term; here as a game of its own.
    """
    given = np.asarray(losses, np.float64)
    return HardnessGame(len(given), float(given.sum())).values(given) if len(given) else np.empty(0)


def reference_values(losses: Floats, n: int, total: float) -> Float64s:
    """Return the values of some of ``n`` rows, whose losses add up to ``total``, by another formula, for checks.

    value_j = H l_j / n - (H - 1) (L - l_j) / (n (n - 1)).
    """
    given = np.asarray(losses, np.float64)
    if n == 1:
        return given.copy()
    h = sum(1.0 / j for j in range(n, 0, -1))
    return h / n * given - (h - 1.0) / (n * (n - 1)) * (total - given)
