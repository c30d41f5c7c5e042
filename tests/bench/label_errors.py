"""Label errors: `python -m tests.bench.label_errors [--folder FOLDER ...] [--rows N]` (group `bench`).

Every .npz file of a folder, with arrays X and y, is a data set more.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import dvspark
from dvspark.arrays.array_inputs import Given, read_array_inputs
from dvspark.arrays.array_values import array_totals
from dvspark.methods.finalize import finalize
from dvspark.methods.options import ValueOptions
from tests.bench.frame import ROOT, Result, Row, result, say
from tests.bench.performance_page import section

QUESTION = "How well does a review find wrong labels?"
METHOD = """\
`dvspark.review_arrays(x, y)` on rows that are held against each other, k = 20, after labels were replaced: of 10 % of
the rows by any other label, or of 5 to 35 % of the rows of each class by the next one ("by class"). Beside it cleanlab
2.9.0 with its defaults (`get_label_quality_scores`, `find_label_issues`), its probabilities from votes of the 10
nearest other rows, or from scikit-learn's logistic regression in 5 folds; and the mean of the ranks of three signals:
value over its standard error, CHG value, lead of the label among the 20 nearest rows. The first table has the wrong
labels among as many lowest scores; F1 is that of the flags. Tables of numbers are standardized. Means over three seeds
below 1,000 rows, else one seed."""
K = 20
CLEANLAB_K = 10
MOST_ROWS = 5_000
SEVERAL_SEEDS_BELOW = 1_000
# Rows with so many numbers are embeddings, and stay as they are.
EMBEDDED_FROM = 64


@dataclass(frozen=True)
class Flipped:
    """A data set, with labels of which some are wrong."""

    x: np.ndarray
    truth: np.ndarray
    y: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Which labels are wrong."""
        return self.y != self.truth


@dataclass(frozen=True)
class Found:
    """Scores, low is suspicious, and flags; of a review also the suggested labels and their scores."""

    scores: np.ndarray
    flags: np.ndarray | None = None
    suggested: np.ndarray | None = None
    suggested_scores: np.ndarray | None = None


def main(tiny: bool = False, folders: tuple[Path, ...] = (), most_rows: int = MOST_ROWS) -> Result:
    """Measure every set under both kinds of noise; of the demo's and those of folders at most ``most_rows``."""
    scored: list[Row] = []
    flagged: list[Row] = []
    suggestions: list[tuple[np.ndarray, np.ndarray]] = []
    for name, x, truth in data_sets(tiny, folders, most_rows):
        for noise in ("10 %", "by class"):
            say(f"label_errors: {name}, {len(x):,} × {x.shape[1]}, {noise}")
            seeds = 3 if len(x) < SEVERAL_SEEDS_BELOW and not tiny else 1
            cases = [flip(x, truth, noise, seed) for seed in range(seeds)]
            found = [{who: find(case) for who, find in FINDERS.items()} for case in cases]
            head = {"data": name, "rows": len(x), "classes": len(np.unique(truth)), "wrong labels": noise}
            scored.append(head | _score_row(cases, found))
            flagged.append(head | _flag_row(cases, found))
            for case, each in zip(cases, found, strict=True):
                ours = each["review"]
                assert ours.suggested is not None
                assert ours.suggested_scores is not None
                suggestions.append((ours.suggested_scores, ours.suggested == case.truth))
    tables = {
        "Wrong labels among as many lowest scores": scored,
        "F1 of the flags": flagged,
        "How many suggested labels are right": reliability(suggestions),
    }
    return result("label_errors", QUESTION, METHOD, [], tables)


def data_sets(tiny: bool, folders: tuple[Path, ...], most_rows: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, rows and labels of each set; those of scikit-learn, generated ones, the demo's, and of folders."""
    from sklearn import datasets

    yield "wine", _standard(datasets.load_wine().data), datasets.load_wine().target
    if tiny:
        return
    yield "breast cancer", _standard(datasets.load_breast_cancer().data), datasets.load_breast_cancer().target
    yield "digits", datasets.load_digits().data.astype(np.float32), datasets.load_digits().target
    x, y = datasets.make_classification(
        4000, 20, n_informative=10, n_redundant=4, n_classes=5, class_sep=1.5, random_state=0
    )
    yield "generated", _standard(x), y
    demo = pq.read_table(ROOT / "dvspark" / "demo" / "train.parquet").slice(0, most_rows)
    yield "demo", np.stack(demo["embedding"].to_numpy()), np.unique(demo["label"].to_numpy(), return_inverse=True)[1]
    for path in sorted(path for folder in folders for path in folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["X"].astype(np.float32), arrays["y"]
        rows = np.sort(np.random.default_rng(0).choice(len(y), min(most_rows, len(y)), replace=False))
        yield path.stem, x[rows] if x.shape[1] >= EMBEDDED_FROM else _standard(x[rows]), y[rows]


def flip(x: np.ndarray, truth: np.ndarray, noise: str, seed: int) -> Flipped:
    """Return the set with wrong labels."""
    rng = np.random.default_rng(seed)
    classes, codes = np.unique(truth, return_inverse=True)
    n, n_classes = len(truth), len(classes)
    if noise == "10 %":
        wrong = np.zeros(n, np.bool_)
        wrong[rng.choice(n, round(0.1 * n), replace=False)] = True
        others = (codes + rng.integers(1, n_classes, n)) % n_classes
    else:
        rates = np.linspace(0.05, 0.35, n_classes)[rng.permutation(n_classes)]
        wrong, others = rng.random(n) < rates[codes], (codes + 1) % n_classes
    return Flipped(x, truth, np.where(wrong, classes[others], truth))


def by_review(case: Flipped) -> Found:
    """Return what a review finds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dvspark.DataWarning)
        table = dvspark.review_arrays(case.x, case.y, k=K).table
    names = ("label_score", "label_issue", "suggested_label", "suggested_score")
    return Found(*(table[name].to_numpy() for name in names))


def by_ranks(case: Flipped) -> Found:
    """Return the mean rank of three signals."""
    values, errors = _valued(case, "knn_shapley")
    gradients, _ = _valued(case, "chg_shapley")
    labels = case.y[_neighbors(case.x, K)]
    classes = np.unique(case.y)
    votes = (labels[:, :, None] == classes).sum(axis=1)
    rows, own = np.arange(len(votes)), np.searchsorted(classes, case.y)
    others = votes.copy()
    others[rows, own] = -1
    lead = votes[rows, own] - others.max(axis=1)
    assert errors is not None
    signals = (values / np.maximum(errors, 1e-300), gradients, lead)
    return Found(sum(_ranks(one) for one in signals) / 3)


def by_cleanlab_neighbors(case: Flipped) -> Found:
    """Return what cleanlab finds with votes of the nearest rows."""
    classes, codes = np.unique(case.y, return_inverse=True)
    near = codes[_neighbors(case.x, CLEANLAB_K)]
    return _cleanlab(codes, (near[:, :, None] == np.arange(len(classes))).mean(axis=1))


def by_cleanlab_regression(case: Flipped) -> Found:
    """Return what cleanlab finds with logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    codes = np.unique(case.y, return_inverse=True)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer rows than folds, and of steps that run out
        model = LogisticRegression(max_iter=300)
        return _cleanlab(codes, cross_val_predict(model, case.x, codes, cv=5, method="predict_proba"))


REVIEW, RANKS, NEIGHBORS, REGRESSION = "review", "three ranks", "cleanlab, neighbors", "cleanlab, regression"
FINDERS = {
    REVIEW: by_review,
    RANKS: by_ranks,
    NEIGHBORS: by_cleanlab_neighbors,
    REGRESSION: by_cleanlab_regression,
}


def reliability(suggestions: list[tuple[np.ndarray, np.ndarray]]) -> list[Row]:
    """Return for each range of suggested scores how many rows have one, its mean, and the share that is right."""
    scores = np.concatenate([scores for scores, _ in suggestions])
    right = np.concatenate([right for _, right in suggestions])
    rows = []
    for low, high in ((0.0, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.01)):
        here = (scores >= low) & (scores < high)
        if here.any():
            mean, share = float(scores[here].mean()), float(right[here].mean())
            row = {"suggested_score from": low, "rows": int(here.sum()), "mean score": mean, "right": share}
            rows.append(row)
    return rows


def _score_row(cases: list[Flipped], found: list[dict[str, Found]]) -> Row:
    """Return precision of all finders, and the AUROC of the review and of the better of cleanlab's."""
    from sklearn.metrics import roc_auc_score

    row: Row = {}
    for who in FINDERS:
        pairs = [(each[who].scores, case.wrong) for each, case in zip(found, cases, strict=True)]
        row[who] = _mean(float(wrong[np.argsort(s, kind="stable")[: wrong.sum()]].mean()) for s, wrong in pairs)
    for who in (REVIEW, NEIGHBORS, REGRESSION):
        pairs = [(each[who].scores, case.wrong) for each, case in zip(found, cases, strict=True)]
        row[f"AUROC {who}"] = _mean(float(roc_auc_score(wrong, -scores)) for scores, wrong in pairs)
    return row


def _flag_row(cases: list[Flipped], found: list[dict[str, Found]]) -> Row:
    """Return precision, recall and F1 of the review's flags, and F1 of cleanlab's."""
    row: Row = {}
    for who in (REVIEW, NEIGHBORS, REGRESSION):
        measured = []
        for each, case in zip(found, cases, strict=True):
            flags = each[who].flags
            assert flags is not None
            hits = float((flags & case.wrong).sum())
            n_flags, n_wrong = float(flags.sum()), float(case.wrong.sum())
            measured.append((hits / max(1.0, n_flags), hits / n_wrong, 2.0 * hits / (n_flags + n_wrong)))
        precision, recall, f1 = (_mean(column) for column in zip(*measured, strict=True))
        row |= {"precision": precision, "recall": recall} if who == REVIEW else {}
        row[who] = f1
    return row


def _cleanlab(codes: np.ndarray, probabilities: np.ndarray) -> Found:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    return Found(get_label_quality_scores(codes, probabilities), find_label_issues(codes, probabilities))


def _valued(case: Flipped, method: str) -> tuple[np.ndarray, np.ndarray | None]:
    options = ValueOptions.of(method, K, None, {}, self_validation=True)
    return finalize(array_totals(read_array_inputs(Given(case.x, case.y), options), options), "mean")


def _neighbors(x: np.ndarray, k: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors(return_distance=False)


def _ranks(scores: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(scores)


def _standard(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=0)
    return ((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype(np.float32)


def _mean(numbers: Any) -> float:
    return float(np.mean(list(numbers)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__)
    parser.add_argument("--tiny", action="store_true", help="one small set, to see that it works")
    parser.add_argument("--folder", type=Path, action="append", default=[], help="folder of .npz files with X and y")
    parser.add_argument("--rows", type=int, default=MOST_ROWS, help="most rows of the demo and of a set of a folder")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    given = parser.parse_args()
    measured = main(given.tiny, tuple(given.folder), given.rows)
    print(section(measured))
    if given.out:
        given.out.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
