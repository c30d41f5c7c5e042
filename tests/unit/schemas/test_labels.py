"""Labels of both sides: what says nothing is told, and columns of indicators are not taken for sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dvspark.schemas.labels import ListForm, indicator_problem, label_findings, rows_by_label

INDICATORS = {
    "one-hot": np.eye(4, dtype=int)[[0, 3, 1, 2]],
    "one-hot of two classes": [[0, 1], [1, 0]],
    "multi-hot": [[0, 1, 1], [0, 0, 0], [1, 1, 0]],
    "one class alone": [[0, 0, 1]] * 3,
    "one row": [[1, 0, 0]],
    "minus one and one": [[-1, 1, -1], [1, -1, -1]],
}
SETS = {
    "of unequal size": [[0], [0, 1], [1]],
    "of both": [[0, 1], [0, 1]],
    "each label repeated": [[0, 0, 0], [1, 1, 1]],
    "of other numbers": [[0, 2], [2, 0]],
    "of words": [["0", "1", "0"], ["1", "0", "0"]],
    "empty": [[], []],
    "no rows": [],
}


def form_of(rows: Any) -> tuple[pa.Array, ListForm]:
    rows = np.asarray(rows).tolist() if isinstance(rows, np.ndarray) else rows
    labels = pa.array(rows, None if any(rows) else pa.list_(pa.int64()))
    return labels, ListForm.of(labels)


@pytest.mark.parametrize("rows", INDICATORS.values(), ids=INDICATORS)
def test_indicator_problem__columns_of_indicators_are_told_and_what_to_do(rows: Any) -> None:
    labels, form = form_of(rows)
    problem = indicator_problem("y", rows_by_label(labels), form)
    assert problem is not None
    assert "one-hot" in problem.got
    assert "argmax" in problem.hint


@pytest.mark.parametrize("rows", SETS.values(), ids=SETS)
def test_indicator_problem__sets_have_none(rows: Any) -> None:
    labels, form = form_of(rows)
    assert indicator_problem("y", rows_by_label(labels), form) is None


def test_list_form__of_parts_adds_up_to_that_of_the_whole() -> None:
    rows = [*np.random.default_rng(3).integers(0, 3, (40, 3)).tolist(), [7], [1, 2]]
    whole = form_of(rows)[1]
    assert form_of(rows[:17])[1].added(form_of(rows[17:])[1]) == whole
    assert whole.n_mixed == sum(len(set(row)) > 1 for row in rows)
    assert whole.n_unset == sum(len(set(row)) > 1 and row != sorted(set(row)) for row in rows)


def test_rows_by_label__counts_a_repeated_label_once_a_row() -> None:
    assert rows_by_label(pa.array([["a", "a"], ["b", "a"], []])) == {"a": 2, "b": 1}
    assert rows_by_label(pa.array([3, 3, 1])) == {3: 2, 1: 1}


# Each: labels of training rows, of validation rows (None: self-validation), words of the finding.
NOTHING = {
    "none in common": ([0, 1], [2, 3], "occur in both"),
    "some absent": ([0, 1], [0, 3], "1 others, 1 times; the first: 3"),
    "one class": (["a", "a"], ["a", "a"], "everybody shares: 'a'"),
    "one class of training rows": ([1, 1, 1], [1, 0], "everybody shares: 1"),
    "a label of all among others": ([[0, 5], [1, 5]], [[5], [0, 5]], "everybody shares"),
    "all labels in each validation row": ([0, 1, 0], [[0, 1], [0, 1, 2]], "everybody shares"),
    "one class, self-validation": ([1, 1], None, "everybody shares"),
    "twins in one table": (["cat", "Cat", "dog"], ["cat", "dog"], "'Cat', 'cat'"),
    "twins in both tables": (["cat", "dog"], ["cat ", "dog"], "'cat', 'cat '"),
    "twins, self-validation": (["new  york", "new york", "x", "x"], None, "'new  york', 'new york'"),
    "all apart, self-validation": ([1, 2, 3], None, "each label in one row alone"),
    "missing, as NumPy writes it": (["a", "nan", "b"], ["a", "b"], "'nan', 1 times"),
    "missing, as pandas writes it": (["a", "b"], ["a", "<NA>", "<NA>", "b"], "'<NA>', 2 times"),
    "missing among several": ([["a", "None"], ["b"]], [["a"], ["None", "b"]], "'None', 2 times"),
    "missing, self-validation": (["a", "null", "a", "b"], None, "'null', 1 times"),
}
SOMETHING = {
    "two classes": ([0, 1, 0], [0, 1]),
    "one point": ([0, 1], [0]),
    "one training row": ([0], [0]),
    "a label of all training rows, not of all points": ([[0, 5], [1, 5]], [[0], [5]]),
    "numbers and words": ([["1", "one"], ["One way"]], [["1"], ["one"]]),
    "two classes, self-validation": ([0, 1, 1], None),
    "one row, self-validation": ([4], None),
}


def found(train: list[Any], validation: list[Any] | None) -> list[str]:
    counts = [None if side is None else rows_by_label(pa.array(side)) for side in (train, validation)]
    return [str(one) for one in label_findings(counts[0], counts[1], (len(train), len(validation or train)))]


@pytest.mark.parametrize(("train", "validation", "said"), NOTHING.values(), ids=NOTHING)
def test_label_findings__tell_labels_that_say_nothing(train: Any, validation: Any, said: str) -> None:
    assert any(said in one for one in found(train, validation))


@pytest.mark.parametrize(("train", "validation"), SOMETHING.values(), ids=SOMETHING)
def test_label_findings__are_none_where_labels_say_something(train: Any, validation: Any) -> None:
    assert found(train, validation) == []


def test_label_findings__tell_a_label_space_that_is_smaller_than_the_labels() -> None:
    counts = [rows_by_label(pa.array(side)) for side in ([0, 1, 1, 2], [0, 3])]
    for n_classes, is_told in ((3, True), (1, True), (4, False), (9, False), (None, False)):
        told = [one.where for one in label_findings(counts[0], counts[1], (4, 2), n_classes)]
        assert ("n_classes" in told) == is_told
