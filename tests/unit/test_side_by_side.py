"""The comparison of all methods knows them all, measures what it says; and its page is what its stored result makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dvspark.evaluate.contenders import Contender
from dvspark.evaluate.labeled import LabeledRows
from dvspark.methods import METHODS
from tests.bench.side_by_side import __main__ as side_by_side
from tests.bench.side_by_side.page import MEASURES, RESULTS, marked, page

ROOT = Path(__file__).parents[2]
# Of numbers, of owners, private, or without a meaning of its own for rows with one label each.
OTHERS = {
    "knn_regression_shapley",
    "owner_knn_shapley",
    "owner_sum_of_points",
    "knn_acquisition_shapley",
    "dp_threshold_knn_shapley",
    "knn_dp",
}


def test_contenders__are_all_methods_that_value_rows_by_labels() -> None:
    assert {one.method for one in side_by_side.CONTENDERS} == set(METHODS) - OTHERS
    assert [problem for one in side_by_side.CONTENDERS for problem in one.problems()] == []


def test_measured__finds_wrong_labels_of_classes_that_are_apart() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1_000)
    rows = LabeledRows.of("rows", rng.normal(size=(1_000, 3)) + 6 * y[:, None], y)
    told = side_by_side.measured(Contender("knn_shapley", "knn_shapley", {"k": 10}), rows, 0)
    assert told["labels"] > 0.95
    assert told["evaluations"] == 0
    assert told["without high"] <= told["without low"]


def test_page__is_what_the_result_makes() -> None:
    # python -m tests.bench.side_by_side.page > docs/choosing_a_method.md
    made = page(json.loads(RESULTS.read_text(encoding="utf-8")))
    assert (ROOT / "docs" / "choosing_a_method.md").read_text(encoding="utf-8") == made


def test_marks__are_shares_of_the_best_methods_lead_over_chance() -> None:
    leads = {"best": 0.3, "near": 0.21, "between": 0.19, "far": 0.09, "worse than chance": -0.1}
    means = [
        {"method": name, "CPU s": 1.0} | {what: chance + sign * lead for what, (chance, sign) in MEASURES.items()}
        for name, lead in leads.items()
    ]
    found = [{row[what] for what in MEASURES} for row in marked(means)]
    assert found == [{"++"}, {"++"}, {"+"}, {"-"}, {"-"}]
