"""The base of all estimators: what a range of draws gives, and what follows from the totals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from dvspark.games.bounds import Promise, draws_within
from dvspark.games.draws import Drawn, Draws
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths
from dvspark.schemas import Float64s


@dataclass(frozen=True)
class EstimatedValues:
    """Values with their standard errors, and the degrees of freedom of Student's t, float64 (n_players,) each."""

    values: Float64s
    standard_errors: Float64s
    degrees: Float64s

    def half_widths(self, confidence: float) -> Float64s:
        """Return half the width of each value's interval: with so much ``confidence`` it covers what is estimated.

        The mean of draws is taken to be normal, which holds better the more draws there are.
        """
        return self.standard_errors * scipy.special.stdtrit(self.degrees, (1 + confidence) / 2)


@dataclass(frozen=True)
class Estimator(ABC):
    """A way to estimate values of ``n_players`` from draws. Parameters are further fields."""

    n_players: int

    # The draws of a range; how many moments the totals have; with fewer draws there is no estimate.
    range_draws: ClassVar[int] = 64
    n_moments: ClassVar[int] = 1
    # With fewer players there is no game.
    least_players: ClassVar[int] = 1

    @property
    def least_draws(self) -> int:
        """With fewer draws there is no standard error."""
        return 2

    @property
    def most_draws(self) -> int | None:
        """After so many draws nothing is left to draw; None: there is always more."""
        return None

    @property
    def draw_cost(self) -> int:
        """The most coalitions whose worth one draw asks for."""
        return 1

    def require_ends(self, ends: Ends) -> None:  # noqa: B027 - most estimators take any
        """Raise ConfigError where nothing would be asked, with these ends known."""

    @abstractmethod
    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:
        """Return the moments of a stretch of draws. Failures of the utility are left in ``worths``."""

    @abstractmethod
    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:
        """Return the values that follow from the totals."""

    @abstractmethod
    def error_bound(self, totals: Totals, ends: Ends, promise: Promise) -> float:
        """Return how far values may be off at most, with a chance of 1 - delta (`Promise`)."""

    def enough_draws(self, ends: Ends, promise: Promise) -> int | None:  # noqa: ARG002
        """Return the number of draws that keeps the promise, if it is known before they are made."""
        return None

    def recorded(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[tuple[Moments, ...], bytes]:
        """Return the moments of a stretch of draws, and its record: none, unless an estimator overrides this."""
        return self.moments(drawn, seed, worths, ends), b""

    def totals(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> Totals:
        """Return the totals of a stretch of draws. Raises: ComputeError where the utility fails."""
        asked, calls = worths.n_asked, worths.n_calls
        moments, record = self.recorded(drawn, seed, worths, ends)
        worths.require_no_failures()
        counts = worths.n_asked - asked, worths.n_calls - calls
        return Totals(moments, drawn.n, 1, *counts, worths.least, worths.most, worths.probe, record)

    def of_mean(self, moments: Moments) -> EstimatedValues:
        """Return the estimate whose values are means of draws."""
        return EstimatedValues(moments.mean, np.sqrt(moments.error_square), np.maximum(moments.n - 1.0, 1.0))


@dataclass(frozen=True)
class BoundedByCount(Estimator):
    """An estimator whose bound follows from how many draws there are, not from what they gave."""

    @abstractmethod
    def error_after(self, n_draws: int, ends: Ends, promise: Promise) -> float:
        """Return the bound after so many draws, which falls with their number."""

    def error_bound(self, totals: Totals, ends: Ends, promise: Promise) -> float:
        """Return the bound after the draws of the totals."""
        return self.error_after(totals.n_draws, ends, promise.at_look(totals.n_ranges))

    def enough_draws(self, ends: Ends, promise: Promise) -> int | None:
        """Return the least number of draws that keeps the promise."""
        if promise.epsilon is None:
            return None
        size = self.range_draws  # a range more than are played, so that errors fall with every draw
        return draws_within(lambda n: self.error_after(n, ends, promise.at_look(1 + n / size)), promise.epsilon)


def draws_of(drawn: Drawn, seed: int) -> Draws:
    """Return the draws of the range, from its first."""
    return Draws(seed, drawn.number)
