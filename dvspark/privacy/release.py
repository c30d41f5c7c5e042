"""The release of all noisy counts at once: its budget, its noise, and the one draw."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvspark.arguments import choice_problems, count_problems, is_count, is_number
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.extras import import_extra
from dvspark.privacy.gaussian import budget_problems, discrete_gaussian_delta, gaussian_sigma
from dvspark.privacy.sampler import LARGEST_SIGMA, RandomBits, discrete_gaussian
from dvspark.schemas import Float64s, Int64s

# Cells that one training row can move by 1 at a validation point: its own, or the one it leaves and the one it enters.
CELLS_OF_ADJACENCY = {"add_remove": 1, "replace_one": 2}
# The unit that is protected: one training row, or all rows of one owner.
ROW, OWNER = UNITS = ("row", "owner")
ANALYTIC = "analytic Gaussian"
PLD = "PLD, dp-accounting"
# Sigma is rounded up to so many bits: to 1.2e-4 of it where it is small, which integers ask for there, else to 1e-9.
COARSE_BITS, FINE_BITS = 13, 31
# More cannot be counted in float64.
MOST_COUNTED = 2**53


@dataclass(frozen=True)
class Release:
    """What a release of (match, non-match) counts of ``n_validation`` points promises, and its noise.

    It promises (``epsilon``, ``delta``)-differential privacy of one ``unit`` (a training row, or all rows of an owner)
    under ``adjacency``, by discrete Gaussian noise of parameter ``sigma`` on each count. ``sensitivity`` is the L2
    sensitivity of all counts. ``accountant`` names what calibrated sigma. ``sampling_rate`` is the share of training
    rows that one secret Poisson sample kept. At most ``rows_per_owner`` rows of an owner count at a point; with the
    unit row it is 1.
    """

    epsilon: float
    delta: float
    sigma: float
    sensitivity: float
    adjacency: str
    accountant: str
    sampling_rate: float
    n_validation: int
    unit: str = ROW
    rows_per_owner: int = 1


@dataclass(frozen=True)
class ValueRelease(Release):
    """What the release of one value promises: ``sensitivity`` is how far one row moves it, and ``sigma`` its noise."""


@dataclass
class KeptRelease:
    """A release to use again: empty at first, and filled by the first call that gets it.

    It has the ``release``, the ``noisy_counts`` (n_validation, 2) int64, the ``sample_key`` that draws the sample (None
    without one), and ``of``, a digest of the tables and parameters for which it was drawn. Of a method that hides
    values it has the ``noisy_values`` (n_train,), in id order. Keep it secret: the key and the digest reveal something
    of private rows.
    """

    release: Release | None = None
    noisy_counts: Int64s | None = None
    sample_key: bytes | None = None
    of: str = ""
    noisy_values: Float64s | None = None


def calibrate(
    epsilon: float,
    delta: float,
    adjacency: str,
    sampling_rate: float = 1.0,
    n_validation: int = 1,
    unit: str = ROW,
    rows_per_owner: int = 1,
) -> Release:
    """Return the release of all validation points' counts as one Gaussian mechanism, with the smallest sigma known.

    - **Sensitivity.** Under ``adjacency`` "add_remove" one row moves one cell of a validation point by 1, under
      "replace_one" two cells. So the L2 sensitivity is 1 or sqrt(2), times sqrt(n_validation). An owner (``unit``
      "owner") moves each cell by up to ``rows_per_owner``.
    - **Without sampling,** sigma is that of `gaussian_sigma`. **With a ``sampling_rate`` below 1** (one Poisson sample
      for all validation points), sigma is the smallest that dp-accounting's privacy loss distribution accepts, to 1e-6
      of it.
    - **Integers.** Both are for the continuous Gaussian, and integers with the same sigma can have a larger delta
      (`discrete_gaussian_delta`). So sigma is raised until delta holds: by up to 1.6 % for one validation point, by
      less than 1e-8 for a hundred (epsilon 0.1 to 8, delta 1e-6).
    - **Exactness.** A sampled release delivers (epsilon, delta) exactly if the release without sampling delivers ln(1 +
      (e^epsilon - 1) / q) and delta / q. dp-accounting stays within 1e-4 above that sigma, but far above it for delta <
      1e-12 or epsilon < 1e-4.
    Cost: milliseconds; with sampling seconds, up to 40 for a large epsilon or a small rate.
    Raises: ConfigError with everything that is wrong, or if dp-accounting is missing.
    Source: Balle & Wang, ICML 2018, arXiv:1805.06530, theorem 8; Balle, Barthe & Gaboardi, NeurIPS 2018,
    arXiv:1807.01647, theorem 8, for the sampling.
    """
    problems = privacy_problems(epsilon, delta, adjacency, sampling_rate, n_validation, unit, rows_per_owner)
    if problems:
        raise ConfigError(problems)
    # A float32 would make all of the numbers that follow float32.
    epsilon, delta, sampling_rate = float(epsilon), float(delta), float(sampling_rate)
    n_cells, step = CELLS_OF_ADJACENCY[adjacency] * int(n_validation), int(rows_per_owner)
    sensitivity = step * math.sqrt(n_cells)
    whole_epsilon = epsilon + math.log1p(-math.expm1(-epsilon) * (1 / sampling_rate - 1))
    whole_delta = delta / sampling_rate
    sigma, accountant = gaussian_sigma(whole_epsilon, whole_delta, sensitivity), ANALYTIC
    if sigma > LARGEST_SIGMA / 2:
        hint = "take a larger epsilon or delta: beside this noise the counts could not be seen"
        raise ConfigError(Problem("epsilon", "noise of at most 2^51", f"sigma {sigma:g}", hint))
    if sampling_rate < 1:
        sigma, accountant = _accounted_sigma(epsilon, delta, sampling_rate, sensitivity, sigma), PLD
    return Release(
        epsilon,
        delta,
        _sigma_on_integers(sigma, whole_epsilon, whole_delta, n_cells, step),
        sensitivity,
        adjacency,
        accountant,
        sampling_rate,
        int(n_validation),
        unit,
        step,
    )


def private_release(counts: Int64s, release: Release, random_bits: RandomBits = secrets.randbits) -> Int64s:
    """Return the counts with discrete Gaussian noise, (n_validation, 2) int64; noise may make them negative.

    ``counts`` (n_validation, 2) int64: matching and non-matching rows within each point's radius, of the Poisson sample
    if there is one. Every call draws new noise and spends the budget again, so keep the result before its first use.
    Cost: about 20 µs a point. Raises: ConfigError for the release of a value; InputError for counts of another shape or
    type, or negative ones.
    """
    if isinstance(release, ValueRelease):
        hint = "take one of dvspark.privacy.calibrate: this one's noise hides how far a value moves"
        raise ConfigError(Problem("release", "a release of counts", "one of a value", hint))
    counts = np.asarray(counts)
    expected = (release.n_validation, 2)
    if counts.shape != expected or counts.dtype != np.int64 or (counts < 0).any():
        got = f"{counts.dtype} of shape {counts.shape}, {int((counts < 0).sum())} negative"
        hint = "calibrate the release for these validation points"
        raise InputError(Problem("counts", f"int64 counts of shape {expected}, none negative", got, hint))
    return counts + discrete_gaussian(release.sigma, counts.size, random_bits).reshape(expected)


def privacy_problems(
    epsilon: object,
    delta: object,
    adjacency: object,
    sampling_rate: object = 1.0,
    n_validation: object = 1,
    unit: object = ROW,
    rows_per_owner: object = 1,
) -> list[Problem]:
    """Return everything that is wrong with a release's parameters, as far as it follows without the data."""
    problems = budget_problems(epsilon, delta)
    problems += choice_problems("adjacency", adjacency, [*CELLS_OF_ADJACENCY])
    hint = "count the validation points that are released together"
    problems += _count_problems("n_validation", n_validation, hint)
    problems += _unit_problems(unit, rows_per_owner, sampling_rate)
    return problems + _sampling_problems(delta, adjacency, sampling_rate)


def delta_warning(delta: float, n_train: int) -> str | None:
    """Return why this delta is too large for so many training rows, or None if it is not.

    Raises: ConfigError for a delta that is not between 0 and 1, or a number of rows that is none.
    """
    if problems := budget_problems(1.0, delta) + count_problems("n_train", n_train, "count the training rows"):
        raise ConfigError(problems)
    if delta < 1 / n_train:
        return None
    return (
        f"delta = {delta:g} is not below 1 / n_train = {1 / n_train:.3g}: publishing a few training rows chosen at "
        f"random, unprotected, would satisfy it; take a delta far below 1 / {n_train}"
    )


def _count_problems(where: str, value: object, hint: str) -> list[Problem]:
    """Return a problem unless the value is a whole number from 1 that float64 holds."""
    if is_count(value) and value > MOST_COUNTED:
        return [Problem(where, "a whole number of at most 2^53", written(value), hint)]
    return count_problems(where, value, hint)


def _unit_problems(unit: object, rows_per_owner: object, sampling_rate: object) -> list[Problem]:
    """Return what is wrong with the settings of what is protected."""
    hint = "how many rows of an owner may count at a point"
    problems = choice_problems("unit", unit, UNITS) or _count_problems("rows_per_owner", rows_per_owner, hint)
    if problems:
        return problems
    if unit == ROW and rows_per_owner != 1:
        return [Problem("rows_per_owner", "1 where rows are protected", written(rows_per_owner), "set unit: owner")]
    if unit == OWNER and is_number(sampling_rate) and sampling_rate < 1:
        hint = "take unit 'row', or sampling_rate 1: a sample has some rows of each owner with many rows"
        return [Problem("unit", "'row' under Poisson sampling", "'owner'", hint)]
    return []


def _sampling_problems(delta: object, adjacency: object, sampling_rate: object) -> list[Problem]:
    """Return what is wrong with the sampling rate, alone and together with the others."""
    if not is_number(sampling_rate) or not 0 < sampling_rate <= 1:
        hint = "1 uses all training rows"
        return [Problem("sampling_rate", "a number above 0, up to 1", written(sampling_rate), hint)]
    problems = []
    if sampling_rate < 1 and adjacency == "replace_one":
        hint = "take adjacency 'add_remove', or sampling_rate 1"
        got = f"'replace_one' with sampling_rate {sampling_rate}"
        problems.append(Problem("adjacency", "'add_remove' under Poisson sampling", got, hint))
    if is_number(delta) and 0 < delta < 1 and delta >= sampling_rate:
        hint = "take a smaller delta: rows are sampled so seldom that this one asks for no noise at all"
        problems.append(Problem("delta", f"a number below the sampling rate {sampling_rate}", written(delta), hint))
    return problems


def _accounted_sigma(epsilon: float, delta: float, sampling_rate: float, sensitivity: float, exact: float) -> float:
    """Return the smallest sigma of the sampled release by dp-accounting; ``exact`` is where the search begins."""
    missing = ("dp", "sampling_rate", "the package dp-accounting", "it is not installed")
    dp_accounting, pld = (import_extra(module, *missing) for module in ("dp_accounting", "dp_accounting.pld"))

    def sampled(factor: float) -> Any:
        noise = dp_accounting.GaussianDpEvent(factor * exact / sensitivity)
        return dp_accounting.PoissonSampledDpEvent(sampling_rate, noise)

    bracket = dp_accounting.LowerEndpointAndGuess(0.99, 1.01)
    factor = dp_accounting.calibrate_dp_mechanism(pld.PLDAccountant, sampled, epsilon, delta, bracket, tol=1e-6)
    return float(factor * exact)


def _sigma_on_integers(sigma: float, epsilon: float, delta: float, n_cells: int, step: int) -> float:
    """Return the first sigma, on a grid and from ``sigma`` on, for which delta holds on the integers too.

    Neither the grid nor the numbers above ``sigma`` depend on epsilon, so a larger epsilon never has more noise.
    """
    while True:
        # The finer, the smaller the step of a lattice is beside the sum's deviation, and with it what integers ask for.
        exponent = math.frexp(sigma)[1]
        n_bits = COARSE_BITS
        if exponent > 1:
            n_bits += 2 * max(0, math.frexp(math.ldexp(1.0, exponent) * math.sqrt(n_cells) / step)[1])
        spacing = math.ldexp(1.0, exponent - min(n_bits, FINE_BITS))
        sigma = math.ceil(sigma / spacing) * spacing
        if discrete_gaussian_delta(epsilon, sigma, n_cells, step) <= delta:
            return sigma
        sigma += spacing
