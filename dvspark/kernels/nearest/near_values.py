"""Values that the nearest rows of a point decide: every other row gets one of two numbers, by its match flag."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.schemas import Float64s


@dataclass(frozen=True)
class NearValues:
    """Values of the nearest rows by rank, (m,) float64, and what every other row of the point gets by its match flag.

    Kernel files of this kind have these functions, each with the method's parameters by name:
    - ``n_nearest(n_players)``: the m that the method needs.
    - ``near_values(matches, n_players, n_matches)``: from the match flags (m,) of those rows, and the number of all
      players that match.
    - ``utility``.
    - ``reference_values(matches)``: from the flags of all ranks, by another formula, for the audit.
    """

    values: Float64s
    of_match: float = 0.0
    of_other: float = 0.0
