"""The private release: its noise against other mathematics, its samples against the true probabilities."""

from __future__ import annotations

import math
import random
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chisquare, norm

import dvspark
from dvspark.errors import ConfigError, InputError
from dvspark.privacy import (
    Release,
    calibrate,
    calibrate_values,
    delta_warning,
    discrete_gaussian,
    discrete_gaussian_delta,
    gaussian_sigma,
    noisy_values,
    privacy_problems,
    private_release,
    sampled_rows,
    sampler,
    values_from_noisy_counts,
)


def exact_delta(epsilon: float, ratio: Any) -> Any:
    """Delta of Gaussian noise with sensitivity / sigma = ratio, by the definition, to 400 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(400):
        epsilon, ratio = mpmath.mpf(epsilon), mpmath.mpf(ratio)
        a, b = ratio / 2 - epsilon / ratio, -ratio / 2 - epsilon / ratio
        return mpmath.erfc(-a / mpmath.sqrt(2)) / 2 - mpmath.exp(epsilon) * mpmath.erfc(-b / mpmath.sqrt(2)) / 2


def convolved_delta(epsilon: float, sigma: float, n_cells: int) -> float:
    """Delta of discrete Gaussian noise on cells of which each is moved by 1, by convolving their distributions."""
    z = np.arange(-math.ceil(40 * sigma), math.ceil(40 * sigma) + 1)
    one = np.exp(-((z / sigma) ** 2) / 2)
    of_sum = np.ones(1)
    for _ in range(n_cells):
        of_sum = np.convolve(of_sum, one / one.sum())
    half = len(of_sum) // 2
    loss = (2 * np.arange(-half, half + 1) + n_cells) / (2 * sigma**2)
    return float((of_sum * -np.expm1(np.minimum(epsilon - loss, 0))).sum())


# --- how much noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epsilon", "delta", "sensitivity", "n_validation", "expected"),
    [(1, 1e-5, 1.0, 1, 3.7306316348159463), (0.5, 1e-6, 1.0, 100, 80.57618480725036)],
)
def test_gaussian_sigma__worked_cases(
    epsilon: float, delta: float, sensitivity: float, n_validation: int, expected: float
) -> None:
    sigma = dvspark.privacy.gaussian_sigma(epsilon, delta, sensitivity * math.sqrt(n_validation))
    assert sigma == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-6, 1e-3, 0.1, 1, 8, 50, 1e3, 1e6])
@pytest.mark.parametrize("delta", [1e-300, 1e-30, 1e-5, 0.3, 0.5, 0.7, 0.999, 1 - 1e-12])
def test_gaussian_sigma__delivers_delta_and_a_little_less_noise_does_not(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon, delta, 1.0)
    assert exact_delta(epsilon, 1 / Fraction(sigma)) <= delta
    assert exact_delta(epsilon, 1 / (Fraction(sigma) * (1 - Fraction(1, 10**10)))) > delta


@pytest.mark.parametrize(("epsilon", "delta"), [(5e-324, 1e-5), (5e-324, 1e-300), (1, 5e-324), (1e-3, 1e-310)])
def test_gaussian_sigma__of_the_smallest_numbers_delivers_delta_too(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon, delta, 1.0)
    assert exact_delta(epsilon, 1 / Fraction(sigma)) <= delta
    assert exact_delta(epsilon, 1 / (Fraction(sigma) * (1 - Fraction(1, 10**10)))) > delta


@pytest.mark.parametrize("kind", [np.float16, np.float32, lambda number: Fraction(float(np.float32(number)))])
def test_noise__is_that_of_the_numbers_whatever_their_type(kind: Any) -> None:
    """Of a float32, the noise had the digits of float32, and could be too little."""
    given = kind(0.3), kind(1e-3), kind(0.7)
    plain = [float(number) for number in given]
    assert gaussian_sigma(*given) == gaussian_sigma(*plain)
    epsilon, delta = given[:2]
    assert calibrate(epsilon, delta, "add_remove") == calibrate(plain[0], plain[1], "add_remove")


@pytest.mark.parametrize(
    ("epsilon", "delta", "sensitivity"),
    [(5e-324, 5e-324, 1.0), (1e-12, 1e-12, 1e300), (1e300, 1e-5, 1e-200), (1.0, 1e-5, 5e-324)],
)
def test_gaussian_sigma__refuses_noise_that_float64_does_not_hold(
    epsilon: float, delta: float, sensitivity: float
) -> None:
    """Such noise was infinite, none at all, or an error of SciPy."""
    with pytest.raises(ConfigError, match=r"noise from 2\.3e-308"):
        gaussian_sigma(epsilon, delta, sensitivity)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.3, 1e-3), (1, 1e-5), (4, 0.01)])
def test_gaussian_sigma__is_the_integral_of_what_exceeds_epsilon(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon, delta, 2.0)
    start = 1 - epsilon * sigma**2 / 2  # where the density is e^epsilon times the one moved by 2

    def exceeds(x: float) -> float:
        return float(norm.pdf(x, 0, sigma) - math.exp(epsilon) * norm.pdf(x, 2, sigma))

    integral, _ = quad(exceeds, start - 40 * sigma, start, epsabs=1e-16, limit=500, points=[start - sigma])
    assert integral == pytest.approx(delta, rel=1e-8)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-8), (1, 1e-5), (10, 1e-6)])
def test_gaussian_sigma__agrees_with_dp_accounting(epsilon: float, delta: float) -> None:
    accounting = pytest.importorskip("dp_accounting")
    if not hasattr(accounting, "get_sigma_gaussian"):  # 0.4
        pytest.skip("this dp-accounting has no such function")
    other = accounting.get_sigma_gaussian(epsilon, delta)
    assert gaussian_sigma(epsilon, delta, 1.0) == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("delta", [1e-300, 1e-6, 0.3, 0.5, 0.999, 1 - 1e-15])
def test_gaussian_sigma__falls_to_nothing_as_epsilon_grows(delta: float) -> None:
    sigmas = np.array([gaussian_sigma(10.0**power, delta, 1.0) for power in range(-300, 309)])
    assert (sigmas[1:] <= sigmas[:-1] * (1 + 1e-12)).all()
    assert sigmas[-1] == pytest.approx(1 / math.sqrt(2) / 1e154, rel=1e-9)


@pytest.mark.parametrize("delta", [1e-12, 1e-6, 0.1])
@pytest.mark.parametrize(("n_validation", "rows"), [(1, 1), (2, 1), (100, 1), (3, 5)])
def test_calibrate__a_larger_epsilon_never_has_more_noise_and_any_noise_can_be_had(
    delta: float, n_validation: int, rows: int
) -> None:
    unit = ("row", 1) if rows == 1 else ("owner", rows)
    releases = [
        calibrate(10**power, delta, "add_remove", 1.0, n_validation, *unit) for power in np.arange(-2, 12, 0.25)
    ]
    sigmas = np.array([release.sigma for release in releases])
    assert (np.diff(sigmas) <= 0).all()
    assert sigmas[-1] < 1e-5 * releases[-1].sensitivity
    assert all(one.sigma >= gaussian_sigma(one.epsilon, delta, one.sensitivity) for one in releases)


def test_calibrate__refuses_noise_that_no_count_can_hold() -> None:
    with pytest.raises(ConfigError, match="noise of at most"):
        calibrate(1e-16, 1e-17, "add_remove", 1.0, 100)


@pytest.mark.parametrize("n_validation", [10**10, 10**12, 2**53])
def test_calibrate__of_any_number_of_points_takes_no_memory_for_each(n_validation: int) -> None:
    release = calibrate(1.0, 1e-5, "add_remove", n_validation=n_validation)
    assert release.sigma == pytest.approx(gaussian_sigma(1.0, 1e-5, math.sqrt(n_validation)), rel=1e-6)


@pytest.mark.parametrize("count", [2**53 + 1, 10**400, 10**5000], ids=["2^53 + 1", "10^400", "10^5000"])
def test_calibrate__refuses_counts_that_float64_does_not_hold(count: int) -> None:
    with pytest.raises(ConfigError) as refused:
        calibrate(1.0, 1e-5, "add_remove", 1.0, count, "owner", count)
    assert [problem.where for problem in refused.value.problems] == ["n_validation", "rows_per_owner"]


@pytest.mark.parametrize(("epsilon", "rows"), [(0.5, 2), (1.0, 3), (4.0, 2), (20.0, 5)])
def test_calibrate__owners_of_several_rows_get_their_delta(epsilon: float, rows: int) -> None:
    release = calibrate(epsilon, 1e-4, "add_remove", 1.0, 1, "owner", rows)
    assert release.sensitivity == rows
    sigma, reach = release.sigma, math.ceil(12 * release.sigma) + 1
    z = np.arange(-reach, reach + 1)
    of_cell = np.exp(-((z / sigma) ** 2) / 2)
    of_cell /= of_cell.sum()
    # All ways in which an owner's rows can be matches or not.
    worst = 0.0
    for shift in range(rows + 1):
        cells = [one for one in (shift, rows - shift) if one]
        losses, weights = np.zeros(1), np.ones(1)
        for moved in cells:
            loss = (2 * moved * z + moved**2) / (2 * sigma**2)
            losses, weights = (losses[:, None] + loss).ravel(), np.outer(weights, of_cell).ravel()
            kept = weights > 1e-12
            losses, weights = losses[kept], weights[kept]
        worst = max(worst, float((weights * np.maximum(-np.expm1(epsilon - losses), 0)).sum()))
    assert worst <= 1e-4


@given(sensitivity=st.floats(1e-6, 1e6), epsilon=st.floats(1e-3, 100), delta=st.floats(1e-30, 0.9))
def test_gaussian_sigma__scales_with_the_sensitivity(sensitivity: float, epsilon: float, delta: float) -> None:
    expected = sensitivity * gaussian_sigma(epsilon, delta, 1.0)
    assert gaussian_sigma(epsilon, delta, sensitivity) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("bad", [0, -1.0, math.inf, math.nan, True, "1", None])
def test_gaussian_sigma__refuses_and_names_everything(bad: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        gaussian_sigma(bad, bad, bad)
    assert [problem.where for problem in refused.value.problems] == ["epsilon", "delta", "sensitivity"]


@pytest.mark.parametrize("delta", [1, 1.5])
def test_gaussian_sigma__refuses_a_delta_from_one(delta: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        gaussian_sigma(1.0, delta, 1.0)


@pytest.mark.parametrize(
    ("epsilon", "sigma"),
    [(0.5, 0.3), (1, 3.7306316348159463), (4, 1.0), (8, 0.66), (0.1, 36.0), (396, 0.05)],  # the last has one term
)
def test_discrete_gaussian_delta__is_exact_for_one_cell(epsilon: float, sigma: float) -> None:
    expected = convolved_delta(epsilon, sigma, 1)
    assert discrete_gaussian_delta(epsilon, sigma, 1) == pytest.approx(expected, rel=1e-10, abs=0)


@pytest.mark.parametrize("n_cells", [2, 3, 5, 20])
@pytest.mark.parametrize("sigma", [0.5, 0.6, 0.8, 1.0, 2.5])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
def test_discrete_gaussian_delta__is_a_bound_for_several_cells(epsilon: float, sigma: float, n_cells: int) -> None:
    bound, exact = discrete_gaussian_delta(epsilon, sigma, n_cells), convolved_delta(epsilon, sigma, n_cells)
    assert exact <= bound * (1 + 1e-12)
    if sigma >= 2.5:
        assert bound == pytest.approx(exact, rel=1e-10)


def test_discrete_gaussian_delta__can_exceed_the_continuous_one() -> None:
    # Hence sigma is raised: the same sigma does not deliver the same delta on integers.
    assert convolved_delta(1, gaussian_sigma(1, 1e-5, 1.0), 1) > 1.03e-5


@pytest.mark.parametrize(("epsilon", "n_cells"), [(1.0, 400), (0.01, 30), (50.0, 2000), (4.0, 2)])
def test_discrete_gaussian_delta__the_bound_of_wide_sums_is_above_the_sum(
    monkeypatch: pytest.MonkeyPatch, epsilon: float, n_cells: int
) -> None:
    sigma = gaussian_sigma(epsilon, 1e-6, math.sqrt(n_cells))
    summed = discrete_gaussian_delta(epsilon, sigma, n_cells)
    monkeypatch.setattr("dvspark.privacy.gaussian.SUMMED_DEVIATION", 0)
    assert summed <= discrete_gaussian_delta(epsilon, sigma, n_cells) < 4 * summed


# --- the release --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("adjacency", "cells"), [("add_remove", 1), ("replace_one", 2)])
def test_calibrate__all_points_are_one_mechanism(adjacency: str, cells: int) -> None:
    release = calibrate(0.5, 1e-6, adjacency, 1.0, 100)
    sigma = gaussian_sigma(0.5, 1e-6, math.sqrt(100 * cells))
    assert release.sigma == pytest.approx(sigma, rel=1e-6)
    assert release.sigma >= sigma
    expected = Release(0.5, 1e-6, release.sigma, math.sqrt(100 * cells), adjacency, "analytic Gaussian", 1.0, 100)
    assert release == expected


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0, 8.0])
@pytest.mark.parametrize("n_validation", [1, 2, 7])
def test_calibrate__integers_get_their_delta_too(epsilon: float, n_validation: int) -> None:
    release = calibrate(epsilon, 1e-6, "add_remove", 1.0, n_validation)
    assert convolved_delta(epsilon, release.sigma, n_validation) <= 1e-6
    assert release.sigma < 1.04 * gaussian_sigma(epsilon, 1e-6, release.sensitivity)


@pytest.mark.parametrize(("sampling_rate", "epsilon"), [(0.5, 1.0), (0.1, 0.5)])
def test_calibrate__sampled_release_agrees_with_the_exact_formula(sampling_rate: float, epsilon: float) -> None:
    # A mixture q P' + (1 - q) P exceeds e^eps P by q times what P' exceeds (1 + (e^eps - 1) / q) P.
    pytest.importorskip("dp_accounting")
    release = calibrate(epsilon, 1e-6, "add_remove", sampling_rate, 100)
    whole = gaussian_sigma(math.log(1 + (math.exp(epsilon) - 1) / sampling_rate), 1e-6 / sampling_rate, 10.0)
    assert release.accountant.startswith("PLD")
    assert whole * (1 - 1e-9) <= release.sigma <= whole * (1 + 1e-5)
    assert release.sigma < calibrate(epsilon, 1e-6, "add_remove", 1.0, 100).sigma


@pytest.mark.long
def test_calibrate__sampling_never_exceeds_epsilon() -> None:
    accounting = pytest.importorskip("dp_accounting")
    release = calibrate(1.0, 1e-5, "add_remove", 0.3, 9)
    noise = accounting.GaussianDpEvent(release.sigma / 3)
    accountant = accounting.pld.PLDAccountant().compose(accounting.PoissonSampledDpEvent(0.3, noise))
    assert 1 - 1e-4 < accountant.get_epsilon(1e-5) <= 1


def test_calibrate__names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    assert calibrate(1.0, 1e-5, "add_remove", 1.0, 4).sampling_rate == 1.0
    with pytest.raises(ConfigError, match=r"pip install 'dvspark\[dp\]'"):
        calibrate(1.0, 1e-5, "add_remove", 0.5, 4)


def test_privacy_problems__all_at_once() -> None:
    problems = privacy_problems(0, 1, "replace", 2, 0)
    assert [problem.where for problem in problems] == ["epsilon", "delta", "adjacency", "n_validation", "sampling_rate"]
    assert "replace_one" in problems[2].hint
    with pytest.raises(ConfigError) as refused:
        calibrate(0, 1, "replace", 2, 0)
    assert refused.value.problems == tuple(problems)


@pytest.mark.parametrize("rate", [0, -0.5, 1.0001, math.nan, True, "half"])
def test_privacy_problems__sampling_rate_is_a_share(rate: Any) -> None:
    assert [problem.where for problem in privacy_problems(1, 1e-5, "add_remove", rate)] == ["sampling_rate"]


def test_privacy_problems__replacing_and_sampling_do_not_go_together() -> None:
    assert [problem.where for problem in privacy_problems(1, 1e-5, "replace_one", 0.5)] == ["adjacency"]
    assert privacy_problems(1, 1e-5, "replace_one", 1.0) == []
    assert privacy_problems(1, 1e-5, "add_remove", 0.5) == []


def test_privacy_problems__delta_is_below_the_sampling_rate() -> None:
    assert [problem.where for problem in privacy_problems(1, 0.1, "add_remove", 0.1)] == ["delta"]
    assert privacy_problems(1, 0.1, "add_remove", 0.2) == []


def test_delta_warning__from_one_over_the_training_rows() -> None:
    assert delta_warning(0.99e-3, 1000) is None
    assert "1 / n_train" in (delta_warning(1e-3, 1000) or "")


def test_private_release__adds_one_draw_to_every_count() -> None:
    release = calibrate(1.0, 1e-5, "add_remove", 1.0, 3)
    counts = np.array([[5, 0], [100, 7], [0, 0]])
    noise = discrete_gaussian(release.sigma, 6, random.Random(3).getrandbits)
    noisy = private_release(counts, release, random.Random(3).getrandbits)
    assert noisy.dtype == np.int64
    np.testing.assert_array_equal(noisy - counts, noise.reshape(3, 2))
    assert len(set(noise)) > 1


@pytest.mark.parametrize("counts", [np.zeros((2, 2), np.int64), np.zeros((3, 2)), np.full((3, 2), -1), np.int64(1)])
def test_private_release__refuses_what_was_not_calibrated_for(counts: Any) -> None:
    with pytest.raises(InputError, match="int64 counts of shape"):
        private_release(counts, calibrate(1.0, 1e-5, "add_remove", 1.0, 3))


# --- exact samples ------------------------------------------------------------------------------------------


def probabilities(z: Any, sigma: float) -> Any:
    weights = np.exp(-((np.arange(-400, 401) / sigma) ** 2) / 2)
    return np.exp(-((z / sigma) ** 2) / 2) / weights.sum()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.7, 8.0])
def test_discrete_gaussian__has_the_true_probabilities(sigma: float) -> None:
    n = 20_000
    samples = discrete_gaussian(sigma, n, random.Random(1).getrandbits)
    reach = max(z for z in range(400) if n * probabilities(z, sigma) >= 5)
    z = np.arange(-reach, reach + 1)
    found = [np.count_nonzero(samples == place) for place in z]
    expected = n * probabilities(z, sigma)
    # All that is further out is one cell.
    assert chisquare([*found, n - sum(found)], [*expected, n - expected.sum()]).pvalue > 0.01


@pytest.mark.parametrize("sigma", [0.3, 80.0, 80.57618480725036])
def test_discrete_gaussian__mean_and_variance(sigma: float) -> None:
    n = 20_000
    samples = discrete_gaussian(sigma, n, random.Random(2).getrandbits)
    z = np.arange(-1000, 1001)
    weights = np.exp(-((z / sigma) ** 2) / 2)
    variance = (weights * z**2).sum() / weights.sum()
    fourth = (weights * z**4.0).sum() / weights.sum()
    assert samples.dtype == np.int64
    assert abs(samples.mean()) < 4 * math.sqrt(variance / n)
    assert abs((samples**2).mean() - variance) < 4 * math.sqrt((fourth - variance**2) / n)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 3), (1, 1), (5, 2), (7, 1)])
def test_bernoulli_exp__frequency(numerator: int, denominator: int) -> None:
    n, expected = 40_000, math.exp(-numerator / denominator)
    bits = random.Random(4).getrandbits
    frequency = sum(sampler._bernoulli_exp(numerator, denominator, bits) for _ in range(n)) / n
    assert abs(frequency - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def test_laplace__has_the_true_probabilities() -> None:
    n, scale, bits = 20_000, 3, random.Random(5).getrandbits
    samples = np.array([sampler._laplace(scale, bits) for _ in range(n)])
    z = np.arange(-15, 16)
    q = math.exp(-1 / scale)
    expected = n * (1 - q) / (1 + q) * q ** np.abs(z)
    found = [np.count_nonzero(samples == place) for place in z]
    assert chisquare([*found, n - sum(found)], [*expected, n - expected.sum()]).pvalue > 0.01


@pytest.mark.parametrize("bound", [1, 2, 5, 8])
def test_below__all_numbers_are_equally_likely(bound: int) -> None:
    bits = random.Random(6).getrandbits
    found = np.bincount([sampler._below(bound, bits) for _ in range(8000)], minlength=bound)
    assert len(found) == bound
    assert chisquare(found).pvalue > 0.01 if bound > 1 else found[0] == 8000


def test_discrete_gaussian__large_samples_have_all_their_digits() -> None:
    # Beyond 2^53 floats are even: integers from float arithmetic would be, too.
    samples = discrete_gaussian(2.0**52, 4000, random.Random(7).getrandbits)
    large = samples[np.abs(samples) > 2**53]
    assert len(large) > 100
    assert 0.35 < np.mean(large % 2) < 0.65
    assert 0.95 < samples.astype(np.float64).std() / 2.0**52 < 1.05


def test_discrete_gaussian__same_bits_same_samples_other_bits_others() -> None:
    def draw(seed: int) -> list[int]:
        return discrete_gaussian(5.0, 50, random.Random(seed).getrandbits).tolist()

    assert draw(8) == draw(8) != draw(9)
    assert discrete_gaussian(1e6, 20).tolist() != discrete_gaussian(1e6, 20).tolist()
    assert discrete_gaussian(1.0, 0).shape == (0,)


@pytest.mark.parametrize("sigma", [0, -1.0, math.inf, math.nan, 2.0**53, "1"])
def test_discrete_gaussian__refuses_a_sigma_it_cannot_hold(sigma: Any) -> None:
    with pytest.raises(ConfigError, match="sigma"):
        discrete_gaussian(sigma, 1)


@pytest.mark.parametrize("size", [-1, 2.5, True, "3", None, math.nan])
def test_discrete_gaussian__refuses_a_size_that_is_none(size: Any) -> None:
    """Fewer than no samples were none, without a word."""
    with pytest.raises(ConfigError, match=r"size\n +expected: a whole number from 0"):
        discrete_gaussian(1.0, size)


# --- what other functions are given --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [(math.nan, 0.0, 1.5, 0), (-1.0, -2.0, 0, -1), ("1", math.inf, True, 2.5), (None, None, None, None)]
)
def test_discrete_gaussian_delta__tells_of_all_that_is_wrong(given: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        discrete_gaussian_delta(*given)
    assert sorted(problem.where for problem in refused.value.problems) == ["epsilon", "n_cells", "sigma", "step"]


@pytest.mark.parametrize(("delta", "n_train"), [(0, 0), (math.nan, -5), (2.0, 1.5), ("a", None)])
def test_delta_warning__tells_of_all_that_is_wrong(delta: Any, n_train: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        delta_warning(delta, n_train)
    assert [problem.where for problem in refused.value.problems] == ["delta", "n_train"]


# --- rows that a key draws ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [list(range(200)), [f"row {n}" for n in range(200)]])
def test_sampled_rows__are_those_of_the_ids_whatever_holds_them(ids: list[int | str]) -> None:
    """NumPy's own numbers and words were other ids."""
    drawn = sampled_rows(ids, b"secret", 0.3)
    assert 30 < drawn.sum() < 90
    np.testing.assert_array_equal(sampled_rows(np.array(ids), b"secret", 0.3), drawn)  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "rate"), [(b"", 2.0), (b"k" * 65, -0.1), ("secret", math.nan), (None, "1")])
def test_sampled_rows__refuses_a_key_and_a_rate_that_are_none(key: Any, rate: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        sampled_rows([1, 2], key, rate)
    assert [problem.where for problem in refused.value.problems] == ["key", "rate"]
    assert "kkk" not in str(refused.value)


# --- values from counts -------------------------------------------------------------------------------------


def defined_values(n_match: int, n_nonmatch: int, n_classes: int) -> tuple[Fraction | None, Fraction | None]:
    """Values of a match and a non-match by the definition: the mean of what they add over all orders of neighbors."""

    def utility(match: int, n: int) -> Fraction:
        return Fraction(match, n) if n else Fraction(1, n_classes)

    def value(own: int) -> Fraction | None:
        match, nonmatch = n_match - own, n_nonmatch - (1 - own)
        if min(match, nonmatch) < 0:
            return None
        n = match + nonmatch
        total = Fraction(0)
        for size in range(n + 1):
            for m in range(max(0, size - nonmatch), min(match, size) + 1):
                share = Fraction(math.comb(match, m) * math.comb(nonmatch, size - m), math.comb(n, size))
                total += share * (utility(m + own, size + 1) - utility(m, size))
        return total / (n + 1)

    return value(1), value(0)


@given(match=st.integers(0, 40), nonmatch=st.integers(0, 40), n_classes=st.integers(1, 5))
def test_values_from_noisy_counts__whole_counts_give_the_shapley_values(
    match: int, nonmatch: int, n_classes: int
) -> None:
    found = values_from_noisy_counts(match, nonmatch, n_classes)
    for value, expected in zip(found, defined_values(match, nonmatch, n_classes), strict=True):
        if expected is not None:  # there is such a row
            assert value == pytest.approx(float(expected), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize(
    ("noisy", "expected"),
    [
        ((4.4, 2.6), (0.18520408163265306, -0.22312925170068026)),
        ((-1.2, 0.3), (0.5, -0.5)),
        ((0.2, -3.0), (0.5, -0.5)),
    ],
)
def test_values_from_noisy_counts__worked_cases(noisy: tuple[float, float], expected: tuple[float, float]) -> None:
    found = dvspark.privacy.values_from_noisy_counts(*noisy, 2)
    assert found == pytest.approx(expected, rel=1e-14)
    assert all(isinstance(value, float) for value in found)


def test_values_from_noisy_counts__halves_go_up() -> None:
    for half, whole in [(2.5, 3), (3.5, 4), (0.5, 1), (-0.5, 0)]:
        assert values_from_noisy_counts(half, half, 3) == values_from_noisy_counts(whole, whole, 3)


@given(counts=st.lists(st.tuples(st.floats(-50, 1e9), st.floats(-50, 1e9)), max_size=8))
def test_values_from_noisy_counts__arrays_are_their_elements(counts: list[tuple[float, float]]) -> None:
    table = np.array(counts).reshape(-1, 2)
    of_match, of_nonmatch = values_from_noisy_counts(table[:, 0], table[:, 1], 3)
    assert list(zip(of_match, of_nonmatch, strict=True)) == [values_from_noisy_counts(*row, 3) for row in counts]


def test_values_from_noisy_counts__masked_counts_are_missing() -> None:
    hidden = np.ma.array([1, 2], mask=[False, True])
    for match, other in ((hidden, [1, 2]), ([1, 2], hidden)):
        with pytest.raises(ConfigError, match="missing"):
            values_from_noisy_counts(match, other, 2)


@pytest.mark.parametrize("n", [63, 64, 65, 66, 1000, 10**8])
def test_values_from_noisy_counts__harmonic_numbers_of_any_length(n: int) -> None:
    # A match among n neighbors of which n - 1 do not match: (1 - 1/C) / n + (H_n - 1) / n.
    mpmath = pytest.importorskip("mpmath")
    of_match, _ = values_from_noisy_counts(1, n - 1, 2)
    assert of_match == pytest.approx(float((mpmath.harmonic(n) - 0.5) / n), rel=1e-14)


@pytest.mark.parametrize("n_classes", [0, -1, 2.0, True, None])
def test_values_from_noisy_counts__refuses_no_classes(n_classes: Any) -> None:
    with pytest.raises(ConfigError, match="n_classes"):
        values_from_noisy_counts(1, 1, n_classes)


def test_values_from_noisy_counts__refuses_missing_counts() -> None:
    with pytest.raises(ConfigError, match="noisy_nonmatch"):
        values_from_noisy_counts([1.0, 2.0], [1.0, math.nan], 2)


# --- values with noise of their own -------------------------------------------------------------------------


def test_noisy_values__lists_get_the_noise_of_arrays() -> None:
    release = calibrate_values(1.0, 1e-5, "add_remove", 0.5)
    of_list, of_array = (
        noisy_values(values, release, 0.5, random.Random(3).getrandbits) for values in ([1, 2.5], np.array([1, 2.5]))
    )
    assert of_list.tolist() == of_array.tolist()


@pytest.mark.parametrize("values", [[1.0, math.nan], [math.inf], [1e300], [-3e9], np.ones((2, 2)), 1.0, ["a"], None])
def test_noisy_values__refuses_what_noise_cannot_hide(values: Any) -> None:
    with pytest.raises(InputError, match=r"1\. values"):
        noisy_values(values, calibrate_values(1.0, 1e-5, "add_remove", 0.5), 0.5)


def test_noisy_values__of_the_largest_values_have_all_their_noise() -> None:
    """Their units have 53 bits, so noise that is added in floating point would lose some of its own."""
    release, large = calibrate_values(1.0, 1e-5, "add_remove", 1.0), float(2**32)
    noisy = [noisy_values([v], release, 1.0, random.Random(5).getrandbits)[0] for v in (0.0, large, -large)]
    assert 0 < abs(noisy[0]) < 100
    assert [noisy[1] - large, noisy[2] + large] == pytest.approx([noisy[0]] * 2, abs=2e-6)


def test_noisy_values__refuses_a_release_of_another_sensitivity_or_of_counts() -> None:
    for adjacency in ("add_remove", "replace_one"):
        with pytest.raises(ConfigError, match=r"expected: one for sensitivity 5\.0\n    got: one for 0\.5"):
            noisy_values([1.0], calibrate_values(1.0, 1e-5, adjacency, 0.5), 5.0)
    with pytest.raises(ConfigError, match="expected: a release of a value"):
        noisy_values([1.0], calibrate(1.0, 1e-5, "add_remove"), 0.5)
    with pytest.raises(ConfigError, match="expected: a release of counts"):
        private_release(np.zeros((1, 2), np.int64), calibrate_values(1.0, 1e-5, "add_remove", 0.5))


@pytest.mark.parametrize("sensitivity", [0, 1e-320, 1e308, math.nan, "1"])
def test_calibrate_values__refuses_a_sensitivity_whose_unit_has_no_digits(sensitivity: Any) -> None:
    with pytest.raises(ConfigError, match=r"1\. sensitivity"):
        calibrate_values(1.0, 1e-5, "add_remove", sensitivity)
    with pytest.raises(ConfigError, match=r"1\. sensitivity"):
        noisy_values([1.0], calibrate_values(1.0, 1e-5, "add_remove", 1.0), sensitivity)
