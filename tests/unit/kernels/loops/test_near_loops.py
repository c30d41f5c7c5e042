"""The loops over keys from products, in Numba against NumPy and both against what they are to do."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.kernels import loops

compiled = pytest.importorskip("dvspark.kernels.loops.compiled_loops")
BOTH = (loops, compiled)
SEEDS = st.integers(0, 2**32 - 1)
N_POINTS = 3


def given_keys(seed: int, n: int, dtype: Any) -> tuple[tuple[Any, ...], Any]:
    """Products, units and addend as loops take them, and the keys that they make, float32."""
    rng = np.random.default_rng(seed)
    products = rng.integers(-20, 20, size=(N_POINTS, n)).astype(dtype)
    if dtype == np.float32:
        products[rng.random(products.shape) < 0.05] = np.nan
    row_units, point_units = rng.random(n).astype(np.float32), rng.random(N_POINTS).astype(np.float32)
    addend = rng.integers(0, 3, size=n).astype(np.float32)
    keys = np.empty((N_POINTS, n), np.float32)
    for point in range(N_POINTS):
        for row in range(n):
            keys[point, row] = np.float32(products[point, row]) * (point_units[point] * row_units[row]) + addend[row]
    return (products, row_units, point_units, addend), keys


DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.int32])


@DTYPES
@given(seed=SEEDS, n=st.integers(1, 100))
def test_decide_tile__tells_what_is_below_and_what_is_between(dtype: Any, seed: int, n: int) -> None:
    given_tile, keys = given_keys(seed, n, dtype)
    low, high = np.array([-3, -np.inf, 8], np.float32), np.array([5, np.inf, 8], np.float32)
    inside = [[bool(key < low[p]) for key in keys[p]] for p in range(N_POINTS)]
    between = [
        p * n + row for p in range(N_POINTS) for row, key in enumerate(keys[p]) if not (key < low[p] or key > high[p])
    ]
    for module in BOTH:
        wide, places = np.full((N_POINTS, 40), 255, np.uint8), np.empty(N_POINTS * n, np.int64)
        bits = wide[:, 5 : 5 + -(-n // 8)]
        assert places[: module.decide_tile(*given_tile, low, high, bits, places)].tolist() == between
        np.testing.assert_array_equal(np.unpackbits(bits, axis=1), np.pad(inside, ((0, 0), (0, -n % 8))))
        assert (wide[:, :5] == 255).all()


@DTYPES
@given(seed=SEEDS, n=st.integers(1, 100), share=st.floats(0.0, 1.0))
def test_keep_near__appends_rows_that_are_not_above_with_their_bounds(
    dtype: Any, seed: int, n: int, share: float
) -> None:
    given_tile, keys = given_keys(seed, n, dtype)
    rng = np.random.default_rng(seed)
    highest = np.array([40 * share - 20, -np.inf, np.inf], np.float32)
    constants, weights = rng.normal(size=N_POINTS), rng.random(N_POINTS)
    point_terms, row_terms = rng.random((N_POINTS, 6)), rng.random((6, n))
    row_terms[2, rng.random(n) < 0.1] = 2.0**127  # may overflow
    absent, start, before = np.array([4, -1, 7]), 2, np.array([0, 2, 5])
    results = []
    for module in BOTH:
        kept = np.full((N_POINTS, n + 5), -1, np.int32), *np.full((2, N_POINTS, n + 5), np.nan)
        n_kept = before.copy()
        bounds = (constants, weights, point_terms, row_terms)
        module.keep_near(*given_tile, highest, start, absent, *bounds, *kept, n_kept)
        results.append((*kept, n_kept))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    rows, least, most, n_kept = results[0]
    for p in range(N_POINTS):
        expected = [row for row in range(n) if not keys[p, row] > highest[p] and start + row != absent[p]]
        here = slice(int(before[p]), int(n_kept[p]))
        assert rows[p, here].tolist() == [start + row for row in expected]
        errors = point_terms[p] @ row_terms[:, expected]
        known = (row_terms[2, expected] < 2.0**126) & np.isfinite(keys[p, expected])
        middle = keys[p, expected].astype(float) + constants[p]
        np.testing.assert_allclose(least[p, here], np.where(known, middle - errors, -np.inf))
        np.testing.assert_allclose(most[p, here], np.where(known, middle + errors, np.inf))


@given(seed=SEEDS, n=st.integers(1, 60), m=st.integers(1, 20), gap=st.sampled_from([0.0, 0.5]))
def test_drop_far__keeps_what_may_be_among_the_nearest(seed: int, n: int, m: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    least = rng.integers(0, 12, size=(N_POINTS, n)).astype(float)
    most = least + rng.integers(0, 3, size=least.shape)
    counts, allowed = rng.integers(0, n + 1, N_POINTS), np.array([0, m, 30])
    results = []
    for module in BOTH:
        kept = np.tile(np.arange(n, dtype=np.int32), (N_POINTS, 1)), least.copy(), most.copy()
        n_kept, limits, still_allowed = counts.copy(), np.full(N_POINTS, np.inf), allowed.copy()
        module.drop_far(*kept, n_kept, still_allowed, limits, m, gap, 5)
        of_points = [of[p, : n_kept[p]].tolist() for of in kept for p in range(N_POINTS)]
        results.append((of_points, n_kept.tolist(), limits.tolist(), still_allowed.tolist()))
    assert results[0] == results[1]
    of_points, n_kept, limits, still_allowed = results[0]
    for p, count in enumerate(counts.tolist()):
        if count < m or count <= allowed[p]:
            assert (n_kept[p], limits[p], still_allowed[p]) == (count, np.inf, allowed[p])
            continue
        limit = sorted(most[p, :count])[m - 1]
        stays = [row for row in range(count) if least[p, row] <= (limit if gap == 0 else (limit**0.5 + gap) ** 2)]
        assert (of_points[p], limits[p], still_allowed[p]) == (stays, limit, max(5, 2 * len(stays)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(
    seed=SEEDS,
    n=st.integers(1, 20),
    n_features=st.integers(1, 70),
    scale=st.sampled_from([0.0, 1e-40, 1e-25, 1e-3, 1.0, 1e12, 1e30, 1e38]),
)
def test_quantize_rows__lose_no_more_than_they_say(seed: int, n: int, n_features: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.standard_t(2, size=(n, n_features)) * scale).astype(np.float32)
    rows[rng.random(n) < 0.1] = rng.choice([np.inf, np.nan])
    results = []
    for module in BOTH:
        found = quantized(module, rows)
        results.append(found)
        codes, steps, losses = found
        for row in range(n):
            lost = np.linalg.norm(rows[row].astype(np.float64) - codes[row] * steps[row])
            assert not lost > losses[row]
            assert np.isfinite(losses[row]) == np.isfinite(rows[row]).all()
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    np.testing.assert_allclose(results[0][2], results[1][2], rtol=1e-5)


def test_quantize_rows__lose_little() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 256)).astype(np.float32)
    for module in BOTH:
        losses = quantized(module, rows)[2]
        assert (losses / np.linalg.norm(rows, axis=1)).max() < 0.012


def quantized(module: ModuleType, rows: Any) -> tuple[Any, Any, Any]:
    codes, steps, losses = np.full(rows.shape, 99, np.int8), np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    module.quantize_rows(rows, codes, steps, losses)
    return codes, steps, losses
