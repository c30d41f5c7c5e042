"""Copies: the radius that data tell, and which of several copies stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

import dvspark
from dvspark.kernels.distances.distances import prepare
from dvspark.review.copies import copy_radius, earlier_copies
from dvspark.review.near import NearTable, near_table
from dvspark.schemas import TrainLabels


def searched(x: np.ndarray, k: int = 20) -> NearTable:
    train = prepare(np.ascontiguousarray(x), TrainLabels(np.zeros(len(x), np.int32)), "euclidean")
    return near_table(train, train.x, "euclidean", k, itself=True)


@pytest.mark.parametrize("n_features", [2, 5, 30])
@pytest.mark.parametrize("seed", [0, 1])
def test_radius__is_0_where_no_rows_are_copies(n_features: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1500, n_features))
    assert copy_radius(searched(x), 0.0) == 0.0
    x[:500] = 0.01 * x[:500] + 5.0  # neither if parts of the table are much denser than others
    assert copy_radius(searched(x), 0.0) == 0.0


@pytest.mark.parametrize("n_features", [5, 30])
@pytest.mark.parametrize("n_copies", [3, 200])
def test_radius__parts_copies_from_other_rows(n_features: int, n_copies: int) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1500, n_features))
    x = np.concatenate([x, x[:n_copies] + 1e-3 * rng.normal(size=(n_copies, n_features))])
    near = searched(x)
    found = earlier_copies(near, 0.0, copy_radius(near, 0.0))
    assert found.of[1500:].tolist() == list(range(n_copies))
    # The radius takes at most one row in a hundred that is near by chance.
    assert found.found[:1500].sum() <= np.ceil(0.02 * n_copies)


def test_radius__of_few_rows_or_neighbors_is_0() -> None:
    x = np.arange(12.0)[:, None]
    assert copy_radius(searched(x), 0.0) == 0.0
    assert copy_radius(searched(x, k=2), 0.0) == 0.0
    assert copy_radius(searched(np.zeros((50, 1))), 0.0) == 0.0


@examples(100)
@given(
    places=st.lists(st.integers(0, 12), min_size=2, max_size=15),
    radius=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]),
    equal_within=st.sampled_from([0.0, 1.0]),
)
def test_every_copy__has_an_earlier_row_that_stays_and_rows_that_stay_are_apart(
    places: list[int], radius: float, equal_within: float
) -> None:
    x = np.array(places, np.float64)[:, None]
    near = searched(x, k=len(x))
    found = earlier_copies(near, equal_within, radius)
    within = max(radius, equal_within)
    stays = ~found.found
    assert stays[0]
    for row in np.flatnonzero(found.found):
        assert found.of[row] < row
        far = abs(x[row, 0] - x[found.of[row], 0])
        assert found.distances[row] <= within  # of rows that equal one row, one distance stands for all
        assert abs(found.distances[row] - far) <= len(x) * equal_within
        first = found.of[row]
        while not stays[first]:
            first = found.of[first]
    kept = np.sort(x[stays, 0])
    assert (np.diff(kept) > within).all()


def test_rows_of_one_direction__are_copies_under_cosine_whatever_their_lengths() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=16) * rng.uniform(0.5, 2.0, (60, 1))).astype(np.float32)
    wide = x.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    cosines = ((unit[:, None] - unit[None]) ** 2).sum(axis=2) / 2
    found = dvspark.review_arrays(x, np.repeat([0, 1], 30), k=59, metric="cosine", duplicate_radius=0).table
    stay = np.flatnonzero(np.array(found["duplicate_of"].is_null()))
    assert (cosines[np.ix_(stay, stay)][np.triu_indices(len(stay), 1)] > 1e-15).all()
