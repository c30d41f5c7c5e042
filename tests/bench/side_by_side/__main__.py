"""All methods side by side: `python -m tests.bench.side_by_side --out tests/bench/side_by_side/results.json`."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dvspark import demo
from dvspark.errors import DvsparkError
from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.measures import auroc
from dvspark.evaluate.models import LOGISTIC, scores
from dvspark.evaluate.protocols import FEATURES, LABELS, Protocol
from tests.bench.frame import Result, Row, result, run, say
from tests.bench.reproductions.data import two_d_planes

QUESTION = "Which method finds wrong labels, which noisy rows, and whose rows are the ones a model needs?"
METHOD = """\
300 training rows, 200 validation rows and up to 500 test rows of each set, drawn by the seed, standardized; means over
two seeds. "Labels", "noise": AUROC of finding the 30 rows that got another label, or noise of one standard deviation
in each feature, by the lowest values (0.5 is chance). "Without low", "without high": by how much the test accuracy of a
logistic regression changes when 10 % and 30 % of the rows are removed, those of low values or of high values, over
random ones, in points; 10 % of the labels are wrong. "Only high": the same with only 10 % and 30 % of the rows there,
the highest. "Evaluations": how often a model was fitted or a utility asked, at most. "CPU s": of one valuation. k = 10,
radius auto. The methods for any utility have the accuracy of a logistic regression of scikit-learn (at most 50 steps)
as utility."""
N_TRAIN, N_VALIDATION, N_TEST = 300, 200, 500
SEEDS = (0, 1)
SHARES = (0.1, 0.3)
EVALUATIONS = 1_000
UTILITY = "sklearn.linear_model.LogisticRegression(max_iter=50)"
ANY: dict[str, Any] = {"utility": UTILITY, "evaluations": EVALUATIONS}
# An order of 300 rows takes 299 evaluations, and an estimate two pairs of orders at least.
ORDERS: dict[str, Any] = {"utility": UTILITY, "evaluations": 1_300}
NEAR: dict[str, Any] = {"k": 10}
WITHIN: dict[str, Any] = {"radius": "auto"}
CONTENDERS = (
    Contender("knn_shapley", "knn_shapley", NEAR),
    Contender("soft_knn_shapley", "soft_knn_shapley", NEAR),
    Contender("weighted_knn_shapley, rbf", "weighted_knn_shapley", {"k": 10, "kind": "raw", "weight": "rbf"}),
    Contender("knn_banzhaf", "knn_banzhaf", NEAR),
    Contender("knn_beta", "knn_beta", NEAR),
    Contender("knn_loo", "knn_loo", NEAR),
    Contender("truncated_knn_shapley", "truncated_knn_shapley", {"k": 10, "epsilon": 0.05}),
    Contender("cleanlab_knn_shapley", "cleanlab_knn_shapley", NEAR),
    Contender("threshold_knn_shapley", "threshold_knn_shapley", WITHIN),
    Contender("threshold_knn_banzhaf", "threshold_knn_banzhaf", WITHIN),
    Contender("threshold_knn_beta", "threshold_knn_beta", WITHIN),
    Contender("threshold_knn_loo", "threshold_knn_loo", WITHIN),
    Contender("chg_shapley", "chg_shapley", {}),
    Contender("influence", "influence", {}),
    Contender("lava", "lava", {}),
    Contender("dvrl", "dvrl", {}),
    Contender("monte_carlo_shapley", "monte_carlo_shapley", ORDERS),
    Contender("monte_carlo_shapley, truncated", "monte_carlo_shapley", {**ORDERS, "truncation": 0.01}),
    Contender("group_testing_shapley", "group_testing_shapley", ANY),
    Contender("monte_carlo_banzhaf", "monte_carlo_banzhaf", ANY),
    Contender("monte_carlo_beta", "monte_carlo_beta", ORDERS),
    Contender("ame", "ame", ANY),
    Contender("data_oob", "data_oob", ANY),
    Contender("leave_one_out", "leave_one_out", ANY),
)


def main(tiny: bool = False) -> Result:
    """Measure all methods on all sets; half an hour."""
    seeds = SEEDS[:1] if tiny else SEEDS
    tables, failed = {}, list[Row]()
    for name, rows in sets(tiny):
        found: dict[str, list[Row]] = {}
        for seed in seeds:
            for one in CONTENDERS:
                say(f"side_by_side: {name}, seed {seed}, {one.name}")
                try:
                    found.setdefault(one.name, []).append(measured(one, rows, seed))
                except DvsparkError as error:
                    failed.append({"set": name, "method": one.name, "why": str(error).splitlines()[-1].strip()})
        tables[name] = [{"method": method, **_means(of_seeds)} for method, of_seeds in found.items() if of_seeds]
    tables["Means over the sets"] = _over_sets(tables)
    if failed:
        tables["Left out"] = failed
    return result("side_by_side", QUESTION, METHOD, [], tables)


def sets(tiny: bool) -> Iterator[tuple[str, LabeledRows]]:
    """Yield name and rows of each set: tables of numbers, images, and embeddings of texts with many classes."""
    from sklearn.datasets import load_breast_cancer, load_digits

    yield "digits", LabeledRows.of("digits", *load_digits(return_X_y=True))
    if tiny:
        return
    yield "2dplanes, generated", two_d_planes(5_000)
    yield "breast cancer", LabeledRows.of("breast cancer", *load_breast_cancer(return_X_y=True))
    table = pq.read_table(demo.DATA / "train.parquet", columns=["embedding", "label"])
    names, counts = np.unique(table["label"].to_numpy(), return_counts=True)
    many = np.isin(table["label"].to_numpy(), names[np.argsort(-counts, kind="stable")[:10]])
    x = np.stack(table["embedding"].to_numpy())[many]
    yield "packages, ten largest classes", LabeledRows.of("packages", x, table["label"].to_numpy()[many])


def measured(one: Contender, rows: LabeledRows, seed: int) -> Row:
    """Return all measures of a method on rows of a set, drawn by a seed."""
    draw = np.random.Generator(np.random.PCG64([seed, 7]))
    order = draw.permutation(len(rows))
    x = (rows.x - rows.x.mean(axis=0)) / np.where(rows.x.std(axis=0) > 0, rows.x.std(axis=0), 1)
    cuts = np.cumsum([0, N_TRAIN, N_VALIDATION, N_TEST])
    train, validation, test = (
        LabeledRows(x[order[start:end]], rows.y[order[start:end]]) for start, end in itertools.pairwise(cuts)
    )
    noisy = Protocol(spoil=FEATURES).trial(train, validation, seed)
    noise = auroc(noisy.is_spoiled, one.values(noisy.train, validation))
    wrong = Protocol(spoil=LABELS).trial(train, validation, seed)
    begun = time.process_time()  # what is compiled once has been compiled
    values = one.values(wrong.train, validation)
    seconds = time.process_time() - begun
    told: Row = {"labels": auroc(wrong.is_spoiled, values), "noise": noise}
    lowest_first, chance = np.argsort(values, kind="stable"), draw.permutation(len(train))
    for what, places, kept in (
        ("without low", lowest_first, _rest),
        ("without high", lowest_first[::-1], _rest),
        ("only high", lowest_first[::-1], _first),
    ):
        of_values, of_chance = (
            np.mean([_accuracy(wrong.train, kept(some, share), test) for share in SHARES]) for some in (places, chance)
        )
        told[what] = 100 * float(of_values - of_chance)
    return told | {"evaluations": int(one.options.get("evaluations", 0)), "CPU s": seconds}


def _rest(places: Any, share: float) -> Any:
    return np.sort(places[round(share * len(places)) :])


def _first(places: Any, share: float) -> Any:
    return np.sort(places[: round(share * len(places))])


def _accuracy(train: LabeledRows, kept: Any, test: LabeledRows) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scores(LOGISTIC, train.take(kept), test)["accuracy"]


def _means(rows: list[Row]) -> Row:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _over_sets(tables: dict[str, list[Row]]) -> list[Row]:
    """Return each method's means over those sets on which it was measured."""
    found: dict[str, list[Row]] = {}
    for row in (row for rows in tables.values() for row in rows):
        found.setdefault(row["method"], []).append({name: row[name] for name in row if name != "method"})
    return [{"method": method, **_means(rows)} for method, rows in found.items()]


if __name__ == "__main__":
    run(main)
