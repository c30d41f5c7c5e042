"""Values of rows within a radius: against all coalitions, the worked cases, and many digits at large counts."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.formulas.threshold_knn_banzhaf import ThresholdKnnBanzhaf
from dvspark.kernels.formulas.threshold_knn_beta import ThresholdKnnBeta
from dvspark.kernels.formulas.threshold_knn_loo import ThresholdKnnLoo
from dvspark.kernels.formulas.threshold_knn_shapley import ThresholdKnnShapley
from dvspark.kernels.radius.neighbor_values import log_product, reciprocal_sum

VECTORS = Path(__file__).parents[3] / "vectors"
KERNELS = [ThresholdKnnShapley, ThresholdKnnBanzhaf, ThresholdKnnBeta, ThresholdKnnLoo]
METHOD_OF_VECTOR = {
    "tknn_shapley": ThresholdKnnShapley,
    "tknn_banzhaf": ThresholdKnnBanzhaf,
    "tknn_beta": ThresholdKnnBeta,
}
TOLERANCE = 1e-12
STEPS = st.one_of(st.floats(1e-12, 50), st.floats(-0.04, -1e-12))
LARGE = [2, 3, 10, 64, 65, 127, 128, 129, 130, 1_000, 12_345, 1_000_000, 100_000_000]


def parameters_of(kernel: type[RadiusFormulas], alpha: Any = 16, beta: Any = 1) -> dict[str, Any]:
    return {"alpha": alpha, "beta": beta} if kernel is ThresholdKnnBeta else {}


def rising(x: Fraction, n: int) -> Fraction:
    return math.prod((x + i for i in range(n)), start=Fraction(1))


def weight_of(
    kernel: type[RadiusFormulas], n: int, alpha: Fraction | int, beta: Fraction | int
) -> Callable[[int], Fraction]:
    """Return the weight of one coalition of s of the n - 1 other players, by the semivalue's definition."""

    def beta_weight(s: int) -> Fraction:  # B(s + beta, n - 1 - s + alpha) / B(alpha, beta)
        return rising(Fraction(beta), s) * rising(Fraction(alpha), n - 1 - s) / rising(Fraction(alpha + beta), n - 1)

    return {
        ThresholdKnnShapley: lambda s: Fraction(math.factorial(s) * math.factorial(n - 1 - s), math.factorial(n)),
        ThresholdKnnBanzhaf: lambda s: Fraction(1, 2 ** (n - 1)),
        ThresholdKnnBeta: beta_weight,
        ThresholdKnnLoo: lambda s: Fraction(s == n - 1),
    }[kernel]


def semivalues(inside: Sequence[bool], flags: Sequence[bool], n_classes: int, weight: Any) -> list[Fraction]:
    """Return each player's semivalue, summed over all coalitions."""

    def worth(mask: int) -> Fraction:
        votes = [flags[j] for j in range(len(flags)) if mask >> j & 1 and inside[j]]
        return Fraction(sum(votes), len(votes)) if votes else Fraction(1, n_classes)

    worths = [worth(mask) for mask in range(1 << len(flags))]
    return [
        sum(
            (
                weight(mask.bit_count()) * (worths[mask | 1 << j] - worths[mask])
                for mask in range(1 << len(flags))
                if not mask >> j & 1
            ),
            Fraction(0),
        )
        for j in range(len(flags))
    ]


@pytest.mark.parametrize("kernel", KERNELS)
@given(
    players=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=7),
    n_classes=st.integers(1, 5),
    alpha=st.integers(1, 20),
    beta=st.integers(1, 4),
)
def test_neighbor_values__are_the_semivalues_of_all_coalitions(
    kernel: type[RadiusFormulas], players: list[tuple[bool, bool]], n_classes: int, alpha: int, beta: int
) -> None:
    inside, flags = zip(*players, strict=True)
    expected = semivalues(inside, flags, n_classes, weight_of(kernel, len(players), alpha, beta))
    n, n_matches = sum(inside), sum(a and b for a, b in players)
    counts = np.array([n]), np.array([n_matches])
    parameters = parameters_of(kernel, alpha, beta)
    match, other = kernel(radius=1.0, n_classes=n_classes, **parameters).neighbor_values(*counts)
    found = [(match[0] if flag else other[0]) if near else 0.0 for near, flag in players]
    np.testing.assert_allclose(found, [float(value) for value in expected], rtol=TOLERANCE, atol=1e-15)
    full, empty = kernel(radius=1.0, n_classes=n_classes, **parameters).utilities(*counts)
    assert empty[0] == 1 / n_classes
    assert full[0] == (n_matches / n if n else 1 / n_classes)
    if kernel is ThresholdKnnShapley:
        assert sum(expected) == (Fraction(n_matches, n) if n else Fraction(1, n_classes)) - Fraction(1, n_classes)


# The smallest and largest that the parameters accept, and some between.
EXTREMES = [Fraction(1, 10**9), Fraction(1, 10**7), Fraction(1, 1000), Fraction(1), Fraction(1000), Fraction(10**6)]


@pytest.mark.parametrize("n", [1, 2, 6])
def test_neighbor_values__of_very_small_and_very_large_shapes_are_those_of_all_coalitions(n: int) -> None:
    flags = [True, False, True, True, False, True][:n]
    for alpha, beta in itertools.product(EXTREMES, EXTREMES):
        expected = semivalues([True] * n, flags, 3, weight_of(ThresholdKnnBeta, n, alpha, beta))
        kernel = ThresholdKnnBeta(radius=1.0, n_classes=3, alpha=float(alpha), beta=float(beta))
        match, other = kernel.neighbor_values(np.array([n]), np.array([sum(flags)]))
        found = [match[0] if flag else other[0] for flag in flags]
        np.testing.assert_allclose(found, [float(value) for value in expected], rtol=0, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
@given(n=st.integers(1, 3_000), share=st.floats(0, 1), n_classes=st.integers(1, 10), beta=st.sampled_from([0.5, 1, 4]))
def test_neighbor_values__agree_with_the_sum_over_coalition_sizes(
    kernel: type[RadiusFormulas], n: int, share: float, n_classes: int, beta: float
) -> None:
    n_matches = round(share * n)
    parameters = parameters_of(kernel, 0.75, beta)
    counted = kernel(radius=1.0, n_classes=n_classes, **parameters).counted_values(n, n_matches)
    found = kernel(radius=1.0, n_classes=n_classes, **parameters).neighbor_values(np.array([n]), np.array([n_matches]))
    for one, other, there in zip(counted, found, (n_matches > 0, n_matches < n), strict=True):
        assert np.isnan(one) != there
        if there:  # log-gammas of n lose some digits
            np.testing.assert_allclose(other[0], one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_neighbor_values__are_zero_and_silent_where_nobody_is_near(kernel: type[RadiusFormulas]) -> None:
    nobody = np.zeros(2, np.int64)
    with np.errstate(all="raise"):
        match, other = kernel(radius=1.0, n_classes=3, **parameters_of(kernel)).neighbor_values(nobody, nobody)
    assert not match.any()
    assert not other.any()


def many_digits(kernel: type[RadiusFormulas], n: int, a: int, n_classes: int, alpha: float, beta: float) -> Any:
    """Return both values in 60 digits, from the published expectation over the probability of joining."""
    mp = mpmath.mp
    one, size = mp.mpf(1), mp.mpf(n)
    x, y = mp.mpf(alpha), mp.mpf(beta)
    if kernel is ThresholdKnnShapley:
        alone, mean = one / n, mp.harmonic(n) / n
    elif kernel is ThresholdKnnBanzhaf:
        alone = mp.mpf(2) ** (1 - size)
        mean = 2 * (1 - mp.mpf(2) ** -size) / n
    elif kernel is ThresholdKnnLoo:
        alone, mean = mp.mpf(0), one / n
    else:
        alone = mp.beta(y, n - 1 + x) / mp.beta(x, y)
        if y == 1:
            mean = x / n * (mp.digamma(x + n) - mp.digamma(x))
        else:
            ratio = mp.gammaprod([x + n, x + y - 1], [x, x + y - 1 + n])
            mean = (x + y - 1) / (n * (y - 1)) * (1 - ratio)
    eta = mean - alone
    return alone * (1 - one / n_classes) + eta * (n - a) / (n - 1), -alone / n_classes - eta * a / (n - 1)


@pytest.mark.parametrize(
    ("kernel", "alpha", "beta"),
    [
        (ThresholdKnnShapley, 1, 1),
        (ThresholdKnnBanzhaf, 1, 1),
        (ThresholdKnnLoo, 1, 1),
        *[
            (ThresholdKnnBeta, alpha, beta)
            for alpha, beta in [(1, 1), (16, 1), (1, 16), (4, 1), (0.5, 0.25), (16, 1.000001), (16, 0.999), (100, 2.5)]
        ],
    ],
)
def test_neighbor_values__keep_twelve_digits_to_a_hundred_million_neighbors(
    kernel: type[RadiusFormulas], alpha: float, beta: float
) -> None:
    n = np.repeat(LARGE, 3)
    n_matches = np.array([count for size in LARGE for count in (1, (size + 1) // 2, size - 1)])
    parameters = parameters_of(kernel, alpha, beta)
    found = np.stack(kernel(radius=1.0, n_classes=7, **parameters).neighbor_values(n, n_matches))
    with mpmath.workdps(60):
        expected = [
            many_digits(kernel, int(size), int(a), 7, alpha, beta) for size, a in zip(n, n_matches, strict=True)
        ]
        errors = [
            [abs((mpmath.mpf(float(value)) - true) / true) for value, true in zip(pair, both, strict=True)]
            for pair, both in zip(found.T, expected, strict=True)
        ]
    assert max(max(pair) for pair in errors) < TOLERANCE


@given(n=st.integers(0, 200_000), first=st.floats(0.05, 50), step=STEPS)
def test_log_product__keeps_all_but_the_last_digits(n: int, first: float, step: float) -> None:
    count = np.array([n])
    with mpmath.workdps(60):
        x, d = mpmath.mpf(first), mpmath.mpf(step)
        product = mpmath.loggamma(x + n + d) - mpmath.loggamma(x + d) - mpmath.loggamma(x + n) + mpmath.loggamma(x)
        reciprocals = mpmath.digamma(x + n) - mpmath.digamma(x)
    np.testing.assert_allclose(log_product(count, first, step)[0], float(product), rtol=2e-14)
    np.testing.assert_allclose(reciprocal_sum(count, first)[0], float(reciprocals), rtol=2e-14)


def threshold_cases() -> list[dict[str, Any]]:
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*tknn*.json"))]
    assert len(contents) == 5
    return contents


@pytest.mark.parametrize("case", threshold_cases(), ids=lambda case: case["id"])
def test_neighbor_values__equal_the_worked_cases(case: dict[str, Any]) -> None:
    kernel, parameters = METHOD_OF_VECTOR[case["method"]], case["params"]
    train, validation = case["inputs"]["train"], case["inputs"]["val"]
    given_ones = {name: parameters[name] for name in ("alpha", "beta") if name in parameters}
    rows = np.zeros((len(validation), len(train)))
    for line, point in zip(rows, validation, strict=True):
        squares = [sum((p - q) ** 2 for p, q in zip(row["x"], point["x"], strict=True)) for row in train]
        inside = np.array(squares) <= parameters["tau"] ** 2
        flags = np.array([row["y"] == point["y"] for row in train])
        counts = np.array([inside.sum()]), np.array([(inside & flags).sum()])
        match, other = kernel(radius=1.0, n_classes=parameters["C"], **given_ones).neighbor_values(*counts)
        line[:] = np.where(inside, np.where(flags, match, other), 0.0)
    players = [row["id"] for row in train]
    assert players == case["expected"]["players"]
    np.testing.assert_allclose(rows, case["expected"]["per_validation_point"], rtol=0, atol=TOLERANCE)
    exact = [float(Fraction(value)) for value in case["expected"]["value_exact"]]
    np.testing.assert_allclose(rows.mean(axis=0), exact, rtol=0, atol=TOLERANCE)
