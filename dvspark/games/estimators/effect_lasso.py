"""Average marginal effects by a LASSO of worths over who joined: few players that matter are found with few draws.

    x = (1[player in S] / p - 1[not in S] / (1 - p)) / √v, v the mean of 1 / (p (1 - p))
    lasso: the a and b that minimize Σ (U(S) - a - x·b)² / 2T + penalty Σ |b|;  effects are √v b
    corrected: mean of √v (b + x (U(S) - a - x·b)), with a and b from other draws;  unbiased whatever a and b are

Over draws x has mean 0 and variance 1, and the x of two players are uncorrelated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dvspark.extras import import_extra
from dvspark.games.estimators.base import EstimatedValues
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Bools, Float64s

MEAN, LASSO, CORRECTED = FITS = ("mean", "lasso", "corrected")
EXTRA = "models"
# Draws are corrected by a LASSO of the draws of all folds but their own.
FOLDS = 5
# The size of what is left and the penalty follow from each other; they agree to this share after a few rounds.
AGREED, MOST_ROUNDS = 1e-3, 20
# Coordinate descent ends at this gap between the primal and the dual, relative to the squares of the worths.
GAP, MOST_SWEEPS = 1e-9, 100_000
# Of worths up to 1 no player pulls as much as this, so under this penalty and larger ones all effects are 0.
MOST_PENALTY = 1e3


@dataclass(frozen=True)
class EffectRecord:
    """Draws: ``worths`` and ``chances`` float64 (n_draws,), and who ``joined``, bool (n_draws, n_players)."""

    worths: Float64s
    chances: Float64s
    joined: Bools

    @property
    def weights(self) -> Float64s:
        """1 / p of those who joined and -1 / (1 - p) of the others, (n_draws, n_players): of mean 0."""
        chances = self.chances[:, None]
        return np.where(self.joined, 1 / chances, -1 / (1 - chances))

    def in_units(self) -> tuple[Self, float]:
        """Return the draws with worths in a unit, a power of two, and the unit: the largest worth is then about 1.

        So squares of tiny worths are numbers, and no other bit changes.
        """
        unit = float(np.ldexp(1.0, np.frexp(np.abs(self.worths).max())[1]))
        return replace(self, worths=self.worths / unit), unit

    def packed(self) -> bytes:
        """Return the draws, 16 bytes each and a bit a player."""
        numbers = np.stack([self.worths, self.chances], axis=1).astype("<f8").view(np.uint8)
        return np.concatenate([numbers, np.packbits(self.joined, axis=1)], axis=1).tobytes()

    @classmethod
    def unpacked(cls, content: bytes, n_players: int) -> Self:
        """Return what was packed."""
        rows = np.frombuffer(content, np.uint8).reshape(-1, 16 + -(-n_players // 8))
        numbers = rows[:, :16].copy().view("<f8")
        joined = np.unpackbits(rows[:, 16:], axis=1, count=n_players)
        return cls(numbers[:, 0], numbers[:, 1], joined.astype(np.bool_))


def require_lasso() -> None:
    """Raise ConfigError unless scikit-learn is there, before anything is played."""
    import_extra("sklearn.linear_model", EXTRA, "fit", "scikit-learn")


def lasso_effects(record: EffectRecord, penalty: float | None, v: float) -> Float64s:
    """Return the effects that the LASSO finds, float64 (n_players,): biased toward 0, and most of them 0.

    Without a ``penalty`` it is s √(2 ln(2n) / T), with s the root mean square of what the LASSO leaves: more than what
    n effects of 0 would show by chance, in most games.
    Cost: a few fits of coordinate descent, O(T n) a sweep; 8 T n bytes.
    Source: Lin et al., ICML 2022, arXiv:2206.10013; the penalty: Sun & Zhang, Biometrika 99(4), 2012,
    doi:10.1093/biomet/ass043.
    """
    record, unit = record.in_units()
    with one_thread():
        slopes = _fitted(record.weights / math.sqrt(v), record.worths, _over(penalty, unit))[1]
    return math.sqrt(v) * slopes * unit


def corrected_effects(record: EffectRecord, penalty: float | None, v: float) -> EstimatedValues:
    """Return unbiased effects with standard errors: what the LASSO of other draws leaves unexplained is added.

    The covariances of x are known, so no inverse is estimated. Cost: as of `lasso_effects`, `FOLDS` times.
    Source: Zhang & Zhang, JRSS B 76(1), 2014, doi:10.1111/rssb.12026; cross-fitted as in Chernozhukov et al., The
    Econometrics Journal 21(1), 2018, doi:10.1111/ectj.12097.
    """
    record, unit = record.in_units()
    x, fold = record.weights / math.sqrt(v), np.arange(len(record.worths)) % FOLDS
    sums, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    with one_thread():
        for number in range(FOLDS):
            here, others = fold == number, fold != number
            start, slopes = _fitted(x[others], record.worths[others], _over(penalty, unit))
            left = record.worths[here] - start - x[here] @ slopes
            draws = math.sqrt(v) * (slopes + x[here] * left[:, None])
            sums += draws.sum(axis=0)
            squares += len(draws) * draws.var(axis=0, ddof=1)
    n = len(record.worths)
    errors = np.sqrt(squares) / n
    return EstimatedValues(sums / n * unit, errors * unit, np.full(x.shape[1], max(n - FOLDS, 1.0)))


def _over(penalty: float | None, unit: float) -> float | None:
    """Return the penalty on worths that are in this unit."""
    return None if penalty is None else min(penalty / unit, MOST_PENALTY)


def _fitted(x: Float64s, worths: Float64s, penalty: float | None) -> tuple[float, Float64s]:
    """Return a and b of the LASSO."""
    if not np.ptp(worths):
        return float(worths[0]), np.zeros(x.shape[1])
    models = import_extra("sklearn.linear_model", EXTRA, "fit", "scikit-learn")
    chance = math.sqrt(2 * math.log(2 * x.shape[1]) / len(x))
    left = float(np.std(worths))
    model = models.Lasso(warm_start=True, tol=GAP, max_iter=MOST_SWEEPS)
    for _ in range(1 if penalty is not None else MOST_ROUNDS):
        # Where nothing is left, all is explained: a penalty of 0 is none that coordinate descent can follow.
        model.set_params(alpha=penalty if penalty is not None else max(left, 1e-9 * float(np.std(worths))) * chance)
        model.fit(x, worths)
        before, left = left, float(np.sqrt(np.mean(np.square(worths - model.predict(x)))))
        if abs(left - before) <= AGREED * before:
            break
    return float(model.intercept_), np.asarray(model.coef_, np.float64)
