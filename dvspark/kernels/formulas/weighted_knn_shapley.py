"""Weighted KNN-Shapley: the nearest rows vote by weight, in one of three kinds: raw, normalized or hard."""

from __future__ import annotations

from dvspark.errors import Problem
from dvspark.kernels.formulas import hard_weighted, normalized_weighted
from dvspark.kernels.formulas.top_sums import recursive_top_sum_values, top_sum_values
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Float64s

KINDS = ("raw", "normalized", "hard")
BITS = 3


def point_values(
    point: OrderedPoint,
    *,
    k: int,
    kind: str = "raw",
    bits: int = BITS,
    empty_utility: float = 0.0,
    n_nearest: int | None = None,
) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64, any n >= 0, k >= 1.

    - "raw": U(S) = Σ weights of matches among the k nearest of S, U(∅) = 0 whatever ``empty_utility``; see
      `top_sums.top_sum_values`. Cost: O(n), 40 n bytes.
    - "normalized": `normalized_weighted.point_values`, k <= 3.
    - "hard": `hard_weighted.point_values`, with ``bits``, and ``n_nearest`` for truncation (None: exact).
    Under the last two kinds, a row of weight 0 may have a value other than 0, because it can keep a farther row out of
    the vote.
    """
    if kind == "raw":
        return top_sum_values(_raw_gains(point), k)
    if kind == "normalized":
        return normalized_weighted.point_values(point, k=k, empty_utility=empty_utility)
    return hard_weighted.point_values(point, k=k, bits=bits, empty_utility=empty_utility, n_nearest=n_nearest)


def utility(
    point: OrderedPoint,
    *,
    k: int,
    kind: str = "raw",
    bits: int = BITS,
    empty_utility: float = 0.0,
    n_nearest: int | None = None,  # noqa: ARG001
) -> tuple[float, float]:
    """Return U(N) and U(∅); without rows both are that of the empty set. Truncated values have another sum."""
    if kind == "raw":
        return float(_raw_gains(point)[:k].sum()), 0.0
    if kind == "normalized":
        return normalized_weighted.utility(point, k=k, empty_utility=empty_utility)
    return hard_weighted.utility(point, k=k, bits=bits, empty_utility=empty_utility)


def largest_utility(
    point: OrderedPoint,
    *,
    k: int,
    kind: str = "raw",
    bits: int = BITS,  # noqa: ARG001
    empty_utility: float = 0.0,
    n_nearest: int | None = None,  # noqa: ARG001
) -> float:
    """Return the largest |U| of any rows, or of none."""
    if kind == "raw":
        gains = _raw_gains(point)
        return min(k, len(gains)) * float(gains.max(initial=0.0))
    return max(1.0, abs(empty_utility))


def reference_values(
    point: OrderedPoint,
    *,
    k: int,
    kind: str = "raw",
    bits: int = BITS,
    empty_utility: float = 0.0,
    n_nearest: int | None = None,
) -> Float64s:
    """Return the values by another formula, for checks. Cost: O(n) for "raw"; for others see their reference."""
    if kind == "raw":
        return recursive_top_sum_values(_raw_gains(point), k)
    if kind == "normalized":
        return normalized_weighted.reference_values(point, k=k, empty_utility=empty_utility)
    return hard_weighted.reference_values(point, k=k, bits=bits, empty_utility=empty_utility, n_nearest=n_nearest)


def problems(*, k: int, kind: str, bits: int = BITS, n_nearest: int | None = None) -> list[Problem]:
    """Return why these parameters cannot be combined, as far as this follows without the data."""
    if kind not in KINDS:
        return [Problem("parameter 'kind'", ", ".join(KINDS), repr(kind), "raw is the default")]
    found = normalized_weighted.normalized_limit(k) if kind == "normalized" else []
    if kind == "hard":
        found = hard_weighted.hard_limits(k, bits, n_nearest)
    elif n_nearest is not None:
        hint = "leave n_nearest out: this kind is exact"
        found.append(Problem("parameter 'n_nearest'", "kind='hard', whose rows beyond can be left out", kind, hint))
    return found


def _raw_gains(point: OrderedPoint) -> Float64s:
    return given(point.weights, "weights") * point.matches
