"""Weighted KNN-Shapley: the nearest rows vote by weight, in one of three kinds: raw, normalized or hard."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dvspark.errors import Problem, written
from dvspark.kernels.distances import distance_weights
from dvspark.kernels.formulas import hard_weighted, normalized_weighted
from dvspark.kernels.formulas.kinds import OrderedFormulas
from dvspark.kernels.formulas.top_sums import recursive_top_sum_values, top_sum_values
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Float64s

KINDS = ("raw", "normalized", "hard")
BITS = 3
# Of ``weight``: the weights are given; else they follow from distances.
GIVEN = "given"


@dataclass(frozen=True)
class WeightedKnnShapley(OrderedFormulas):
    """Weighted KNN-Shapley: ``kind`` says how weights vote, ``weight`` where weights come from.

    ``gamma`` is for the weight "rbf". ``bits``, and ``n_nearest`` for truncation (None: exact), are for the kind
    "hard". ``empty_utility``, U(∅), is for the kinds "normalized" and "hard".
    """

    kind: str = "raw"
    weight: str = GIVEN
    gamma: float = 1.0
    bits: int = BITS
    empty_utility: float = 0.0
    n_nearest: int | None = None

    @property
    def efficient(self) -> bool:
        """Whether the values sum to U(N) - U(∅). Truncated values have another sum."""
        return self.n_nearest is None

    def error_bound(self, n_players: int) -> float:
        """Return how far a truncated value may be from the exact one."""
        m = self.n_nearest
        return 0.0 if m is None else hard_weighted.truncation_bound(n_players, self.k, m)

    def point_values(self, point: OrderedPoint) -> Float64s:
        """Return the values of the rows at ranks 1..n, (n,) float64, any n >= 0, k >= 1.

        - "raw": U(S) = Σ weights of matches among the k nearest of S, U(∅) = 0 whatever ``empty_utility``; see
          `top_sums.top_sum_values`. Cost: O(n), 40 n bytes.
        - "normalized": `normalized_weighted.point_values`, k <= 3.
        - "hard": `hard_weighted.point_values`.
        Under the last two kinds, a row of weight 0 may have a value other than 0, because it can keep a farther row out
        of the vote.
        """
        point, k, empty = self.weighed(point), self.k, self.empty_utility
        if self.kind == "raw":
            return top_sum_values(_raw_gains(point), k)
        if self.kind == "normalized":
            return normalized_weighted.point_values(point, k=k, empty_utility=empty)
        return hard_weighted.point_values(point, k=k, bits=self.bits, empty_utility=empty, n_nearest=self.n_nearest)

    def utilities(self, point: OrderedPoint) -> tuple[float, float]:
        """Return U(N) and U(∅); without rows both are that of the empty set."""
        point, k, empty = self.weighed(point), self.k, self.empty_utility
        if self.kind == "raw":
            return float(_raw_gains(point)[:k].sum()), 0.0
        if self.kind == "normalized":
            return normalized_weighted.utility(point, k=k, empty_utility=empty)
        return hard_weighted.utility(point, k=k, bits=self.bits, empty_utility=empty)

    def largest_utility(self, point: OrderedPoint) -> float:
        """Return the largest |U| of any rows, or of none."""
        if self.kind == "raw":
            gains = _raw_gains(self.weighed(point))
            return min(self.k, len(gains)) * float(gains.max(initial=0.0))
        return max(1.0, abs(self.empty_utility))

    def reference_values(self, point: OrderedPoint) -> Float64s:
        """Return the values by another formula, for checks. Cost: O(n) for "raw"; for others see their reference."""
        point, k, empty = self.weighed(point), self.k, self.empty_utility
        if self.kind == "raw":
            return recursive_top_sum_values(_raw_gains(point), k)
        if self.kind == "normalized":
            return normalized_weighted.reference_values(point, k=k, empty_utility=empty)
        return hard_weighted.reference_values(point, k=k, bits=self.bits, empty_utility=empty, n_nearest=self.n_nearest)

    def weighed(self, point: OrderedPoint) -> OrderedPoint:
        """Return the point with weights that follow from its distances, unless weights are given."""
        if self.weight == GIVEN or point.keys is None:
            return point
        far, by_rbf = point.distances, self.weight == "rbf"
        weights = distance_weights.rbf(far, self.gamma) if by_rbf else distance_weights.inverse_distance(far)
        return dataclasses.replace(point, weights=weights)


def problems(*, k: int, kind: str, bits: int = BITS, n_nearest: int | None = None) -> list[Problem]:
    """Return why these parameters cannot be combined, as far as this follows without the data."""
    if kind not in KINDS:
        return [Problem("parameter 'kind'", ", ".join(KINDS), written(kind), "raw is the default")]
    found = normalized_weighted.normalized_limit(k) if kind == "normalized" else []
    if kind == "hard":
        found = hard_weighted.hard_limits(k, bits, n_nearest)
    elif n_nearest is not None:
        hint = "leave n_nearest out: this kind is exact"
        found.append(Problem("parameter 'n_nearest'", "kind='hard', whose rows beyond can be left out", kind, hint))
    return found


def _raw_gains(point: OrderedPoint) -> Float64s:
    return given(point.weights, "weights") * point.matches
