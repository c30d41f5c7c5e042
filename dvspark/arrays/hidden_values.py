"""Hidden values: noise on the values of arrays, drawn once for a release that is kept."""

from __future__ import annotations

from dvspark.errors import InputError, Problem
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.base import Method
from dvspark.methods.kinds.noisy import NoisyMethod
from dvspark.privacy import KeptRelease
from dvspark.schemas import Partial


def require_same(kept: KeptRelease, of: str) -> None:
    """Raise InputError if ``kept`` is a release of other tables or parameters than those with the digest ``of``."""
    if kept.release is not None and kept.of != of:
        hint = "give the tables and parameters of the first call, or another release: that spends the budget once more"
        raise InputError(Problem("release", "one of these tables and parameters", "one of others", hint))


def hidden(method: Method[Parameters], totals: Partial, parameters: Parameters, kept: KeptRelease, of: str) -> Partial:
    """Return totals whose means have noise: that of ``kept``, which is drawn if it has none."""
    private = NoisyMethod.of(method)
    require_same(kept, of)
    if kept.noisy_values is None:
        kept.release, kept.of = private.release(parameters), of
        kept.noisy_values = private.noisy(totals.value / totals.n_validation, kept.release, parameters)
    return private.with_values(totals, kept.noisy_values)
