"""Bounds: how far means of draws may be from what they estimate, at most, with a stated chance to be wrong.

Each bound holds for all players together with a chance of 1 - delta (union bound). No normal approximation is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from dvspark.schemas import Float64s

# More draws than anybody makes; of 2^1024 a float64 is infinite.
NEVER_DRAWN = 2**62


@dataclass(frozen=True)
class Promise:
    """No value is to be farther off than ``epsilon``, with a chance of 1 - ``delta``; None: as far as it gets.

    ``utility_range``: how far apart the worths of two coalitions can be, at most. ``looks``: draws may end for another
    reason than their number, after any range, by what they gave.
    """

    utility_range: float
    delta: float
    epsilon: float | None = None
    looks: bool = False

    def at_look(self, number: float) -> Self:
        """Return the promise that holds after so many ranges, whichever of them the draws end with.

        A bound for one number of draws may fail at the one number at which draws happen to end. So, if they ``look``,
        each range spends a share of ``delta``; all shares add up to it.
        """
        return replace(self, delta=self.delta / (number * (number + 1))) if self.looks else self


def hoeffding_error(n_draws: int, n_players: int, size: float, delta: float) -> float:
    """Return the bound for means of independent draws that lie in [-size, size].

    Source: Hoeffding, JASA 58(301), 1963, doi:10.1080/01621459.1963.10500830, theorem 2.
    """
    return size * math.sqrt(2 * math.log(2 * n_players / delta) / n_draws)


def bernstein_error(n_draws: int, n_players: int, variance: float, size: float, delta: float) -> float:
    """Return the bound for means of draws with at most this ``variance``, at most ``size`` from what they estimate.

    Source: Bernstein's inequality, in Boucheron, Lugosi & Massart, Concentration Inequalities, 2013, corollary 2.11.
    """
    log = math.log(2 * n_players / delta)
    part = size * log / 3
    return (part + math.sqrt(part * part + 2 * n_draws * variance * log)) / n_draws


def empirical_bernstein_error(n_draws: int, variance: Float64s, size: float, delta: float, n_looks: int) -> float:
    """Return the bound for means of draws in [-size, size], from the ``variance`` of each player's draws.

    It may be looked at again and again, and draws stop when it is small: the ``n_looks``-th look spends a share of
    1 / (n_looks (n_looks + 1)) of ``delta``. Infinite for fewer than two draws.
    Source: Maurer & Pontil, COLT 2009, arXiv:0907.3740, theorem 4, for both sides.
    """
    if n_draws < 2:
        return math.inf
    log = math.log(4 * len(variance) * n_looks * (n_looks + 1) / delta)
    largest = float(variance.max())
    return math.sqrt(2 * largest * log / n_draws) + 14 * size * log / (3 * (n_draws - 1))


def counted_error(n_draws: int, chance: float, size: float, odds: float) -> float:
    """Return the bound for a mean of those draws that count, each with this ``chance``, of numbers ``size`` apart.

    Fewer than ``fewest`` count with a chance of at most 1 / ``odds``; given how many do, their mean is off by more than
    the bound with a chance of at most 1 / ``odds``. Infinite where none may count.
    Source: Hoeffding, JASA 58(301), 1963, doi:10.1080/01621459.1963.10500830, theorem 2, twice.
    """
    log = math.log(odds)
    fewest = n_draws * chance - math.sqrt(n_draws * log / 2)
    if fewest < 1:
        return math.inf
    return size * math.sqrt((log + math.log(2)) / (2 * math.floor(fewest)))


def draws_within(error: Callable[[int], float], epsilon: float) -> int:
    """Return the least number of draws whose ``error``, which falls with their number, is at most ``epsilon``.

    At most `NEVER_DRAWN`.
    """
    most = 1
    while error(most) > epsilon and most < NEVER_DRAWN:
        most *= 2
    least = most // 2
    while least + 1 < most:
        middle = (least + most) // 2
        least, most = (least, middle) if error(middle) <= epsilon else (middle, most)
    return most
