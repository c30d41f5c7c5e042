"""The five questions on rows whose answers are known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dvspark.errors import ConfigError, InputError
from dvspark.evaluate.compare import compare
from dvspark.evaluate.contenders import Contender, contenders_of
from dvspark.evaluate.detect import detect
from dvspark.evaluate.evaluation import Evaluation, csv_of, table_text
from dvspark.evaluate.figure import figure_bytes
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.membership import membership
from dvspark.evaluate.protocols import Protocol
from dvspark.evaluate.removal import halves, removal
from dvspark.evaluate.reviewed import reviewed
from dvspark.evaluate.stability import stability
from dvspark.evaluate.subsets import subsets


def clusters(n: int, seed: int) -> LabeledRows:
    """Return rows of two classes that lie far apart."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return LabeledRows(draw.normal(size=(n, 3)) + 10 * y[:, None], y)


TRAIN, VALIDATION = clusters(200, 0), clusters(60, 1)
METHODS = ["knn_shapley:k=5", "threshold_knn_shapley:radius=6"]


def test_detect__finds_every_wrong_label_among_clusters() -> None:
    found = detect(TRAIN, VALIDATION, contenders_of(METHODS), seeds=[0, 1])
    for row in found.tables["detection"]:
        assert row["auroc"] > 0.99
        assert row["precision"] > 0.9
        assert row["by chance"] == 0.1
    by_method = {row["method"]: row for row in found.tables["curves"] if row["looked at"] == 0.1}
    assert (by_method["random"]["mean"], by_method["ideal"]["mean"]) == (0.1, 1.0)
    assert len(found.tables["trials"]) == 4


@pytest.mark.parametrize("share", [0.0, 0.001])
def test_detect__of_nothing_spoiled_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="a row that is spoiled"):
        detect(TRAIN, VALIDATION, contenders_of(METHODS[:1]), protocol=Protocol(share=share), seeds=[0])


def test_detect__bits_are_those_of_the_seed() -> None:
    once, again = (detect(TRAIN, VALIDATION, contenders_of(METHODS[:1]), seeds=[3]) for _ in range(2))
    assert once.tables["trials"] == again.tables["trials"]
    assert once.tables["curves"] == again.tables["curves"]


def test_removal__wrong_labels_hurt_until_they_are_removed() -> None:
    pytest.importorskip("sklearn")
    methods = contenders_of(METHODS[:1])
    found = removal(TRAIN, VALIDATION, methods, protocol=Protocol(share=0.3), seeds=[0, 1], shares=(0.0, 0.3))
    rows = {(r["order"], r["action"], r["share"], r["model"]): r["accuracy"] for r in found.tables["curves"]}
    for model in ("k-nn", "logistic regression"):
        assert rows["low first", "remove", 0.3, model] == 1.0
        assert rows["low first", "remove", 0.3, model] >= rows["random", "remove", 0.3, model]
        assert rows["low first", "add", 0.3, model] == 0.0  # the model learns what is wrong
        assert rows["high first", "add", 0.3, model] == 1.0
        assert rows["low first", "remove", 0.0, model] == rows["random", "remove", 0.0, model]
    for row in found.tables["removal"]:
        assert row["without low"] >= 0 >= row["without high"]


@pytest.mark.filterwarnings("ignore::dvspark.DataWarning")
def test_removal__by_values_that_tie_is_removal_at_random_in_a_table_sorted_by_class() -> None:
    pytest.importorskip("sklearn")
    by_class = TRAIN.take(np.argsort(TRAIN.y, kind="stable"))
    nobody_near = contenders_of(["threshold_knn_shapley:radius=1e-9"])
    found = removal(by_class, VALIDATION, nobody_near, seeds=[0, 1], models=("k-nn",))
    (row,) = found.tables["removal"]
    assert row["without low"] == 0.0
    assert row["without high"] == pytest.approx(0.0, abs=0.02)


def test_removal__as_a_review_decides_mends_what_is_wrong_and_then_stays() -> None:
    pytest.importorskip("sklearn")
    train, validation = clusters(200, 4), clusters(60, 5)
    spoiling = Protocol(share=0.3)
    shares = (0.0, 0.1, 0.3, 0.6)
    found = removal(
        train,
        validation,
        contenders_of(METHODS[:1]),
        protocol=spoiling,
        seeds=[0],
        shares=shares,
        models=("k-nn",),
        review_metric="euclidean",
    )
    (counted,) = found.tables["decisions"]
    assert counted["dropped"] + counted["relabeled"] >= 40
    rows = {r["share"]: r["accuracy"] for r in found.tables["curves"] if r["method"] == "review"}
    by_chance = {r["share"]: r["accuracy"] for r in found.tables["curves"] if r["order"] == "random"}
    assert rows[0.0] == by_chance[0.0]
    assert rows[0.6] == rows[0.3] >= 0.95 > rows[0.0]
    summary = found.tables["removal"][-1]
    assert summary["method"] == "review"
    assert summary["without low"] > 0
    assert summary["without high"] is None


def test_removal__compares_a_review_at_shares_that_leave_rows_to_all() -> None:
    pytest.importorskip("sklearn")
    given = clusters(200, 4), clusters(60, 5), contenders_of(METHODS[:1])
    more = {"protocol": Protocol(share=0.3), "seeds": [0], "models": ("k-nn",), "review_metric": "euclidean"}
    summaries = [removal(*given, shares=shares, **more).tables["removal"][-1] for shares in ((0.1,), (0.1, 1.0))]
    assert summaries[0] == summaries[1]


def test_reviewed__drops_and_relabels_the_least_probable_labels_first() -> None:
    # Of the first rows each is a copy of the one before it, or lies among rows of the other class.
    wrong = clusters(200, 4)
    wrong.x[1], wrong.y[1] = wrong.x[0], wrong.y[0]
    wrong.y[10:14] = 1 - wrong.y[10:14]
    truth = np.arange(200) % 2
    review = reviewed(wrong, clusters(60, 5), "euclidean")
    assert set(review.places.tolist()) == {1, 10, 11, 12, 13}
    assert review.places[-1] == 1  # its label is right
    half, done, more = review.after(2), review.after(5), review.after(100)
    assert (half.y != truth).sum() == 2 + (wrong.y[1] != truth[1])
    assert np.array_equal(done.x, np.delete(wrong.x, 1, axis=0))
    assert np.array_equal(done.y, np.delete(truth, 1))
    assert np.array_equal(done.y, more.y)


def test_removal__tests_on_other_rows_than_those_that_valued() -> None:
    first, second = halves(VALIDATION, 0)
    assert len(first) == len(second) == 30
    both = np.concatenate([first.x, second.x])
    assert np.array_equal(np.unique(both, axis=0), np.unique(VALIDATION.x, axis=0))
    with pytest.raises(InputError, match="two rows"):
        halves(VALIDATION.take(np.arange(1)), 0)


def test_removal__tells_what_is_wrong() -> None:
    with pytest.raises(ConfigError) as refused:
        removal(TRAIN, VALIDATION, contenders_of(METHODS), shares=(2.0,), models=("tree",))
    assert [one.where for one in refused.value.problems] == ["shares", "shares", "models"]


def test_stability__the_same_run_ranks_alike_and_random_rows_do_not() -> None:
    draw = np.random.default_rng(0)
    noise = LabeledRows(draw.normal(size=(150, 30)), draw.integers(0, 2, 150))
    found = stability(noise, noise.take(np.arange(40)), contenders_of(METHODS), seeds=[0], ks=(1, 5, 20))
    first = found.tables["stability"][0]
    assert first["runs"] == pytest.approx(1.0)
    assert first["validation halves"] < 0.9
    assert len(found.tables["ks"]) == 3  # the threshold method has no k
    assert len(found.tables["methods"]) == 1


def test_stability__of_values_that_are_all_alike_is_unknown_wherever_they_are_among_the_ks() -> None:
    """With k of all rows, and as many points of either class, every row is worth the same: its rank tells nothing."""
    draw = np.random.default_rng(0)
    train, validation = (LabeledRows(draw.normal(size=(n, 2)), np.arange(n) % 2) for n in (30, 10))
    for ks in ((1, 5, 50), (50, 5, 1)):
        found = stability(train, validation, contenders_of(["knn_shapley"]), seeds=[0], ks=ks)
        assert np.isnan(found.tables["stability"][0]["neighboring k"])


@pytest.mark.long
def test_compare__has_all_measures_and_a_figure() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    train, validation = clusters(120, 2), clusters(40, 3)
    found = compare(train, validation, contenders_of(METHODS), seeds=[0])
    row = found.tables["comparison"][0]
    assert all(value is not None for value in row.values())
    drawn = figure_bytes(found)
    assert drawn is not None
    assert drawn.startswith(b"<?xml")
    assert drawn == figure_bytes(found)
    assert {"evaluation.json", "comparison.csv", "detection_curves.csv", "removal_curves.csv"} == set(found.files())


def test_evaluation__as_plain_data_has_no_nan() -> None:
    found = Evaluation("?", {}, {"one": [{"a": float("nan"), "b": 1}]}, ("so",))
    assert json.loads(found.files()["evaluation.json"])["tables"] == {"one": [{"a": None, "b": 1}]}
    assert csv_of(found.plain()["tables"]["one"]) == "a,b\n,1\n"
    assert found.text() == "one\na  b\n-  1\nnote: so"
    assert table_text([]) == ""
    assert figure_bytes(found) is None


def test_contenders__are_read_with_their_options() -> None:
    first, second = contenders_of(["knn_shapley:k=3", "chg_shapley"], {"k": 10, "metric": "cosine"})
    assert dict(first.options) == {"k": 3, "metric": "cosine"}
    assert dict(second.options) == {}


def test_contenders__all_that_is_wrong_is_told_at_once() -> None:
    words = ["knn_shaply", "knn_shapley:m=3", "knn_shapley:k", "knn_shapley:k=0", "owner_knn_shapley"]
    with pytest.raises(ConfigError) as refused:
        contenders_of(
            [*words, "knn_regression_shapley", "weighted_knn_shapley:weight=column", "chg_shapley", "chg_shapley"]
        )
    said = str(refused.value)
    for part in ("did you mean 'knn_shapley'", "OPTION=VALUE", "a whole number of at least 1", "owners", "each once"):
        assert part in said
    with pytest.raises(ConfigError, match="at least one method"):
        contenders_of([])


@pytest.mark.parametrize("value", ["[", "{a", "'", "@x", "!!python", "2020-13-45"])
def test_contenders__a_value_that_is_no_yaml_is_a_text(value: str) -> None:
    with pytest.raises(ConfigError, match="one of 'euclidean'") as refused:
        contenders_of(["knn_shapley:k=3", f"knn_shapley:metric={value}"])
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("evaluate", [detect, removal, stability, subsets, compare, membership])
def test_evaluations__refuse_columns_in_another_order_and_other_numbers_of_features(evaluate: Any) -> None:
    """Frames whose columns stood in another order were taken as they stood."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["height", "weight"])
    train = LabeledRows.of("train", frame, rng.integers(0, 2, 60))
    for other, said in ((frame[["weight", "height"]], "'weight' for 'height' first"), (frame[["height"]], "got: 1\n")):
        validation = LabeledRows.of("validation", other, train.y)
        more = [["random"]] if evaluate is subsets else [[Contender("knn", "knn_shapley")]]
        with pytest.raises(InputError, match=said):
            evaluate(train, validation, *more)


def test_contenders__an_option_with_two_values_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)each option once.*got: k"):
        contenders_of(["knn_shapley:k=3:k=4"])
