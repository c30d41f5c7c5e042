"""Values that the nearest rows of a point decide: all other rows get the same number, by their match flag."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.schemas import Float64s


@dataclass(frozen=True)
class NearValues:
    """Values by rank of the nearest rows, (m,) float64, and what every other row of the point gets by its match flag.

    Kernels of this kind have ``n_nearest(n_players)``, the m they ask for; ``near_values(matches, n_players,
    n_matches)`` of the match flags (m,) of those rows and the number of all matching players; ``utility``; and
    ``reference_values(matches)`` of the flags of all ranks, another formula for checks; each with the method's
    parameters by name.
    """

    values: Float64s
    of_match: float = 0.0
    of_other: float = 0.0
