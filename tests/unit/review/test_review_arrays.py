"""The review of arrays: what it finds where it is known what is wrong, what must not matter, what is refused."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import datasets

import dvspark
from dvspark.errors import ConfigError, InputError
from dvspark.review import ReviewResult
from dvspark.schemas.reviewing import DECISIONS, LABEL_CHANGES, REVIEW

DIGITS = datasets.load_digits()


def review(*arrays: Any, **options: Any) -> ReviewResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dvspark.DataWarning)
        return dvspark.review_arrays(*arrays, **options)


def column(found: ReviewResult, name: str) -> np.ndarray:
    return found.table[name].to_numpy()


def digits(n: int, share: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, labels of which a share is wrong, and the true labels."""
    rng = np.random.default_rng(seed)
    x, truth = DIGITS.data[:n], DIGITS.target[:n]
    wrong = rng.random(n) < share
    return x, np.where(wrong, (truth + rng.integers(1, 10, n)) % 10, truth), truth


def blobs(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (4.0 * np.eye(3)[y] + rng.normal(size=(n, 3))).astype(np.float32), y


def test_review__has_the_columns_of_the_dictionary() -> None:
    x, y = blobs(40)
    table = review(x, y).table
    assert table.column_names == REVIEW.names
    numbers = ("value", "standard_error", "label_score", "suggested_score", "duplicate_distance", "outlier_score")
    assert all(table.schema.field(name).type == pa.float64() for name in numbers)
    assert table["label_issue"].type == pa.bool_()
    assert set(table["decision"].to_pylist()) <= set(DECISIONS)
    assert all(reason.endswith(".") for reason in table["reason"].to_pylist())
    assert table["id"].to_pylist() == list(range(40))


def test_review__finds_wrong_labels_and_the_right_ones() -> None:
    x, y, truth = digits(1200)
    found = review(x, y)
    wrong, flagged = y != truth, column(found, "label_issue")
    assert (flagged & wrong).sum() / flagged.sum() > 0.9
    assert (flagged & wrong).sum() / wrong.sum() > 0.9
    lowest = np.argsort(column(found, "label_score"), kind="stable")[: wrong.sum()]
    assert wrong[lowest].mean() > 0.9
    relabeled = column(found, "decision") == "relabel"
    assert (column(found, "suggested_label") == truth)[relabeled].mean() > 0.95
    assert found.noise_rate == pytest.approx(0.1, abs=0.03)


def test_review__is_calibrated() -> None:
    # Labels that features determine by a known law: of suggestions with a score near s, about a share s is right.
    right, scores = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1500, 2))
        truth = (rng.random(1500) < 1 / (1 + np.exp(-3 * x[:, 0]))).astype(int)
        y = np.where(rng.random(1500) < 0.1, 1 - truth, truth)
        found = review(x, y)
        scores.append(column(found, "suggested_score"))
        right.append(column(found, "suggested_label") == truth)
    score, hit = np.concatenate(scores), np.concatenate(right)
    for low in (0.6, 0.7, 0.8, 0.9):
        here = (score >= low) & (score < low + 0.1)
        assert here.sum() > 100
        assert hit[here].mean() == pytest.approx(score[here].mean(), abs=0.1)


def test_review__of_right_labels_flags_few() -> None:
    found = review(DIGITS.data[:1000], DIGITS.target[:1000])
    assert column(found, "label_issue").sum() < 40
    assert found.counts()["keep"] > 950


def test_values__are_those_of_value_arrays() -> None:
    x, y = blobs(60)
    z, y_z = blobs(30, seed=1)
    np.testing.assert_array_equal(column(review(x, y, z, y_z), "value"), dvspark.value_arrays(x, y, z, y_z, k=20))
    alone = dvspark.value_arrays(x, y, k=5, self_validation=True)
    np.testing.assert_array_equal(column(review(x, y, k=5), "value"), alone)


def test_validation_rows__vote() -> None:
    # Few training rows, of which many have wrong labels, and many validation rows.
    x, y, truth = digits(300, share=0.3)
    wrong = y != truth
    found, alone = review(x, y, DIGITS.data[300:], DIGITS.target[300:]), review(x, y)
    lowest, of_alone = (np.argsort(column(one, "label_score"), kind="stable")[: wrong.sum()] for one in (found, alone))
    assert wrong[lowest].mean() > wrong[of_alone].mean()
    assert (column(found, "suggested_label") == truth).mean() > 0.95


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_copies_and_leaks__are_told(metric: str) -> None:
    x, y = blobs(200)
    z, y_z = blobs(50, seed=1)
    x[150:155], y[150:155] = x[:5], y[:5]  # equal
    x[160:165], y[160:165] = x[20:25] * np.float32(1 + 1e-6), y[20:25]  # nearly
    y[164] = (y[24] + 1) % 3
    x[170:173] = z[10:13]
    names, radius = [f"v{n}" for n in range(50)], 1e-4 if metric == "euclidean" else 1e-10
    found = review(x, y, z, y_z, metric=metric, validation_ids=names, duplicate_radius=radius)
    table = found.table
    assert table["duplicate_of"].to_pylist()[150:155] == [0, 1, 2, 3, 4]
    assert table["duplicate_distance"].to_pylist()[150:155] == [0.0] * 5
    assert table["duplicate_of"].to_pylist()[160:165] == [20, 21, 22, 23, 24]
    assert table["leaked_from"].to_pylist()[170:173] == ["v10", "v11", "v12"]
    assert table["decision"].to_pylist()[150:155] == ["drop"] * 5
    assert table["decision"].to_pylist()[170:173] == ["drop"] * 3
    assert table["decision"][164].as_py() != "drop" or table["label_issue"][164].as_py()
    assert "comes first" in table["reason"][150].as_py()
    assert "'v10'" in table["reason"][170].as_py()
    assert sum(one is not None for one in table["duplicate_of"].to_pylist()) == 10
    only_equal = review(x, y, z, y_z, metric=metric, duplicate_radius=0)
    assert only_equal.table["duplicate_of"].to_pylist()[150:155] == [0, 1, 2, 3, 4]
    assert only_equal.table["leaked_from"].to_pylist()[170:173] == [10, 11, 12]


def test_ids__decide_which_copy_stays_and_order_plays_no_part() -> None:
    x, y, _ = digits(400)
    x = np.concatenate([x, x[:30]])
    y = np.concatenate([y, y[:30]])
    ids = np.array([f"row{n:04d}" for n in np.random.default_rng(1).permutation(len(y))])
    found = review(x, y, train_ids=ids).table
    assert found["id"].to_pylist() == ids.tolist()
    for row in range(30):
        first, later = sorted([row, 400 + row], key=lambda place: ids[place])
        assert found["duplicate_of"][later].as_py() == ids[first]
        assert found["duplicate_of"][first].as_py() is None
    order = np.random.default_rng(2).permutation(len(y))
    shuffled = review(x[order], y[order], train_ids=ids[order]).table
    assert shuffled.equals(found.take(pa.array(order)))


def test_validation_ids__order_plays_no_part() -> None:
    x, y = blobs(90)
    z, y_z = blobs(80, seed=1)
    z[:5] = x[:5]
    ids = np.array([f"v{n:03d}" for n in np.random.default_rng(3).permutation(len(z))])
    found = review(x, y, z, y_z, validation_ids=ids, k=3).table
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(z))
        assert review(x, y, z[order], y_z[order], validation_ids=ids[order], k=3).table.equals(found)


def test_outliers__are_to_be_checked() -> None:
    x, y = blobs(200)
    x[7] += 60.0
    found = review(x, y)
    scores = column(found, "outlier_score")
    assert scores.argmax() == 7
    assert np.median(scores) == pytest.approx(1.0, abs=0.1)
    assert found.table["decision"][7].as_py() in ("check", "drop", "relabel")
    assert found.counts()["check"] <= 5


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1.0, 1e3])
def test_outliers__are_found_in_any_unit_beside_rows_that_are_mostly_copies(unit: float) -> None:
    copies = np.repeat([[0.0, 0.0], [1.0, 0.0]], 60, axis=0)
    others = np.random.default_rng(0).normal(size=(30, 2)) * 0.01 + [0.0, 5.0]
    x = np.concatenate([copies, others, [[0.0, 9.0]]])
    found = review(x * unit, np.repeat([0, 1, 2], [60, 60, 31]))
    assert column(found, "outlier_score").argmax() == 150
    checked = np.flatnonzero(column(found, "decision") == "check")
    assert checked.tolist() == [150]


def test_several_labels__get_labels_to_add_and_to_take_away() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(600, 2))
    truth = [[name for name, has in (("east", a > 0), ("north", b > 0), ("all", True)) if has] for a, b in x]
    far = np.flatnonzero(np.abs(x).min(axis=1) > 0.2)
    given = [set(labels) for labels in truth]
    for row in far[:30]:
        given[row] ^= {"north"}
    found = review(x, [sorted(one) for one in given])
    table = found.table
    assert table.column_names == REVIEW.names + [one.name for one in LABEL_CHANGES]
    for row in far[:30].tolist():
        lacks = x[row, 1] > 0
        assert table["labels_to_add"][row].as_py() == (["north"] if lacks else [])
        assert table["labels_to_remove"][row].as_py() == ([] if lacks else ["north"])
        assert sorted(table["suggested_label"][row].as_py()) == sorted(truth[row])
        assert table["decision"][row].as_py() == "relabel"
    assert table["label_issue"].to_numpy().sum() < 80


def test_several_labels__of_validation_rows_leave_training_rows_their_head() -> None:
    x, y, _ = digits(300)
    z, labels = DIGITS.data[300:360], DIGITS.target[300:360].tolist()
    assert review(x, y, z, [[label] for label in labels]).table.equals(review(x, y, z, labels).table)


@pytest.mark.filterwarnings("ignore::dvspark.DataWarning")
def test_several_labels__are_never_all_taken_away() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), [rng.choice(9, rng.integers(1, 4), replace=False).tolist() for _ in range(60)]
    found = dvspark.review_arrays(x, y, k=5)
    assert all(found.table["suggested_label"].to_pylist())
    own = [sorted(labels) for labels in y]
    kept = np.array([one == other for one, other in zip(found.table["suggested_label"].to_pylist(), own, strict=True)])
    doubted = kept & column(found, "label_issue")
    assert doubted.any()
    assert set(column(found, "decision")[doubted]) <= {"check", "drop"}  # drop: a copy


def test_small_classes__are_never_emptied() -> None:
    x, y = blobs(200)
    words = np.array(["a", "b", "c"])[y].astype(object)
    words[5] = "alone"
    x[60:62], words[60:62] = x[3], "pair"
    with pytest.warns(dvspark.DataWarning, match="alone"):
        found = dvspark.review_arrays(x, words.tolist())
    left = found.table.filter(pa.compute.is_in(found.table["decision"], value_set=pa.array(["keep", "check"])))
    assert {"a", "b", "c", "alone", "pair"} <= set(left["label"].to_pylist())
    assert any("alone" in finding.where for finding in found.findings)
    assert "no row of its class" in found.table["reason"][5].as_py()


def test_row_with_several_labels__saves_the_one_that_no_other_row_has() -> None:
    x, y = blobs(60)
    labels = [[f"l{code}"] for code in y.tolist()]
    labels[7] = [*labels[7], "only"]
    found = review(x, labels, x[[7, 20]], [labels[7], labels[20]])  # they leak, and are to be dropped
    assert [found.table["decision"][row].as_py() for row in (7, 20)] == ["check", "drop"]
    saved = [finding.where for finding in found.findings if finding.expected == "rows that stay"]
    assert saved == ["class 'only'"]


def test_a_class_that_is_mostly_negative__is_told() -> None:
    rng = np.random.default_rng(0)
    x, y = blobs(300)
    z, y_z = blobs(100, seed=1)
    y[y == 2] = np.where(rng.random((y == 2).sum()) < 0.9, 2, 0)
    y_z = np.where(y_z == 2, 0, y_z)  # where label 2 is, validation rows say 0
    found = review(x, y, z, y_z)
    assert any(finding.where == "class 2" and "below 0" in finding.got for finding in found.findings)


@pytest.mark.parametrize(("wrong", "told"), [(0.1, False), (0.4, True)])
def test_many_flags__are_told(wrong: float, told: bool) -> None:
    x, y = blobs(300)
    spoiled = np.random.default_rng(0).random(len(y)) < wrong
    y[spoiled] = (y[spoiled] + 1) % 3
    found = review(x, y)
    assert any(finding.where == "label_issue" for finding in found.findings) is told


@pytest.mark.parametrize("guise", ["list", "pandas", "arrow"])
def test_guises__give_the_same_table(guise: str) -> None:
    x, y = blobs(50)
    ids = [f"r{n}" for n in range(50)]
    expected = review(x, y, train_ids=np.array(ids)).table
    given: dict[str, tuple[Any, Any, Any]] = {
        "list": (x.tolist(), y.tolist(), ids),
        "arrow": (pa.FixedSizeListArray.from_arrays(x.ravel(), 3), pa.array(y), pa.array(ids)),
    }
    if guise == "pandas":
        pandas = pytest.importorskip("pandas")
        given["pandas"] = pandas.DataFrame(x), pandas.Series(y), pandas.Series(ids)
    rows, labels, names = given[guise]
    found = review(rows, labels, train_ids=names).table
    assert found["label"].to_pylist() == expected["label"].to_pylist()
    assert found["id"].to_pylist() == expected["id"].to_pylist()
    np.testing.assert_allclose(found["label_score"].to_numpy(), expected["label_score"].to_numpy(), atol=1e-6)
    assert found["decision"].to_pylist() == expected["decision"].to_pylist()


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_few_rows__are_reviewed_too(n: int) -> None:
    x, y = blobs(n)
    found = review(x, y)
    assert len(found.table) == n
    assert np.isfinite(column(found, "label_score")).all()
    assert np.isfinite(column(found, "outlier_score")).all()


def test_rows_that_are_all_equal__keep_the_first() -> None:
    found = review(np.ones((30, 2)), ["a"] * 30)
    assert found.table["decision"].to_pylist() == ["keep"] + ["drop"] * 29
    assert found.table["duplicate_of"].to_pylist()[1:] == [0] * 29


def test_options__are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        review([[1.0]], [1], k=0, metric="inner_product", duplicate_radius=-1, validation_ids=[1])
    assert [one.where for one in refused.value.problems] == [
        "metric",
        "duplicate_radius",
        "validation_ids",
        "parameter 'k'",
    ]
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        review([[1.0]], [1], metric="cosin")
    with pytest.raises(ConfigError, match="duplicate_radius"):
        review([[1.0]], [1], duplicate_radius="none")


def test_data__is_refused_all_at_once() -> None:
    with pytest.raises(InputError) as refused:
        review([[1.0], [np.nan]], [1], [[1.0]], [1], train_ids=[1, 1], validation_ids=[1, 2])
    assert [one.where for one in refused.value.problems] == ["x_train", "y_train", "train_ids", "validation_ids"]
    with pytest.raises(InputError, match="validation_ids"):
        review([[1.0], [2.0]], [1, 2], [[1.0], [2.0]], [1, 2], validation_ids=[3, 3])


def test_embeddings_too_large_to_square__are_told_without_a_precision_that_a_review_does_not_have() -> None:
    with pytest.raises(InputError, match="squared norms up to") as refused:
        review([[1e30], [2e30]], [1, 2])
    assert [one.hint for one in refused.value.problems] == ["scale the embeddings down"]


def test_result__is_shown_in_a_line() -> None:
    x, y = blobs(40)
    found = review(x, y)
    assert repr(found).startswith("ReviewResult(40 rows: keep ")
    flagged = pa.array([row == 0 for row in range(40)])
    place = found.table.column_names.index("label_issue")
    one = dataclasses.replace(found, table=found.table.set_column(place, "label_issue", flagged))
    assert repr(one).endswith("; 1 label is probably wrong)")
