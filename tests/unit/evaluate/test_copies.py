"""The value of a copy is what `value_arrays` gives it, and the attack finds what is to be found."""

from __future__ import annotations

import numpy as np
import pytest

import dvspark
from dvspark.errors import ConfigError, InputError
from dvspark.evaluate.contenders import contenders_of
from dvspark.evaluate.copies import CopyValues, KnnCopies, Pool, PrivateThresholdCopies, SoftKnnCopies, ThresholdCopies
from dvspark.evaluate.labeled import LabeledRows
from dvspark.evaluate.membership import attack, membership


def on_a_grid(n: int, seed: int) -> LabeledRows:
    """Return rows with many equal distances, of three classes."""
    draw = np.random.default_rng(seed)
    return LabeledRows(draw.integers(1, 5, (n, 2)).astype(float), draw.integers(0, 3, n))


ROWS, POINTS = on_a_grid(60, 0), on_a_grid(7, 1)
MEMBERS, ASKED = np.arange(20), np.array([3, 19, 30, 45, 50])


def valued(place: int, is_in: bool, **options: object) -> float:
    """Return the value of the copy, added last."""
    places = np.concatenate([MEMBERS, [place] * (1 + is_in)])
    of_set = ROWS.take(places)
    return float(dvspark.value_arrays(of_set.x, of_set.y, POINTS.x, POINTS.y, **options)[-1])


@pytest.mark.parametrize("is_in", [False, True])
@pytest.mark.parametrize("k", [1, 3, 19, 20, 21, 22, 50])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_knn_copies__are_what_value_arrays_gives(k: int, metric: str, is_in: bool) -> None:
    found = KnnCopies(k)(Pool.of(ROWS, POINTS, metric), MEMBERS, ASKED, is_in=is_in)
    expected = [valued(place, is_in, k=k, metric=metric) for place in ASKED]
    np.testing.assert_allclose(found, expected, atol=1e-14)
    soft = [valued(place, is_in, k=k, metric=metric, method="soft_knn_shapley", n_classes=4) for place in ASKED]
    found = SoftKnnCopies(k, 4)(Pool.of(ROWS, POINTS, metric), MEMBERS, ASKED, is_in=is_in)
    np.testing.assert_allclose(found, soft, atol=1e-14)


@pytest.mark.parametrize("is_in", [False, True])
def test_threshold_copies__are_what_value_arrays_gives(is_in: bool) -> None:
    pool, options = Pool.of(ROWS, POINTS, "euclidean"), {"radius": 1.0, "n_classes": 3}
    expected = [valued(place, is_in, method="threshold_knn_shapley", **options) for place in ASKED]
    found = ThresholdCopies(1.0, 3)(pool, MEMBERS, ASKED, is_in=is_in)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    silent = PrivateThresholdCopies(1.0, 3, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(silent(pool, MEMBERS, ASKED, is_in=is_in), expected, atol=1e-14)


class TellTale:
    """A copy is worth 1 more where its row is in the set; shadow sets differ by a little noise."""

    def __init__(self, step: float) -> None:
        self.step, self.draw = step, np.random.default_rng(0)

    def __call__(self, pool: Pool, members: object, asked: np.ndarray, *, is_in: bool) -> np.ndarray:
        is_member = np.isin(asked, members)
        return self.step * (is_in | is_member) + self.draw.normal(size=len(asked))


@pytest.mark.parametrize(("step", "least", "most"), [(9.0, 1.0, 1.0), (0.0, 0.4, 0.6), (1.0, 0.65, 0.85)])
def test_attack__sees_what_values_tell(step: float, least: float, most: float) -> None:
    copies: CopyValues = TellTale(step)
    pool = Pool(np.zeros((1, 900)), np.zeros((1, 900), bool))
    asked = np.arange(200), np.arange(300, 500)
    found = attack(pool, copies, np.arange(300), asked, [np.arange(500, 800)] * 32)
    assert least <= found <= most  # for step 1, a normal shift of 1: AUROC 0.76


def test_membership__a_seed_gives_the_same_bits_for_private_values_too() -> None:
    methods = [
        "knn_shapley:k=1",
        "soft_knn_shapley",
        "threshold_knn_shapley:radius=1",
        "dp_threshold_knn_shapley:epsilon=1:delta=1e-5",
    ]
    rows, points = on_a_grid(400, 2), on_a_grid(20, 3)
    once, again = (
        membership(rows, points, contenders_of(methods), seeds=[0, 1], n_shadows=4, n_queries=60) for _ in range(2)
    )
    assert once.tables == again.tables
    assert all(0 <= row["auroc"] <= 1 for row in once.tables["membership"])


def test_membership__of_private_values_has_the_noise_of_their_adjacency() -> None:
    rows, points = on_a_grid(400, 2), on_a_grid(20, 3)
    method = "dp_threshold_knn_shapley:epsilon=1:delta=1e-5:radius=1:adjacency="
    added, changed = (
        membership(rows, points, [one], seeds=[0, 1], n_shadows=4, n_queries=60).tables["membership"][0]
        for one in contenders_of([method + "add_remove", method + "replace_one"])
    )
    assert added["auroc"] != changed["auroc"]


@pytest.mark.parametrize(
    "method", ["knn_shapley:ties=average", "dp_threshold_knn_shapley:epsilon=1:delta=1e-5:sampling_rate=0.1"]
)
def test_membership__refuses_options_that_its_copies_are_not_valued_by(method: str) -> None:
    with pytest.raises(ConfigError, match="in the attack"):
        membership(ROWS, POINTS, contenders_of([method]))


def test_membership__refuses_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match="the attack knows no others"):
        membership(ROWS, POINTS, contenders_of(["chg_shapley"]))
    with pytest.raises(InputError, match="ask about fewer rows"):
        membership(ROWS, POINTS, contenders_of(["knn_shapley"]), n_queries=400)
