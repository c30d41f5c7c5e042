"""Differential privacy: how much noise, exact noise, values from noisy counts, and values with noise of their own.

All functions are pure: arrays and numbers in and out. The engine decides who draws the noise, when, and where it is
kept.
"""

from __future__ import annotations

from dvspark.privacy.composition import composed_delta, composed_epsilon
from dvspark.privacy.counts import values_from_noisy_counts
from dvspark.privacy.gaussian import discrete_gaussian_delta, gaussian_sigma
from dvspark.privacy.noisy_values import calibrate_values, noisy_values
from dvspark.privacy.release import (
    OWNER,
    ROW,
    UNITS,
    KeptRelease,
    Release,
    ValueRelease,
    calibrate,
    delta_warning,
    privacy_problems,
    private_release,
)
from dvspark.privacy.sampler import discrete_gaussian, sampled_rows

__all__ = [
    "OWNER",
    "ROW",
    "UNITS",
    "KeptRelease",
    "Release",
    "ValueRelease",
    "calibrate",
    "calibrate_values",
    "composed_delta",
    "composed_epsilon",
    "delta_warning",
    "discrete_gaussian",
    "discrete_gaussian_delta",
    "gaussian_sigma",
    "noisy_values",
    "privacy_problems",
    "private_release",
    "sampled_rows",
    "values_from_noisy_counts",
]
