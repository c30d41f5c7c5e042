"""Totals: what ranges of draws have told, which can be added."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from dvspark.games.moments import Moments
from dvspark.games.utility import Ends, Probe


@dataclass(frozen=True)
class Totals:
    """The ``moments`` of ``n_draws`` draws of ``n_ranges`` ranges, which asked for ``n_asked`` worths in ``n_calls``.

    What the moments are of, an estimator says. The worths lie from ``least`` to ``most``; of one range, ``probe`` is
    one of them. ``record``: the draws one by one, of an estimator that needs them.
    """

    moments: tuple[Moments, ...]
    n_draws: int = 0
    n_ranges: int = 0
    n_asked: int = 0
    n_calls: int = 0
    least: float = math.inf
    most: float = -math.inf
    probe: Probe | None = None
    record: bytes = b""

    @classmethod
    def of_ends(cls, n_moments: int, n_players: int, ends: Ends) -> Self:
        """Return the totals before the first draw, when both ends have been asked for."""
        moments, worths = (Moments.none(n_players),) * n_moments, (ends.all, ends.none)
        return cls(moments, n_asked=2, n_calls=2, least=min(worths), most=max(worths))

    def plus(self, later: Totals) -> Self:
        """Return the totals of these ranges and later ones. Their order counts: sums are rounded."""
        return type(self)(
            tuple(one.plus(other) for one, other in zip(self.moments, later.moments, strict=True)),
            self.n_draws + later.n_draws,
            self.n_ranges + later.n_ranges,
            self.n_asked + later.n_asked,
            self.n_calls + later.n_calls,
            min(self.least, later.least),
            max(self.most, later.most),
            record=self.record + later.record,
        )
