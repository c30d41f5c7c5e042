"""Moments: means and variances of each player's draws, which can be added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dvspark.schemas import Bools, Float64s, Int64s

# The least square of a distance above 0. Distances below 1e-162 have squares that float64 takes for 0, which would say
# that draws agree. Divided by the square of a million draws it is still a number.
LEAST_SQUARE = 1e-300


@dataclass(frozen=True)
class Moments:
    """Of each player's draws: how many, their mean, and the sum of their squared distances from the mean.

    ``n`` int64, ``mean`` and ``squares`` float64, (n_players,) each. Squares of equal draws are exactly 0, those of
    others at least `LEAST_SQUARE` each.
    Source: Chan, Golub & LeVeque, The American Statistician 37(3), 1983, doi:10.1080/00031305.1983.10483115.
    """

    n: Int64s
    mean: Float64s
    squares: Float64s

    @classmethod
    def none(cls, n_players: int) -> Self:
        """Return the moments of no draws."""
        return cls(np.zeros(n_players, np.int64), np.zeros(n_players), np.zeros(n_players))

    @classmethod
    def of(cls, draws: Float64s, marks: Bools | None = None) -> Self:
        """Return the moments of ``draws`` (n_draws, n_players); with ``marks``, in that shape, of those marked.

        Draws in the shape (n_draws, 1) are those of all players. Cost: O(n_draws n_players).
        """
        kept = np.ones(draws.shape, np.bool_) if marks is None else marks
        n = np.count_nonzero(kept, axis=0)
        first = np.take_along_axis(np.broadcast_to(draws, kept.shape), kept.argmax(axis=0)[None], axis=0)[0]
        from_first = np.where(kept, draws - first, 0.0)
        shift = from_first.sum(axis=0) / np.maximum(n, 1)
        squares = squared(np.where(kept, from_first - shift, 0.0)).sum(axis=0)
        return cls(n.astype(np.int64), np.where(n > 0, first + shift, 0.0), squares)

    def plus(self, other: Moments) -> Self:
        """Return the moments of the draws of both."""
        n = self.n + other.n
        share = other.n / np.maximum(n, 1)
        apart = np.where(self.n > 0, other.mean - self.mean, 0.0)
        mean = np.where(self.n > 0, self.mean + apart * share, other.mean)
        return type(self)(n, mean, self.squares + other.squares + squared(apart) * self.n * share)

    @property
    def variance(self) -> Float64s:
        """The variance of one draw, estimated without bias; infinite for fewer than two draws."""
        return np.where(self.n > 1, self.squares / np.maximum(self.n - 1, 1), np.inf)

    @property
    def error_square(self) -> Float64s:
        """The square of the mean's standard error; infinite for fewer than two draws."""
        return self.variance / np.maximum(self.n, 1)


def squared(numbers: Float64s) -> Float64s:
    """Return the squares of numbers, of those other than 0 at least `LEAST_SQUARE`."""
    squares = np.square(numbers)
    squares[(squares < LEAST_SQUARE) & (numbers != 0)] = LEAST_SQUARE
    return squares
