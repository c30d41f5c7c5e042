"""How much Gaussian noise (epsilon, delta) needs, and which delta the same noise on integers gives."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import scipy

from dvspark.arguments import count_problems, is_finite, is_number, positive_problems
from dvspark.errors import ConfigError, Problem, written

# Half a dozen units of 1e-13, the error of the root, below the promised 1e-10: sigma is rounded up by it.
ROUNDED_UP = 1e-11
# From here on all a = ratio/2 - epsilon/ratio that matter, -39 to 10, have ratios within 4e-11 of each other, and their
# difference to sqrt(2 epsilon) has no digits left: the first term alone decides, which is the larger.
ONE_TERM_FROM = 1e24
# Below -39 the first term alone, Phi(a), is less than any float64: its bound exp(-a²/2) takes its place.
LOWEST_A = -39.0
# Numbers below it lose digits, and above its inverse there are none soon.
_SMALLEST = sys.float_info.min
# The orders of Rényi divergences that are tried, 6 % apart. The best of them loses a thousandth of ln(1 / delta).
_ORDERS = 1 + np.geomspace(1e-6, 1e12, 701)
# Up to this standard deviation a lattice sum is made term by term, in 0.1 s. Beyond it the bound that takes its place
# costs less than 1e-6 of sigma (1e5 and 1e6 cells, epsilon 0.1 to 8, delta 1e-6).
SUMMED_DEVIATION = 250_000
# Factors of a sum of cells are made one by one up to this many cells, which 8 MiB hold. The largest that is left stands
# for the rest of them.
_SINGLE_CELLS = 2**20
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Return the smallest standard deviation of Gaussian noise that is (epsilon, delta)-differentially private.

    It is the smallest sigma with Phi(D/2s - eps s/D) - e^eps Phi(-D/2s - eps s/D) <= delta for the L2 sensitivity D.
    The result is never below it and at most 1e-10 of it above, for any epsilon > 0.
    Cost: microseconds. Raises: ConfigError for epsilon or sensitivity that is not positive and finite, delta outside
    (0, 1), or noise that float64 does not hold.
    Source: Balle & Wang, ICML 2018, arXiv:1805.06530, theorem 8.
    """
    problems = budget_problems(epsilon, delta)
    problems += positive_problems("sensitivity", sensitivity, "give how far one row can move the counts, in L2")
    if problems:
        raise ConfigError(problems)

    # A float32 would make all of the numbers that follow float32.
    epsilon, delta, sensitivity = float(epsilon), float(delta), float(sensitivity)

    def excess(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        # Above one half the complement has the digits.
        if delta > 0.5:
            return math.log1p(-delta) - math.log(_complement(epsilon, ratio))
        return gaussian_log_delta(epsilon, ratio) - math.log(delta)

    # At the low end Phi(D/2s - eps s/D) alone is delta, or delta is so even without epsilon; at the high one it is
    # Phi(10).
    low = max(_ratio_where(float(scipy.special.ndtri(delta)), epsilon), math.sqrt(2 * math.pi) * delta, _SMALLEST)
    if epsilon > ONE_TERM_FROM:
        ratio = low
    else:
        ends = math.log(low * (1 - 1e-6)), math.log(_ratio_where(10.0, epsilon))
        if excess(ends[0]) > 0:
            raise ConfigError(_unheld("more than 4e307 times the sensitivity"))
        ratio = math.exp(scipy.optimize.brentq(excess, *ends, xtol=1e-13, rtol=1e-15))
    sigma = float(sensitivity / ratio * (1 + ROUNDED_UP))
    if not _SMALLEST <= sigma < math.inf:
        raise ConfigError(_unheld(f"sigma {sigma:g}"))
    return sigma


def gaussian_log_delta(epsilon: float, ratio: float) -> float:
    """Return ln delta of Gaussian noise, any ``ratio`` = sensitivity / sigma > 0; relative error of delta 1e-12.

    With a = ratio/2 - epsilon/ratio, delta = phi(a) (R(-a) - R(ratio - a)), R(x) = (1 - Phi(x)) / phi(x), since
    phi(a) = e^epsilon phi(a - ratio): no exponential of epsilon, no difference of tails.
    """
    a = ratio / 2 - epsilon / ratio
    if a < LOWEST_A:
        return -a * a / 2
    if ratio < 0.1:
        # The difference as an integral of -R'(y) = 1 - y R(y): near each other the two R cancel.
        y = ratio * (_NODES + 1) / 2 - a
        difference = ratio / 2 * float(_WEIGHTS @ (1 - y * _mills(y)))
    else:
        difference = float(_mills(-a) - _mills(ratio - a))
    return -a * a / 2 - math.log(2 * math.pi) / 2 + math.log(difference)


def discrete_gaussian_delta(epsilon: float, sigma: float, n_cells: int, step: int = 1) -> float:
    """Return a delta that discrete Gaussian noise delivers when ``n_cells`` integer cells move by ``step`` each.

    - The delta is exact for one cell, and otherwise an upper bound. The bound is 1e-15 too large for sigma >= 2.5, and
      0.2 % for sigma = 1, two cells and epsilon 1. For sigma < 0.5 nothing better is proven than the bound of zCDP.
    - It falls with epsilon, and is smaller for a row that moves fewer cells.
    - Discrete noise has the zCDP of the continuous Gaussian, rho = n_cells step^2 / (2 sigma^2), but not its delta.
      With the sigma for which the continuous Gaussian has delta 1e-5 at epsilon 1, one cell has 1.035e-5 (sigma
      3.7306), and 20 cells have 1.00009e-5 (sigma 16.684).
    Cost: at most 5 million float64 terms. Raises: ConfigError for an epsilon that is no finite number from 0, a sigma
    that is not positive and finite, or another number of cells or step than a whole number from 1.

    The privacy loss of noise X is (2 step S + n_cells step^2) / (2 sigma^2) with S = sum X. For one cell this is
    theorem 7 of Canonne, Kamath & Steinke, NeurIPS 2020, arXiv:2004.00010. For several cells, S is a discrete Gaussian
    of variance n_cells sigma^2 up to factors e^±tau (Kairouz, Liu & Steinke, ICML 2021, arXiv:2102.06387, from sigma
    1/2).
    """
    problems = positive_problems("sigma", sigma, "give the sigma of a release")
    if not is_finite(epsilon) or epsilon < 0:
        problems.append(Problem("epsilon", "a finite number from 0", written(epsilon), "0 hides a row wholly"))
    problems += count_problems("n_cells", n_cells, "two for each validation point that a changed row can move")
    problems += count_problems("step", step, "1 for a row; for an owner the limit of its rows")
    if problems:
        raise ConfigError(problems)
    delta = zcdp_delta(epsilon, n_cells * step**2 / (2 * sigma**2))
    return min(delta, _lattice_delta(epsilon, sigma, n_cells, step))


def zcdp_delta(epsilon: float, rho: float) -> float:
    """Return a delta that rho-zCDP delivers at ``epsilon``, at most 1; it falls with epsilon and grows with rho.

    Source: Canonne, Kamath & Steinke, NeurIPS 2020, arXiv:2004.00010, corollary 13.
    """
    with np.errstate(over="ignore"):
        log_delta = (_ORDERS - 1) * (_ORDERS * rho - epsilon) + _ORDERS * np.log1p(-1 / _ORDERS) - np.log(_ORDERS - 1)
    return math.exp(min(float(log_delta.min()), 0.0))


def _lattice_delta(epsilon: float, sigma: float, n_cells: int, step: int) -> float:
    """Return `discrete_gaussian_delta` from the distribution of S, or 1 if this distribution is not known."""
    if n_cells > 1 and sigma < 0.5:
        return 1.0
    others = np.arange(1, min(n_cells, _SINGLE_CELLS))
    of_each = np.exp(-2 * (math.pi * sigma) ** 2 * others / (others + 1))
    tau = 10 * float(of_each.sum())
    if n_cells > _SINGLE_CELLS:  # they fall
        tau += 10 * (n_cells - _SINGLE_CELLS) * float(of_each[-1])
    if tau > 1:
        return 1.0
    epsilon -= 2 * tau
    deviation = sigma * math.sqrt(n_cells)
    threshold = epsilon * sigma**2 / step - n_cells * step / 2
    if deviation > SUMMED_DEVIATION:
        delta = math.exp(gaussian_log_delta(epsilon, step * math.sqrt(n_cells) / sigma))
        delta += _largest_term(threshold, deviation, n_cells * step)
    else:
        last = math.ceil(math.hypot(max(threshold, 0.0), 10 * deviation))
        # S beyond the threshold: where the loss is more than epsilon.
        s = np.arange(max(math.floor(threshold) + 1, -last), last + 1, dtype=np.float64)
        terms = -np.exp(-((s / deviation) ** 2) / 2) * np.expm1(step * (threshold - s) / sigma**2)
        delta = float(terms.sum()) / _theta(deviation)
    return min(math.exp(tau) * delta, 1.0)


def budget_problems(epsilon: object, delta: object) -> list[Problem]:
    """Return what is wrong with epsilon and delta."""
    problems = positive_problems("epsilon", epsilon, "1 is a common choice; smaller is more private")
    if not is_number(delta) or not 0 < delta < 1:
        hint = "give a delta far below 1 / (number of training rows)"
        problems.append(Problem("delta", "a number between 0 and 1, both excluded", written(delta), hint))
    return problems


def _unheld(got: str) -> Problem:
    """Return the problem of noise that float64 does not hold, or not with all its digits."""
    hint = "give the sensitivity in other units, or take a larger epsilon or delta if there is too much noise"
    return Problem("sensitivity", "noise from 2.3e-308 to 1.7e308", got, hint)


def _ratio_where(a: float, epsilon: float) -> float:
    """Return the ratio with ratio/2 - epsilon/ratio = a."""
    root = math.hypot(a, math.sqrt(2) * math.sqrt(epsilon))
    return epsilon / ((root - a) / 2) if a < 0 else root + a


def _complement(epsilon: float, ratio: float) -> float:
    """Return 1 - delta, a sum of two positive terms."""
    a = ratio / 2 - epsilon / ratio
    return float(scipy.special.ndtr(-a) + math.exp(-a * a / 2) / math.sqrt(2 * math.pi) * _mills(ratio - a))


def _mills(x: Any) -> Any:
    """Return (1 - Phi(x)) / phi(x)."""
    return math.sqrt(math.pi / 2) * scipy.special.erfcx(x / math.sqrt(2))


def _theta(deviation: float) -> float:
    """Return the sum of exp(-z^2 / (2 deviation^2)) over the integers."""
    if deviation > 3:
        # By Poisson summation the rest is 2 exp(-2 pi^2 deviation^2) of it, 1e-76.
        return deviation * math.sqrt(2 * math.pi)
    z = np.arange(1, math.ceil(40 * deviation) + 1)
    return 1 + 2 * float(np.exp(-((z / deviation) ** 2) / 2).sum())


def _largest_term(threshold: float, deviation: float, n_cells: int) -> float:
    """Return a bound on the lattice sum's largest term; the terms have one peak, so the sum is the integral plus it."""
    at_peak = math.exp(-((max(threshold, 0.0) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    return at_peak * min(1.0, n_cells / (math.e * threshold)) if threshold > 0 else at_peak
