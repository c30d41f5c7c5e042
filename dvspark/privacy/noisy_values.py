"""Noisy values: each value with noise of its own, for the method that hides values and not what they are made of."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from dvspark.arguments import choice_problems, is_finite, positive_problems
from dvspark.errors import ConfigError, InputError, Problem, written
from dvspark.privacy.gaussian import budget_problems
from dvspark.privacy.release import CELLS_OF_ADJACENCY, OWNER, Release, ValueRelease, calibrate
from dvspark.privacy.sampler import RandomBits, discrete_gaussian
from dvspark.schemas import Float64s
from dvspark.schemas.columns import unmasked

# Values are rounded to this share of their sensitivity, so that the noise is that of whole numbers, drawn exactly.
UNITS_OF_SENSITIVITY = 2**20
# Larger values, in units, are rounded by more than one of them. Those from 2^53 on may not even be changed by noise.
MOST_UNITS = 2**52
# Beyond it the squares and the units of a sensitivity would leave float64.
LEAST_SENSITIVITY, LARGEST_SENSITIVITY = 1e-100, 1e100


def calibrate_values(epsilon: float, delta: float, adjacency: str, sensitivity: float) -> ValueRelease:
    """Return the release of one value that another row can move by ``sensitivity``, by two times it if replaced.

    The promise holds for whoever sees one value. Who sees m values sees m releases: their noise is not shared.
    Raises: ConfigError as `calibrate`, or for a sensitivity outside 1e-100 to 1e100.
    Source: Balle & Wang, ICML 2018, arXiv:1805.06530, theorem 8; Wang et al., NeurIPS 2023, arXiv:2308.15709, appendix
    B.4, whose noise lacks the factor sigma.
    """
    problems = choice_problems("adjacency", adjacency, [*CELLS_OF_ADJACENCY])
    problems += _sensitivity_problems(sensitivity)
    if problems:
        raise ConfigError(problems + budget_problems(epsilon, delta))
    step, unit = units_moved(adjacency), sensitivity / UNITS_OF_SENSITIVITY
    found = calibrate(epsilon, delta, "add_remove", n_validation=1, unit=OWNER, rows_per_owner=step)
    return ValueRelease(
        epsilon=found.epsilon,
        delta=found.delta,
        sigma=found.sigma * unit,
        sensitivity=step * unit,
        adjacency=adjacency,
        accountant=found.accountant,
        sampling_rate=found.sampling_rate,
        n_validation=1,
    )


def units_moved(adjacency: str) -> int:
    """Return by how many of the units to which a value is rounded one row can move it."""
    return CELLS_OF_ADJACENCY[adjacency] * UNITS_OF_SENSITIVITY + 1  # rounding may add one


def noisy_values(
    values: Any, release: Release, sensitivity: float, random_bits: RandomBits = secrets.randbits
) -> Float64s:
    """Return values, (n,) float64, rounded and with discrete Gaussian noise.

    ``sensitivity``: as given to `calibrate_values`. Every call draws new noise and spends the budget again.
    Cost: about 10 µs a value. Raises: ConfigError for a release that is not of values with this sensitivity; InputError
    for values that are not numbers in one dimension of at most 2^32 times the sensitivity.
    """
    if problems := _sensitivity_problems(sensitivity):
        raise ConfigError(problems)
    unit = sensitivity / UNITS_OF_SENSITIVITY
    hint = "calibrate it for these values by dvspark.privacy.calibrate_values"
    if not isinstance(release, ValueRelease):
        raise ConfigError(Problem("release", "a release of a value", "one of counts", hint))
    if release.sensitivity != units_moved(release.adjacency) * unit:
        of = release.sensitivity / units_moved(release.adjacency) * UNITS_OF_SENSITIVITY
        raise ConfigError(Problem("release", f"one for sensitivity {sensitivity!r}", f"one for {of:g}", hint))
    whole = np.rint(_values(values, unit) / unit).astype(np.int64)
    noise = discrete_gaussian(release.sigma / unit, len(whole), random_bits)
    return np.asarray((whole + noise) * unit, np.float64)


def _sensitivity_problems(sensitivity: object) -> list[Problem]:
    """Return what is wrong with how far a row can move a value."""
    hint = "give how far one other row can move a value"
    if problems := positive_problems("sensitivity", sensitivity, hint):
        return problems
    if is_finite(sensitivity) and LEAST_SENSITIVITY <= sensitivity <= LARGEST_SENSITIVITY:
        return []
    return [
        Problem("sensitivity", "a number from 1e-100 to 1e100", written(sensitivity), "give values in another unit")
    ]


def _values(values: Any, unit: float) -> Float64s:
    """Return values as an array. Raises: InputError for those that noise cannot hide."""
    hint = "give the values of `dvspark.value_arrays`, in the unit of the sensitivity"
    largest = MOST_UNITS * unit
    expected = f"numbers of at most {largest:.2g} in one dimension, for this sensitivity"
    try:
        found = unmasked(values)
    except (TypeError, ValueError):
        raise InputError(Problem("values", expected, type(values).__name__, hint)) from None
    n_bad = int(np.count_nonzero(~(np.abs(found) <= largest)))
    if found.ndim != 1 or n_bad:
        raise InputError(Problem("values", expected, f"shape {found.shape}, {n_bad} missing or larger", hint))
    return found
