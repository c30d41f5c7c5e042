"""Composition: what several releases of one table reveal together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy

from dvspark.arguments import choice_problems, is_finite
from dvspark.errors import ConfigError, Problem, written
from dvspark.privacy.gaussian import budget_problems, gaussian_log_delta
from dvspark.privacy.noisy_values import units_moved
from dvspark.privacy.release import CELLS_OF_ADJACENCY, OWNER, UNITS, Release, ValueRelease

# An epsilon that no budget reaches.
_MOST = 1e6


def composed_delta(releases: Sequence[Release], epsilon: float, unit: str, adjacency: str) -> float:
    """Return the delta of all releases together at ``epsilon``, for neighbors that differ by one ``unit``; at most 1.

    Gaussian releases together are one Gaussian mechanism, whose (sensitivity / sigma)² is the sum of theirs, in any
    order, and whoever chose the later ones. Sampled releases are not Gaussian; their epsilon and delta are added up.
    The result is exact for continuous noise. On integers, delta is larger by a share for which `calibrate` has raised
    sigma in each release.
    Raises: ConfigError for an epsilon that is no number from 0, another unit or adjacency, or releases that are none.
    Source: Dong, Roth & Su, JRSS B 2022, arXiv:1905.02383, corollary 3.3; Dwork & Roth 2014, theorem 3.16.
    """
    problems = _problems(releases, unit, adjacency)
    if not is_finite(epsilon) or epsilon < 0:
        problems.append(Problem("epsilon", "a finite number from 0", written(epsilon), "0 hides a unit wholly"))
    if problems:
        raise ConfigError(problems)
    return _composed_delta(releases, epsilon, unit, adjacency)


def composed_epsilon(releases: Sequence[Release], delta: float, unit: str, adjacency: str) -> float:
    """Return the smallest epsilon at which all releases together have ``delta``, to 1e-9; infinity if above 1e6.

    Raises: ConfigError for a delta that is not between 0 and 1, another unit or adjacency, or releases that are none.
    """
    if problems := budget_problems(1.0, delta) + _problems(releases, unit, adjacency):
        raise ConfigError(problems)

    def excess(epsilon: float) -> float:
        return _composed_delta(releases, epsilon, unit, adjacency) - delta

    if excess(0.0) <= 0:
        return 0.0
    if excess(_MOST) > 0:
        return math.inf
    return float(scipy.optimize.bisect(excess, 0.0, _MOST, xtol=1e-9))


def squared_shift(release: Release, unit: str, adjacency: str) -> float:
    """Return how far one ``unit`` can move the two counts of a point, or a value, squared, in L2.

    If rows are protected and owners' rows are limited, another row of the owner can take a row's place. A row more or
    less then moves two cells, and a changed row, which may change its owner, both by up to two. If owners are
    protected, a release that does not limit their rows has no bound. A value is moved as its own release says, by twice
    that if a row is changed and the release is of rows more or less.
    """
    if isinstance(release, ValueRelease):
        moved = release.sensitivity * units_moved(adjacency) / units_moved(release.adjacency)
        return math.inf if unit == OWNER else moved**2
    if unit == OWNER:
        return CELLS_OF_ADJACENCY[adjacency] * release.rows_per_owner**2 if release.unit == OWNER else math.inf
    cells = CELLS_OF_ADJACENCY[adjacency]
    return 2.0 * cells**2 if release.unit == OWNER else float(cells)


def _problems(releases: object, unit: object, adjacency: object) -> list[Problem]:
    """Return what is wrong with these arguments: a unit that is none would count as a row."""
    problems = choice_problems("unit", unit, UNITS) + choice_problems("adjacency", adjacency, [*CELLS_OF_ADJACENCY])
    if not isinstance(releases, Sequence) or not all(isinstance(one, Release) for one in releases):
        hint = "give those of dvspark.privacy.calibrate, one in a list, too"
        problems.append(Problem("releases", "a list of releases", type(releases).__name__, hint))
    return problems


def _composed_delta(releases: Sequence[Release], epsilon: float, unit: str, adjacency: str) -> float:
    squared, rest, delta = 0.0, epsilon, 0.0
    for release in releases:
        if release.sampling_rate < 1:
            epsilon_of, delta_of = _of_sample(release, unit, adjacency)
            rest, delta = rest - epsilon_of, delta + delta_of
        else:
            squared += squared_shift(release, unit, adjacency) * release.n_validation / release.sigma**2
    if rest < 0 or delta >= 1 or math.isinf(squared):
        return 1.0
    if squared > 0:
        delta += math.exp(min(0.0, gaussian_log_delta(rest, math.sqrt(squared))))
    return min(delta, 1.0)


def _of_sample(release: Release, unit: str, adjacency: str) -> tuple[float, float]:
    """Return (epsilon, delta) of a sampled release. It protects one row more or less; a changed row counts as two."""
    if unit == OWNER:
        return math.inf, 1.0
    if adjacency == release.adjacency:
        return release.epsilon, release.delta
    return 2 * release.epsilon, release.delta * (1 + math.exp(min(release.epsilon, 700.0)))
