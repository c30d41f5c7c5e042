r"""Posterior: how probable each label of a row is, given the label that it has.

The labels that rows have are noisy: a row of class c has label l with probability T(c, l). What speaks for the classes
of a row, its features f, is joined to P(c) ~ exp(Σ w_f f_c + b_c), over all labels: those for which nothing speaks,
which are not listed, share one mean of features. And

    P(c | label l) ~ P(c) T(c, l).

T follows from anchors: of all rows for which a class is the most probable, the third that is surest of it, among which
wrong labels are the exception. Then w and b are those under which the labels that rows have are most likely,
Σ_c P(c) T(c, l): so noise is not taken for doubt. If many rows of a class have other labels, it has fewer votes, and b
makes up for that.

Sources: noise from anchors and the corrected likelihood: Patrini et al., CVPR 2017, doi:10.1109/CVPR.2017.240; counting
by the most probable class: Northcutt et al., JAIR 70, 2021, doi:10.1613/jair.1.12125. Measured in docs/decisions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from dvspark.review.votes import Choices
from dvspark.schemas import Bools, Float64s, Int64s

# Of the rows whose most probable class is c, the share that is surest of it.
ANCHOR_SHARE = 1 / 3
# Rows whose probabilities differ by less are as sure.
SURE_DIGITS = 6
# Each class has so many rows more whose labels are as wrong as those of all anchors; which number, the anchors tell.
PRIOR_ROWS = np.geomspace(10.0, 1e5, 17)
# As if there were so many anchors more, all of them with the right label: a few rows tell nothing of noise.
RIGHT_ANCHORS = 10.0
# Noise of labels is taken to be at least, and at most, so large.
LEAST_NOISE, MOST_NOISE = 1e-3, 0.5
# No exponential beyond it.
MOST_LOG = 700.0
# Weights stay near 1, and biases near 0, by so much of their squared distance, and within these bounds.
PENALTY = 1e-3
WEIGHT_BOUNDS, BIAS_BOUNDS = (0.0, 10.0), (-5.0, 5.0)


@dataclass(frozen=True)
class LabelNoise:
    """T(c, l): with which probability a row of class c has label l.

    ``rate`` is the share of wrong labels among all anchors; a wrong one may be any of ``n_others``. ``keys``, c times
    ``n_codes`` plus l, ascending, and ``counts`` are those of anchors; ``totals`` (n_codes,) counts anchors by class.
    Beside its anchors, each class has ``prior_rows`` whose labels are wrong at that rate, any label as often.
    """

    rate: float
    n_codes: int
    n_others: int
    keys: Int64s
    counts: Int64s
    totals: Int64s
    prior_rows: float = 1.0

    @classmethod
    def same_for_all(cls, rate: float, n_codes: int, n_others: int) -> LabelNoise:
        """Return noise without anchors."""
        return cls(rate, n_codes, n_others, np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(n_codes, np.int64))

    @property
    def elsewhere(self) -> float:
        """T(c, l) for a class c that nothing tells of, and another label l."""
        return self.rate / self.n_others

    def probabilities(self, choices: Choices) -> Float64s:
        """Return T(c, l) for each choice c of an item that has label l, (n_choices,)."""
        observed = choices.given_codes[choices.item_of]
        prior = np.where(choices.codes == observed, 1.0 - self.rate, self.rate / self.n_others)
        n_seen = np.zeros(len(prior))
        if len(self.keys):
            keys = choices.codes.astype(np.int64) * self.n_codes + observed
            place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            n_seen = np.where(self.keys[place] == keys, self.counts[place], 0)
        found: Float64s = (n_seen + self.prior_rows * prior) / (self.totals[choices.codes] + self.prior_rows)
        return found


@dataclass(frozen=True)
class Joint:
    """How features are joined: ``weights`` (n_features,), and ``biases`` (n_codes,) of the classes."""

    weights: Float64s
    biases: Float64s

    def probabilities(self, choices: Choices) -> Float64s:
        """Return P(c) of each choice, (n_choices,)."""
        return self.with_rest(choices)[0]

    def with_rest(self, choices: Choices) -> tuple[Float64s, Float64s]:
        """Return the same, and for each item the probability that it is none of its choices, (n_items,)."""
        logs = choices.features @ self.weights + self.biases[choices.codes]
        rest: Float64s = choices.rest @ self.weights
        most = np.maximum.reduceat(logs, choices.starts[:-1])
        each = np.exp(logs - most[choices.item_of])
        of_rest = np.exp(np.minimum(rest - most, MOST_LOG)) * choices.n_rest
        total = np.add.reduceat(each, choices.starts[:-1]) + of_rest
        return each / total[choices.item_of], of_rest / total


@dataclass(frozen=True)
class Posterior:
    """Of n items: ``given`` (n,) and ``best`` (n,), probabilities of the label that an item has, and of the best one.

    ``best_place`` (n,) is the place of the best label among the choices; of equal ones, that of the item's own label,
    or the first. ``flagged`` (n,): the items whose labels are probably wrong. ``noise`` and ``joint`` are the
    model.
    """

    given: Float64s
    best: Float64s
    best_place: Int64s
    flagged: Bools
    noise: LabelNoise
    joint: Joint


def posterior(choices: Choices, n_codes: int, n_others: int) -> Posterior:
    """Return the probabilities of labels, and as many flags as labels are expected to be wrong.

    ``n_others``: how many other labels an item may have, in general.
    Cost: some 100 passes over the choices; 80 bytes a choice.
    """
    no_noise = LabelNoise.same_for_all(LEAST_NOISE, n_codes, n_others)
    classes = _fit(choices, no_noise, biased=False).probabilities(choices)
    noise = _noise_of_anchors(choices, classes, n_codes, n_others)
    joint = _fit(choices, noise, biased=True)
    classes, rest = joint.with_rest(choices)
    each = classes * noise.probabilities(choices)
    each /= (np.add.reduceat(each, choices.starts[:-1]) + rest * noise.elsewhere)[choices.item_of]
    best = np.maximum.reduceat(each, choices.starts[:-1])
    given = each[choices.given]
    place = np.where(given >= best, choices.given, _best_places(each, choices))
    return Posterior(given, best, place, _flags(given), noise, joint)


def _flags(given: Float64s) -> Bools:
    """Return the items with the lowest probabilities, as many as labels are expected to be wrong."""
    expected = round(float((1.0 - given).sum()))
    flagged = np.zeros(len(given), np.bool_)
    flagged[np.argsort(given, kind="stable")[:expected]] = True
    return flagged


def _fit(choices: Choices, noise: LabelNoise, *, biased: bool) -> Joint:
    """Return how features are joined if the labels that items have are to be most likely; biases 0 unless biased."""
    likely = noise.probabilities(choices)
    n_features, n_biases = choices.features.shape[1], noise.n_codes * biased
    center = np.append(np.ones(n_features), np.zeros(n_biases))

    def joint_of(flat: Float64s) -> Joint:
        return Joint(flat[:n_features], flat[n_features:] if biased else np.zeros(noise.n_codes))

    def objective(flat: Float64s) -> tuple[float, Float64s]:
        classes, rest = joint_of(flat).with_rest(choices)
        each, of_rest = classes * likely, rest * noise.elsewhere
        total = np.add.reduceat(each, choices.starts[:-1]) + of_rest
        loss = -float(np.log(total).mean()) + PENALTY * float(((flat - center) ** 2).sum())
        moved = each / total[choices.item_of] - classes
        slopes: list[Float64s] = [moved @ choices.features + (of_rest / total - rest) @ choices.rest]
        if biased:
            slopes.append(np.bincount(choices.codes, weights=moved, minlength=n_biases).astype(np.float64))
        return loss, -np.concatenate(slopes) / choices.n_items + 2.0 * PENALTY * (flat - center)

    start = np.append(np.full(n_features, 1.0 / n_features), np.zeros(n_biases))
    bounds = [WEIGHT_BOUNDS] * n_features + [BIAS_BOUNDS] * n_biases
    found = scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return joint_of(found.x)


def _noise_of_anchors(choices: Choices, classes: Float64s, n_codes: int, n_others: int) -> LabelNoise:
    """Return the noise among the anchors of all classes."""
    place = _best_places(classes, choices)
    top, sure = choices.codes[place].astype(np.int64), classes[place]
    order = np.lexsort((-np.round(sure, SURE_DIGITS), top))
    n_of = np.bincount(top, minlength=n_codes)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(n_of) - n_of, n_of)
    anchors = order[rank < np.ceil(ANCHOR_SHARE * n_of)[top[order]]]
    keys, counts = np.unique(top[anchors] * n_codes + choices.given_codes[anchors], return_counts=True)
    right = counts[keys // n_codes == keys % n_codes].sum()
    rate = float(np.clip((len(anchors) - right) / (len(anchors) + RIGHT_ANCHORS), LEAST_NOISE, MOST_NOISE))
    totals = np.bincount(top[anchors], minlength=n_codes)
    prior = np.where(keys // n_codes == keys % n_codes, 1.0 - rate, rate / n_others)
    likelihoods = [_log_likelihood(rows, counts, totals, prior) for rows in PRIOR_ROWS.tolist()]
    prior_rows = float(PRIOR_ROWS[int(np.argmax(likelihoods))])
    return LabelNoise(rate, n_codes, n_others, keys, counts, totals, prior_rows)


def _log_likelihood(prior_rows: float, counts: Int64s, totals: Int64s, prior: Float64s) -> float:
    """Return how likely the anchors' labels are if each class has a noise of its own, drawn around that of all.

    It is that of a Dirichlet-multinomial distribution: the more classes differ, the fewer prior rows.
    """
    log_gamma, mean = scipy.special.gammaln, prior_rows * prior
    of_cells = log_gamma(mean + counts) - log_gamma(mean)
    of_classes = log_gamma(prior_rows) - log_gamma(prior_rows + totals)
    return float(of_cells.sum() + of_classes.sum())


def _best_places(each: Float64s, choices: Choices) -> Int64s:
    """Return the place of the most probable choice of each item; of equal ones the first."""
    best = np.maximum.reduceat(each, choices.starts[:-1])
    places = np.flatnonzero(each >= best[choices.item_of])
    first = np.searchsorted(choices.item_of[places], np.arange(choices.n_items))
    found: Int64s = places[first]
    return found
