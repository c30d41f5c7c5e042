"""Semivalues of the nearest-neighbor games: their rank weights, from the chances of a random coalition.

Every row joins a coalition with the same chance t: one half for Banzhaf; for Beta(alpha, beta), t ~ Beta(beta, alpha)
is drawn once for each coalition. A semivalue needs only the rank at which the k-th row joins, or how many rows join if
fewer than k do. These chances form one chain of n numbers with known ratios that add up to one. So they need neither
factorials nor gamma functions, and lose no digits however many rows there are.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import scipy

from dvspark.errors import ConfigError, Problem, written
from dvspark.kernels.formulas.kinds import RankingFormulas
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.log_moment import log_moment
from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.schemas import Float64s

UTILITIES = ("jia2019", "wang2023")

# A running sum of n numbers in blocks of so many, blocks of blocks and so on, is rounded 64 log64(n) times, not n. At
# 10 million ranks weights of 1e-300 and more are off by 1e-13 of themselves at most; by one plain sum, 5e-11.
BLOCK = 64


@dataclass(frozen=True)
class Joining:
    """The chance with which a row joins: Beta(``beta``, ``alpha``) in the order of Kwon & Zou, or one half.

    It is one half if ``alpha`` is None.
    Source: Kwon & Zou, AISTATS 2022, arXiv:2110.14049; Wang & Jia, AISTATS 2023, arXiv:2205.15466 (Banzhaf).
    """

    alpha: float | None = None
    beta: float = 1.0


BANZHAF = Joining()


@dataclass(frozen=True)
class Semivalue(RankingFormulas):
    """A semivalue, for ``utility`` "jia2019", or "wang2023" with C = ``n_classes``."""

    utility: str
    n_classes: int

    @property
    @abstractmethod
    def joining(self) -> Joining:
        """The chance with which a row joins a coalition."""

    @property
    def efficient(self) -> bool:
        """False: among semivalues, only the Shapley value is efficient."""
        return False

    def rank_weights(self, n_players: int) -> RankWeights:
        """Return the weights of ranks 1..n_players.

        suffix_j is the chance that the k-th row to join is at rank j - 1, over k. own_r is the chance that fewer than k
        of the r - 1 nearest rows join, over k. For "wang2023", k is min(k, n), and terms are added that depend only on
        the match and on A.
        Cost: O(n) time, 16 n bytes, and 64 n while they are made. Raises: ConfigError for another utility.
        Source: this project's own closed form, tested by enumeration.
        """
        check_utility(self.utility)
        k, is_soft = self.k, self.utility == "wang2023"
        nearest = min(k, n_players) if is_soft else k
        own, suffix = np.full(n_players, 1.0 / nearest), np.zeros(n_players)
        if not is_soft and n_players <= k:
            return RankWeights(own, suffix)
        of_rank, of_count = chances(n_players, nearest, self.joining)
        # From the far end: own tends to its last number, and a difference from 1 / k would leave no digit of it.
        from_last = running_sums(np.concatenate([[of_count.sum()], of_rank[::-1]]))
        own[nearest:] = from_last[-2::-1] / nearest
        suffix[nearest:] = of_rank / nearest
        if not is_soft:
            return RankWeights(own, suffix)
        # Of n - 2 others fewer join: of s + 1 or s out of n - 1, one is struck out that joined or did not.
        last, sizes = n_players - 1, np.arange(1.0, nearest + 1)
        eta = float(np.sum(of_count[1:] / sizes[1:]))
        kappa = 0.0
        if last > 0:
            fewer = (sizes[:-1] * of_count[1:] + (last - sizes[:-1] + 1) * of_count[:-1]) / last
            kappa = float(np.sum(fewer * (1.0 / sizes[:-1] - 1.0 / nearest)))
        return RankWeights(own, suffix, kappa, -eta / max(last, 1), -float(of_count[0]) / self.n_classes)

    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
        return shapley_of(self.k, self.utility, self.n_classes).utilities(n_nearest_matches, n_players)

    def recursive_values(self, matches: Float64s) -> Float64s:
        """Return the values of the rows at ranks 1..n from their match flags, by differences of neighbors in rank.

        value_r - value_(r+1) = (a_r - a_(r+1)) × (chance that fewer than k of the r - 1 nearest join, over k; for
        "wang2023" more if fewer than k join at all). It begins at the last row, which counts only with fewer than k
        others.
        For checks only: another formula than the tables above, from log-beta functions, exact to about 1e-12.
        Cost: O(n + k). Source: definition of a semivalue; Jia et al. 2019, proof of theorem 1, for the differences.
        """
        n, k, joining, soft = len(matches), self.k, self.joining, self.utility == "wang2023"
        nearest = min(k, n)
        divisor = nearest if soft else k
        joins = np.arange(nearest, dtype=np.float64)  # how many join
        of_all = np.exp(_log_binomial(n - 1, joins) + _log_moment(joins, n - 1 - joins, joining))
        ranks = np.arange(nearest + 1, n, dtype=np.float64)
        at_rank = np.exp(_log_binomial(ranks - 2, nearest - 1.0) + _log_moment(nearest, ranks - 1 - nearest, joining))
        step = np.full(n - 1, 1.0 / divisor)
        step[nearest:] -= np.cumsum(at_rank)[: len(step) - nearest] / divisor
        if not soft:
            last = matches[-1] * float(of_all.sum()) / k
        else:
            last = float(of_all[0]) * (matches[-1] - 1.0 / self.n_classes)
            if n > 1:
                few = np.arange(nearest - 1, dtype=np.float64)
                of_others = np.exp(_log_binomial(n - 2, few) + _log_moment(few, n - 2 - few, joining))
                step += np.sum(of_others * (1.0 / (few + 1) - 1.0 / nearest))
                mean = float(matches[:-1].sum()) / (n - 1)
                last += float(np.sum(of_all[1:] / (joins[1:] + 1))) * (matches[-1] - mean)
        differences = np.append((matches[:-1] - matches[1:]) * step, last)
        return np.cumsum(differences[::-1])[::-1]


def shapley_of(k: int, utility: str, n_classes: int) -> RankingFormulas:
    """Return the formulas of the Shapley value with that utility. Raises: ConfigError for an unknown utility."""
    check_utility(utility)
    return SoftKnnShapley(k, n_classes) if utility == "wang2023" else KnnShapley(k)


def chances(n_players: int, k: int, joining: Joining) -> tuple[Float64s, Float64s]:
    """Return the chances that the k-th of n - 1 others joins at rank k..n - 1, (n - k,), and that 0..k - 1 join, (k,).

    1 <= k <= n. All chances add up to one. Cost: O(n).
    """
    steps = _log_ratios(n_players, k, joining)
    # Summed up from the likeliest term outward, so that rounding grows only where terms are negligible.
    top = int(np.argmax(np.cumsum(np.concatenate([[0.0], steps]))))
    outward, inward = running_sums(steps[top:]), running_sums(-steps[:top][::-1])[::-1]
    chain = np.exp(np.concatenate([inward, [0.0], outward]))
    chain /= chain.sum()
    return chain[: n_players - k], chain[n_players - k :][::-1]


def _log_ratios(n: int, k: int, joining: Joining) -> Float64s:
    """Return the logarithms of the ratios along the chain of chances: ranks k..n - 1, then k - 1..0 rows, (n - 1,)."""
    rank = np.arange(float(k), n - 1)
    counts = np.arange(k - 1.0, 0.0, -1.0)
    bridge = [(n - 1.0) / (n - k)] if n > k else []
    fewer = counts / (n - counts)
    # A ratio is close to 1 at far ranks, so its difference from 1 is what is computed.
    if joining.alpha is None:
        farther = (2.0 * (k - 1) - rank) / (2.0 * (rank + 1.0 - k))
        return np.concatenate([np.log1p(farther), np.log(bridge), np.log(fewer)])
    alpha, beta = joining.alpha, joining.beta
    farther = ((k - 1) * (alpha + beta) - (1.0 + beta) * rank) / ((rank + 1.0 - k) * (rank + alpha + beta))
    bridge = [ratio * (n - 1 - k + alpha) / (k - 1 + beta) for ratio in bridge]
    fewer = fewer * (n - 1 - counts + alpha) / (counts - 1 + beta)
    # A ratio close to 0, as of small alpha, would leave no digit of it in that difference.
    small = farther < -0.5
    near = rank[small]
    ratios = near / (near + 1.0 - k) * ((near - k + alpha) / (near + alpha + beta))
    farther[~small] = np.log1p(farther[~small])
    farther[small] = np.log(ratios)
    return np.concatenate([farther, np.log(bridge), np.log(fewer)])


def running_sums(numbers: Float64s) -> Float64s:
    """Return the sums of the first 1..n numbers, (n,) float64, in nested blocks of `BLOCK`. Cost: O(n)."""
    if len(numbers) <= BLOCK:
        return np.cumsum(numbers)
    n_blocks = -(-len(numbers) // BLOCK)
    blocks = np.zeros((n_blocks, BLOCK))
    blocks.ravel()[: len(numbers)] = numbers
    np.cumsum(blocks, axis=1, out=blocks)
    blocks[1:] += running_sums(blocks[:-1, -1])[:, None]
    return blocks.ravel()[: len(numbers)]


def check_utility(utility: str) -> None:
    """Raise ConfigError unless ``utility`` is known."""
    if utility not in UTILITIES:
        expected = f"one of {', '.join(map(repr, UTILITIES))}"
        raise ConfigError(Problem("parameter 'utility'", expected, written(utility), "'jia2019' is the usual one"))


def _log_binomial(n: Float64s | float, s: Float64s | float) -> Float64s:
    return -np.log(n + 1.0) - scipy.special.betaln(s + 1.0, n - s + 1.0)


def _log_moment(joined: Float64s | float, others: Float64s | float, joining: Joining) -> Float64s:
    """Return log E[t^joined (1 - t)^others]."""
    if joining.alpha is None:
        return -np.log(2.0) * np.asarray(joined + others)
    return log_moment(joined, others, joining.alpha, joining.beta)
