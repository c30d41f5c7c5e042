"""Protocols: what is spoiled and what is not, and the same bits from the same seed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from dvspark.errors import ConfigError, InputError
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.protocols import FEATURES, LABELS, PLAIN, THRESHOLD_KNN_2023, Protocol, Trial, balanced_places


def rows(n: int = 300, n_classes: int = 3, seed: int = 0) -> LabeledRows:
    draw = np.random.default_rng(seed)
    return LabeledRows(draw.normal(size=(n, 4)) * 3 + 7, draw.integers(0, n_classes, n))


def digest(trial: Trial) -> str:
    parts = (trial.train.x, trial.train.y.astype("<i8"), trial.validation.x, trial.is_spoiled)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


SMALL = {"n_train": 200, "n_validation": 60}


@pytest.mark.parametrize("name", [PLAIN, THRESHOLD_KNN_2023])
@pytest.mark.parametrize("spoil", [LABELS, FEATURES])
def test_trial__a_seed_gives_the_same_bits(name: str, spoil: str) -> None:
    protocol = Protocol(name, spoil, 0.2, **SMALL)
    first, again, other = (protocol.trial(rows(), rows(80, seed=1), seed) for seed in (5, 5, 6))
    assert digest(first) == digest(again) != digest(other)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_plain__changes_the_labels_of_so_many_rows_and_nothing_else(n_classes: int) -> None:
    given, others = rows(n_classes=n_classes), rows(50, seed=1)
    trial = Protocol(share=0.1).trial(given, others, 0)
    assert trial.is_spoiled.sum() == 30
    np.testing.assert_array_equal(trial.train.y != given.y, trial.is_spoiled)
    assert set(trial.train.y) <= set(given.y)
    assert trial.train.x is given.x
    assert trial.validation is others


def test_plain__other_labels_are_alike_likely() -> None:
    given = LabeledRows(np.zeros((3_000, 1)), np.repeat(["a", "b", "c"], 1_000))
    changed = Protocol(share=0.9).trial(given, given, 1)
    of_a = changed.train.y[:1_000][changed.is_spoiled[:1_000]]
    assert 0.44 < np.mean(of_a == "b") < 0.56


def test_plain__noise_is_in_standard_deviations_of_the_column() -> None:
    given = LabeledRows(np.random.default_rng(0).normal(size=(20_000, 2)) * [1, 100], np.arange(20_000) % 2)
    trial = Protocol(spoil=FEATURES, share=0.5, noise=2.0).trial(given, given, 0)
    steps = trial.train.x - given.x
    assert np.all((steps != 0).any(axis=1) == trial.is_spoiled)
    assert steps[trial.is_spoiled].std(axis=0) == pytest.approx([2, 200], rel=0.05)
    np.testing.assert_array_equal(trial.train.y, given.y)


def test_threshold_knn_2023__balances_by_duplicates_then_standardizes_and_splits() -> None:
    draw = np.random.default_rng(0)
    given = LabeledRows(draw.normal(size=(400, 3)) + 5, (np.arange(400) < 100).astype(int))
    places = balanced_places(given.y, np.random.RandomState(999))
    assert np.array_equal(places[:400], np.arange(400))
    assert np.all(given.y[places[400:]] == 1)
    assert np.bincount(given.y[places]).tolist() == [300, 300]
    nothing = given.take(np.arange(0))
    whole = Protocol(THRESHOLD_KNN_2023, share=0.0, n_train=500, n_validation=100).trial(given, nothing, 999)
    both = np.concatenate([whole.train.x, whole.validation.x])
    assert both.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-12)
    assert both.std(axis=0) == pytest.approx([1, 1, 1])


def test_threshold_knn_2023__noise_has_the_length_of_its_column() -> None:
    given = rows(3_000, 2)
    nothing = given.take(np.arange(0))
    sizes = {"share": 0.5, "n_train": 2_000, "n_validation": 100}
    before = Protocol(THRESHOLD_KNN_2023, FEATURES, noise=0.0, **sizes).trial(given, nothing, 999)
    after = Protocol(THRESHOLD_KNN_2023, FEATURES, **sizes).trial(given, nothing, 999)
    steps = (after.train.x - before.train.x)[after.is_spoiled]
    assert steps.std(axis=0) == pytest.approx(np.linalg.norm(before.train.x, axis=0), rel=0.06)


def test_threshold_knn_2023__first_seed_is_that_of_the_release() -> None:
    assert Protocol(THRESHOLD_KNN_2023).seeds(2) == [999, 1000]
    assert Protocol().seeds(2) == [0, 1]


def test_protocol__tells_all_that_is_wrong() -> None:
    with pytest.raises(ConfigError) as refused:
        Protocol("planes", "lables", 1.0, -1.0).trial(rows(), rows(), 0)
    assert [one.where for one in refused.value.problems] == ["protocol", "spoil", "share", "noise"]


def test_protocol__refuses_rows_that_it_cannot_spoil() -> None:
    one_class = LabeledRows(np.zeros((9, 1)), np.zeros(9, int))
    with pytest.raises(InputError, match="two classes"):
        Protocol().trial(one_class, one_class, 0)
    with pytest.raises(InputError, match="2,200 rows"):
        Protocol(THRESHOLD_KNN_2023).trial(rows(), rows(), 999)


def test_labeled_rows__tell_what_cannot_be_evaluated() -> None:
    assert LabeledRows.of("train", [[1, 2], [3, 4]], ["a", "b"]).x.dtype == np.float64
    assert LabeledRows.of("train", [[1.0]], np.array(["a"], object)).y.tolist() == ["a"]
    for x, y in [([[np.nan]], [1]), ([1.0, 2.0], [1, 2]), ([[1.0]], [[1, 2]]), ([[1.0]], [None]), ([[1.0]], [1, 2])]:
        with pytest.raises(InputError, match="train"):
            LabeledRows.of("train", x, y)
