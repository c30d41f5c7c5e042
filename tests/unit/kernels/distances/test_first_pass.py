"""One pass over rows tells what several told: the same bits, whatever tiles and neighbors a row has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.kernels.distances import distances, first_pass

TYPES = [np.float32, np.float64]


@pytest.mark.parametrize("metric", distances.METRICS)
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 70),
    tile=st.sampled_from([1, 3, 8, 4_096]),
    step=st.sampled_from([1, 70, 600]),
    dtype=st.sampled_from(TYPES),
    seed=st.integers(0, 99),
)
def test_first_pass__has_the_bits_of_a_pass_for_each(
    metric: str, n: int, d: int, tile: int, step: int, dtype: type, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    x = (draw.standard_normal((n, d)) * 10.0 ** draw.integers(-12, 12, (n, 1))).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "TILE_ROWS", tile)
        patch.setattr(first_pass, "WIDE_NUMBERS", step)
        found, scale = first_pass.first_pass(x, metric, tile), distances.row_scale(x, metric)
        sums, squares = distances.tile_sums(x, scale)
        norms = distances.placed_norms(x, scale, None)
    np.testing.assert_array_equal(found.sums, sums)
    np.testing.assert_array_equal(found.squares, squares)
    np.testing.assert_array_equal(found.norms, norms)
    assert (found.scale is None) == (scale is None)
    if scale is not None:
        np.testing.assert_array_equal(found.scale, scale)


@given(
    d=st.integers(1, 130),
    places=st.permutations(range(30)),
    tile=st.integers(1, 31),
    dtype=st.sampled_from(TYPES),
    seed=st.integers(0, 99),
)
def test_projections__of_equal_rows_are_equal_wherever_they_stand(
    d: int, places: list[int], tile: int, dtype: type, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((10, d)).astype(dtype)
    rows[0], rows[1] = 0.0, -0.0  # equal, though their bits are not
    x = np.concatenate([rows, rows, rows])[places]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_pass, "WIDE_NUMBERS", tile * d)
        projections = first_pass.first_pass(x, "euclidean", tile).projections
    which = np.maximum(np.array(places) % 10, 1)
    assert all(len(np.unique(projections[which == row] + 0.0)) == 1 for row in range(1, 10))
    assert len(np.unique(projections + 0.0)) == 9
