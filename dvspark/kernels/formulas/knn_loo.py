"""Leave-one-out: what the utility loses without a row, which follows from the k + 1 nearest rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas import semivalues
from dvspark.kernels.formulas.kinds import NearestFormulas
from dvspark.kernels.nearest.near_values import NearestPoint, NearValues
from dvspark.schemas import Bools, Float64s


@dataclass(frozen=True)
class KnnLoo(NearestFormulas):
    """Leave-one-out, for ``utility`` "jia2019" or "wang2023"."""

    utility: str
    n_classes: int

    @property
    def efficient(self) -> bool:
        """False: the losses without each single row have no known sum."""
        return False

    def n_nearest(self, n_players: int) -> int:
        """Return how many nearest rows are needed: k, and one more that takes the place of a row left out."""
        return min(self.k + 1, n_players)

    def near_values(self, point: NearestPoint) -> NearValues:
        """Return the values of the nearest rows; all others have the value 0.

        The value is (a_i - a_(k+1)) / k, with a_(k+1) = 0 if there is no such row. With n <= k rows, "wang2023" divides
        by n, or by n - 1 without the row: (a_i - A / n) / (n - 1), and a_1 - 1 / C if it is the only row.
        Cost: O(m). Raises: ConfigError for an unknown utility.
        Source: the definition, U(N) - U(N without i).
        """
        semivalues.check_utility(self.utility)
        k, n_players, flags = self.k, point.n_players, point.matches.astype(np.float64)
        if n_players > k:
            values = (flags - flags[k]) / k
            values[k] = 0.0
        elif self.utility == "jia2019":
            values = flags / k
        elif n_players == 1:
            values = flags - 1.0 / self.n_classes
        else:
            values = (flags - point.n_matches / n_players) / (n_players - 1)
        return NearValues(values)

    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
        return semivalues.shapley_of(self.k, self.utility, self.n_classes).utilities(n_nearest_matches, n_players)

    def reference_values(self, matches: Bools) -> Float64s:
        """Return the values of the rows at ranks 1..n, (n,) float64, as differences of two utilities, for checks.

        O(n).
        """
        k, n = self.k, len(matches)
        full, empty = self.utilities(float(np.count_nonzero(matches[:k])), n)
        if n == 1:
            return np.array([full - empty])
        # Without a row of the nearest k the next one is among them.
        within = [np.count_nonzero(matches[: k + 1]) - float(matched) for matched in matches[:k]]
        without = [self.utilities(left, n - 1)[0] for left in within]
        return np.concatenate([full - np.array(without), np.zeros(max(n - k, 0))])
