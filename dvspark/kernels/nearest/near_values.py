"""Values that the nearest rows of a point decide: every other row gets one of two numbers, by its match flag."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.schemas import Bools, Float64s


@dataclass(frozen=True)
class NearestPoint:
    """One point as formulas of this kind see it.

    ``matches`` (m,) of its nearest rows, nearest first; of all ``n_players``, ``n_matches`` match.
    """

    matches: Bools
    n_players: int
    n_matches: int


@dataclass(frozen=True)
class NearValues:
    """Values by rank of the nearest rows, (m,) float64, and what every other row gets by its match flag."""

    values: Float64s
    of_match: float = 0.0
    of_other: float = 0.0
