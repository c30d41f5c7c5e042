"""Methods of the kind `ranking` that hide values: each is told with noise of its own, in arrays alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.formulas.knn_dp import KnnDp
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.privacy import Release, calibrate_values, noisy_values
from dvspark.schemas import Float64s, Partial

POOLED = (
    "knn_dp is a baseline: epsilon and delta hold for whoever sees one value; m values that are pooled spend what m "
    "releases spend; dp_threshold_knn_shapley protects from all others together"
)


@dataclass(frozen=True, kw_only=True)
class NoisyMethod(RankingMethod):
    """A `ranking` method whose values get noise in proportion to what one other row can do to them.

    Jobs refuse it: they tell standard errors, certificates and totals besides values, which such noise does not cover.
    """

    is_private: ClassVar[bool] = True
    hides: ClassVar[str] = "values"
    in_jobs: ClassVar[bool] = False
    averages_ties: ClassVar[bool] = False  # the bound is of ranks

    def release(self, parameters: Parameters) -> Release:
        """Return what is promised of each value, and the noise that this takes."""
        own = _noisy(parameters)
        return calibrate_values(own.epsilon, own.delta, own.adjacency, own.sensitivity)

    def noisy(self, values: Float64s, release: Release, parameters: Parameters) -> Float64s:
        """Return values with noise."""
        return noisy_values(values, release, _noisy(parameters).sensitivity)

    def with_values(self, totals: Partial, values: Float64s) -> Partial:
        """Return totals over points whose mean values are these."""
        return dataclasses.replace(totals, value=totals.n_validation * values)

    def warnings(self, totals: Partial) -> list[str]:  # noqa: ARG002
        """Return what the noise does not protect from."""
        return [POOLED]


def _noisy(parameters: Parameters) -> KnnDp:
    """Return the parameters of a method that hides values as such. Raises: TypeError for those of another."""
    if not isinstance(parameters, KnnDp):
        raise TypeError(f"expected parameters of a method that hides values; got {parameters}")
    return parameters
