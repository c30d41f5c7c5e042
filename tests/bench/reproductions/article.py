"""Tables of the threshold article (Wang et al., NeurIPS 2023, arXiv:2308.15709), made again by the same protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dvspark.evaluate.contenders import contenders_of
from dvspark.evaluate.detect import detect
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.membership import membership
from dvspark.evaluate.protocols import FEATURES, LABELS, THRESHOLD_KNN_2023, Protocol, standardized
from dvspark.evaluate.removal import halves
from tests.bench.frame import Row, say

# The article's cosine distance is -cos, so its tau is 1 less than the radius here. Nine values of tau and fifteen of K
# make the numbers of cells that its tables have.
TAUS = tuple(round(-0.9 + 0.1 * step, 1) for step in range(9))
KS = tuple(range(1, 16))
EPSILONS, DELTA = (0.1, 0.5, 1.0), 1e-4
# Sizes of the membership attack: the rows of a private set, the queries (half of them members), the points.
PRIVATE_ROWS, QUERIES, POINTS = 200, 200, 200
WITHIN = 0.005
# Tables, by what is spoiled: by tau, and by K (printed with reversed columns: printed K is 16 - K).
OF_TAU = {LABELS: "11", FEATURES: "12"}
OF_K = {LABELS: "13", FEATURES: "14"}
# Cells that are known here without the article: from the page of its program, and of the attack at K = 1.
KNOWN = {
    ("11", "2dplanes", "tau -0.5"): 0.920,
    ("private, labels", "2dplanes", "epsilon 0.1"): 0.885,
    ("membership", "phoneme", "KNN K 1"): 0.71,
    ("membership", "pol", "KNN K 1"): 0.61,
    ("membership", "Fraud", "KNN K 1"): 0.59,
}


def article_cells(sets: Iterable[tuple[str, LabeledRows]], seeds: Sequence[int], *, tiny: bool = False) -> list[Row]:
    """Return all cells: table, set, column, and the mean, standard deviation, lowest and highest over seeds."""
    cells = list[Row]()
    for name, rows in sets:
        for spoil in (LABELS, FEATURES):
            say(f"article: {name}, {spoil}")
            cells += _detected(name, rows, spoil, seeds, tiny)
        say(f"article: {name}, membership")
        cells += _attacked(name, rows, seeds, tiny)
    return cells


def compared(cells: list[Row], published: Path | None) -> list[Row]:
    """Return the cells that are published, with how far apart both are.

    ``published``: JSON, a list of objects with table, set, column and value, as columns are named here.
    """
    known = dict(KNOWN)
    if published is not None and published.exists():
        known |= {(one["table"], one["set"], one["column"]): one["value"] for one in json.loads(published.read_text())}
    found = {(cell["table"], cell["set"], cell["column"]): cell for cell in cells}
    return [
        {
            "table": place[0],
            "set": place[1],
            "column": place[2],
            "published": value,
            "here": found[place]["mean"],
            "sd": found[place]["sd"],
            "apart": abs(found[place]["mean"] - value),
            "within": "yes" if abs(found[place]["mean"] - value) <= WITHIN else "no",
        }
        for place, value in known.items()
        if place in found
    ]


def _detected(name: str, rows: LabeledRows, spoil: str, seeds: Sequence[int], tiny: bool) -> list[Row]:
    taus, ks = (TAUS[4:5], KS[4:5]) if tiny else (TAUS, KS)
    sizes = {"n_train": 200, "n_validation": 50} if tiny else {}
    columns = {
        f"threshold_knn_shapley:radius={1 + tau:.1f}:metric=cosine": (OF_TAU[spoil], f"tau {tau}") for tau in taus
    }
    columns |= {f"knn_shapley:k={k}": (OF_K[spoil], f"K {k}") for k in ks}
    table = f"private, {spoil}"
    for epsilon in EPSILONS:
        word = f"dp_threshold_knn_shapley:epsilon={epsilon}:delta={DELTA}:radius=0.5:metric=cosine:n_classes=2"
        columns[word] = (table, f"epsilon {epsilon:g}")
    nothing = rows.take(np.arange(0))
    protocol = Protocol(THRESHOLD_KNN_2023, spoil, **sizes)
    found = detect(rows, nothing, contenders_of(list(columns)), protocol=protocol, seeds=seeds)
    return [
        _cell(*columns[row["method"]], name, spoil, row["auroc"], row["sd"], row["lowest"], row["highest"])
        for row in found.tables["detection"]
    ]


def _attacked(name: str, rows: LabeledRows, seeds: Sequence[int], tiny: bool) -> list[Row]:
    columns = {f"knn_shapley:k={k}": f"KNN K {k}" for k in (1, 5, 11)}
    columns["threshold_knn_shapley:radius=0.5:metric=cosine"] = "threshold"
    columns[f"dp_threshold_knn_shapley:epsilon=1.0:delta={DELTA}:radius=0.5:metric=cosine"] = "private, epsilon 1"
    rows = LabeledRows(standardized(rows.x), rows.y)
    if tiny:
        rows = halves(rows, 0)[0]
    points, others = _split(rows, 20 if tiny else POINTS)
    sizes = (
        {"n_private": 40, "n_queries": 20, "n_shadows": 3}
        if tiny
        else {"n_private": PRIVATE_ROWS, "n_queries": QUERIES}
    )
    found = membership(others, points, contenders_of(list(columns)), seeds=seeds, **sizes)
    return [
        _cell("membership", columns[row["method"]], name, "", row["auroc"], row["sd"], row["lowest"], row["highest"])
        for row in found.tables["membership"]
    ]


def _split(rows: LabeledRows, n_first: int) -> tuple[LabeledRows, LabeledRows]:
    order = np.random.default_rng(0).permutation(len(rows))
    return rows.take(order[:n_first]), rows.take(order[n_first:])


def _cell(table: str, column: str, name: str, spoil: str, *numbers: float) -> Row:
    mean, sd, lowest, highest = numbers
    about = {"table": table, "set": name, "column": column, "spoiled": spoil}
    return about | {"mean": mean, "sd": sd, "lowest": lowest, "highest": highest}
