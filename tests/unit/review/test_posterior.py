"""Probabilities of labels equal those of Bayes' rule written out, and flags are as many as are expected."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import dirichlet_multinomial

from dvspark.review.near import NearTable
from dvspark.review.posterior import ANCHOR_SHARE, PRIOR_ROWS, RIGHT_ANCHORS, posterior
from dvspark.review.votes import RowLabels, Voters, choices_of_pairs, choices_of_rows


def drawn(n: int, n_codes: int, k: int, seed: int) -> tuple[RowLabels, NearTable, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_codes, n).astype(np.int32)
    rows = np.array([rng.choice(np.delete(np.arange(n), row), k, replace=False) for row in range(n)], np.int32)
    labels = RowLabels(np.arange(n + 1), codes)
    return labels, NearTable(rows, np.zeros((n, k))), rng.normal(size=(n, n_codes))


def test_choices__are_counted_as_by_hand() -> None:
    labels, near, logs = drawn(30, 4, 6, 0)
    found = choices_of_rows(labels, [Voters(near, labels)], 4, lambda start, stop: logs[start:stop])
    share = np.bincount(labels.codes, minlength=4) / 30
    for row in range(30):
        here = slice(found.starts[row], found.starts[row + 1])
        votes = np.bincount(labels.codes[near.rows[row]], minlength=4)
        likely = set(np.argsort(-logs[row])[:2].tolist())
        expected = sorted({int(labels.codes[row]), *np.flatnonzero(votes).tolist(), *likely})
        assert found.codes[here].tolist() == expected
        assert found.votes[here].tolist() == votes[expected].tolist()
        np.testing.assert_allclose(found.features[here, 0], np.log((votes + share)[expected] / 7))
        np.testing.assert_allclose(found.features[here, 1], np.maximum(logs[row, expected], np.log(1e-6)))
        assert found.codes[found.given[row]] == labels.codes[row]
        others = np.setdiff1d(np.arange(4), expected)
        assert found.n_rest[row] == len(others)
        if len(others):
            left = (1 - np.exp(logs[row, expected]).sum()) / len(others)
            np.testing.assert_allclose(found.rest[row, 0], np.log(share[others].mean() / 7))
            np.testing.assert_allclose(found.rest[row, 1], np.log(max(left, 1e-6)))


def test_pairs__are_a_row_with_each_label_that_it_or_a_neighbor_has() -> None:
    labels = RowLabels.of([np.array(codes, np.int32) for codes in ([0, 1], [1], [2], [0])])
    near = NearTable(np.array([[1, 2], [0, 2], [3, 1], [0, 1]], np.int32), np.zeros((4, 2)))
    found, rows, codes = choices_of_pairs(labels, [Voters(near, labels)], 3)
    pairs = list(zip(rows.tolist(), codes.tolist(), strict=True))
    assert pairs == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1)]
    assert (found.given_codes % 2).tolist() == [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0]
    assert (found.given_codes // 2).tolist() == codes.tolist()
    assert found.votes[1::2].tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 2]
    assert (found.votes[0::2] + found.votes[1::2] == 2).all()


@pytest.mark.parametrize("seed", [0, 3, 6])
def test_posterior__is_bayes_rule_with_the_noise_of_anchors(seed: int) -> None:
    n, n_codes = 90, 3
    labels, near, _ = drawn(n, n_codes, 10, seed)
    choices = choices_of_rows(labels, [Voters(near, labels)], n_codes)
    found = posterior(choices, n_codes, n_codes - 1)
    assert choices.n_rest.any()

    def joined(flat: np.ndarray) -> np.ndarray:  # the last column: any of the labels for which nobody votes
        full = np.zeros((n, n_codes + 1))
        full[choices.item_of, choices.codes] = np.exp(flat[0] * choices.features[:, 0] + flat[1:][choices.codes])
        full[:, n_codes] = choices.n_rest * np.exp(flat[0] * choices.rest[:, 0])
        return full / full.sum(axis=1, keepdims=True)

    def with_rest(noise: np.ndarray, rate: float) -> np.ndarray:
        return np.append(noise, np.full((1, n_codes), rate / (n_codes - 1)), axis=0)

    def best(noise: np.ndarray, biased: bool) -> np.ndarray:  # by a search that knows no slopes
        def loss(flat: np.ndarray) -> float:
            flat = np.append(flat[0], flat[1:] if biased else np.zeros(n_codes))
            likely = (joined(flat) * noise[:, labels.codes].T).sum(axis=1)
            return float(-np.log(likely).mean() + 1e-3 * ((flat - center) ** 2).sum())

        center = np.eye(n_codes + 1)[0]
        start = center if biased else center[:1]
        bounds = [(0, 10), *[(-5, 5)] * (len(start) - 1)]
        options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000}
        got = minimize(loss, start, method="Nelder-Mead", bounds=bounds, options=options).x
        return got if biased else np.append(got, np.zeros(n_codes))

    plain = np.full((n_codes, n_codes), 1e-3 / (n_codes - 1))
    np.fill_diagonal(plain, 1 - 1e-3)
    plain = with_rest(plain, 1e-3)
    classes = np.round(joined(best(plain, biased=False))[:, :n_codes], 6)
    counts = np.zeros((n_codes, n_codes))
    for code in range(n_codes):
        rows = np.flatnonzero(classes.argmax(axis=1) == code)
        surest = rows[np.argsort(-classes[rows, code], kind="stable")][: int(np.ceil(ANCHOR_SHARE * len(rows)))]
        np.add.at(counts[code], labels.codes[surest], 1)
    rate = min((counts.sum() - np.trace(counts)) / (counts.sum() + RIGHT_ANCHORS), 0.5)
    prior = np.full((n_codes, n_codes), rate / (n_codes - 1))
    np.fill_diagonal(prior, 1 - rate)
    likely = [
        sum(
            dirichlet_multinomial(rows * mean, int(row.sum())).logpmf(row.astype(int))
            for row, mean in zip(counts, prior, strict=True)
            if row.any()  # SciPy 1.11 has no law of no draws
        )
        for rows in PRIOR_ROWS
    ]
    prior_rows = PRIOR_ROWS[int(np.argmax(likely))]
    assert found.noise.prior_rows == prior_rows
    noise = with_rest((counts + prior_rows * prior) / (counts.sum(axis=1, keepdims=True) + prior_rows), rate)
    assert found.noise.rate == pytest.approx(rate)
    flat = np.append(found.joint.weights, found.joint.biases)
    np.testing.assert_allclose(flat, best(noise, biased=True), atol=5e-3)
    each = joined(flat) * noise[:, labels.codes].T
    each /= each.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.given, each[np.arange(n), labels.codes], rtol=1e-9)
    np.testing.assert_allclose(found.best, each[:, :n_codes].max(axis=1), rtol=1e-9)
    assert found.flagged.sum() == round((1 - found.given).sum())
    assert found.given[found.flagged].max(initial=0) <= found.given[~found.flagged].min(initial=1)


def test_posterior__of_two_labels_that_are_as_probable_keeps_the_given_one() -> None:
    labels = RowLabels(np.arange(5), np.array([0, 1, 0, 1], np.int32))
    near = NearTable(np.array([[1, 2], [0, 3], [0, 1], [1, 2]], np.int32), np.zeros((4, 2)))
    found = posterior(choices := choices_of_rows(labels, [Voters(near, labels)], 2), 2, 1)
    assert (found.best_place == choices.given).all()


@pytest.mark.parametrize("n_codes", [3, 10, 40])
def test_posterior__of_classes_apart_flags_what_is_wrong_and_nothing_else(n_codes: int) -> None:
    # Nobody votes for a wrong label. Rows that have one are as sure of their class as others, so anchors are no better.
    rng = np.random.default_rng(n_codes)
    n, k = max(40 * n_codes, 900), 8
    truth = np.arange(n) % n_codes
    near = [rng.choice(np.flatnonzero((truth == truth[row]) & (np.arange(n) != row)), k, False) for row in range(n)]
    wrong = rng.random(n) < 0.1
    codes = np.where(wrong, (truth + rng.integers(1, n_codes, n)) % n_codes, truth).astype(np.int32)
    labels = RowLabels(np.arange(n + 1), codes)
    voters = Voters(NearTable(np.array(near, np.int32), np.zeros((n, k))), labels)
    found = posterior(choices_of_rows(labels, [voters], n_codes), n_codes, n_codes - 1)
    assert found.noise.rate == pytest.approx(0.1, abs=0.06)
    assert (found.flagged & wrong).sum() >= 0.7 * wrong.sum()
    assert (found.flagged & ~wrong).sum() <= 0.05 * wrong.sum()
