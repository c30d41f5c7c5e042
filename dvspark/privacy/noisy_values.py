"""Noisy values: each value with noise of its own, for the method that hides values and not what they are made of."""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np

from dvspark.arguments import choice_problems, positive_problems
from dvspark.errors import ConfigError
from dvspark.privacy.gaussian import budget_problems
from dvspark.privacy.release import CELLS_OF_ADJACENCY, OWNER, Release, calibrate
from dvspark.privacy.sampler import RandomBits, discrete_gaussian
from dvspark.schemas import Float64s

# Values are rounded to this share of their sensitivity, so that the noise is that of whole numbers, drawn exactly.
UNITS_OF_SENSITIVITY = 2**20


def calibrate_values(epsilon: float, delta: float, adjacency: str, sensitivity: float) -> Release:
    """Return the release of one value that another row can move by ``sensitivity``, by two times it if replaced.

    The promise holds for whoever sees one value. Who sees m values sees m releases: their noise is not shared.
    Raises: ConfigError as `calibrate`.
    Source: Balle & Wang, ICML 2018, arXiv:1805.06530, theorem 8; Wang et al., NeurIPS 2023, arXiv:2308.15709, appendix
    B.4, whose noise lacks the factor sigma.
    """
    problems = choice_problems("adjacency", adjacency, [*CELLS_OF_ADJACENCY])
    problems += positive_problems("sensitivity", sensitivity, "give how far one other row can move a value")
    if problems:
        raise ConfigError(problems + budget_problems(epsilon, delta))
    moves = 2 if adjacency == "replace_one" else 1
    step = moves * UNITS_OF_SENSITIVITY + 1  # rounding may add one
    unit = sensitivity / UNITS_OF_SENSITIVITY
    found = calibrate(epsilon, delta, "add_remove", n_validation=1, unit=OWNER, rows_per_owner=step)
    return replace(
        found,
        sigma=found.sigma * unit,
        sensitivity=step * unit,
        adjacency=adjacency,
        unit="row",
        rows_per_owner=1,
    )


def noisy_values(
    values: Float64s, release: Release, sensitivity: float, random_bits: RandomBits = secrets.randbits
) -> Float64s:
    """Return values, (n,) float64, rounded and with discrete Gaussian noise.

    ``sensitivity``: as given to `calibrate_values`. Every call draws new noise and spends the budget again.
    Cost: about 10 µs a value.
    """
    unit = sensitivity / UNITS_OF_SENSITIVITY
    noise = discrete_gaussian(release.sigma / unit, len(values), random_bits)
    return np.asarray((np.rint(values / unit) + noise) * unit, np.float64)
