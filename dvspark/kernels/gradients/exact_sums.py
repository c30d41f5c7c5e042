"""Exact sums: float64 rows added up without rounding, so neither order nor grouping changes a bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from dvspark.schemas import Float64s, Floats, Int64s

# A level counts in units of 2^(24 level). A row has less than 2^24 units of it, so int64 holds 2^39 rows.
LEVEL_BITS = 24
# Rows are split while they lie in a cache; also, float64 adds up 2^29 rows of such counts exactly.
PIECE_NUMBERS = 2**16


@dataclass
class ExactSum:
    """The sum of rows of numbers below 1e290: ``levels`` (width,) int64 by level number, in units of 2^(24 number).

    Rows are cut into levels, the largest first, until nothing is left of them. Numbers of similar size take three to
    five levels.
    """

    width: int
    levels: dict[int, Int64s] = field(default_factory=dict)

    def add(self, rows: Floats) -> None:
        """Add rows (n, width). Cost: about 10 operations for each number and level; 1 MiB of scratch."""
        step = max(1, PIECE_NUMBERS // max(1, self.width))
        for start in range(0, len(rows), step):
            self._add_piece(rows[start : start + step].astype(np.float64))

    def merge(self, levels: Mapping[int, Int64s]) -> None:
        """Add the levels of another sum."""
        for level, counts in levels.items():
            self.levels[level] = self.levels[level] + counts if level in self.levels else counts

    def fractions(self) -> list[Fraction]:
        """Return the exact sum."""
        if not self.levels:
            return [Fraction(0)] * self.width
        least = min(self.levels)
        units = sum(counts.astype(object) << LEVEL_BITS * (level - least) for level, counts in self.levels.items())
        return [Fraction(int(count)) * Fraction(2) ** (LEVEL_BITS * least) for count in np.atleast_1d(units)]

    def _add_piece(self, left: Float64s) -> None:
        while (largest := float(np.abs(left).max(initial=0.0))) > 0:
            level = (int(np.frexp(largest)[1]) - 1) // LEVEL_BITS
            # A number of this size has bits down to the level's unit: adding it rounds to whole units.
            large = np.ldexp(1.5, 52 + LEVEL_BITS * level)
            whole = (left + large) - large
            left -= whole
            self.merge({level: np.ldexp(whole, -LEVEL_BITS * level).sum(axis=0).astype(np.int64)})
