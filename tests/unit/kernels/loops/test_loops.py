"""The loops in Numba against those in NumPy, bit for bit, and what both must keep."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dvspark.kernels import loops
from dvspark.kernels.binning import bins
from dvspark.kernels.binning.bins import N_BINS
from dvspark.kernels.formulas.knn_shapley import KnnShapley

compiled = pytest.importorskip("dvspark.kernels.loops.compiled_loops")
BOTH = (loops, compiled)
SEEDS = st.integers(0, 2**32 - 1)
KEYS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=80)


def edges_of(keys: Any, n_near: int) -> bins.BinEdges | None:
    of_row = np.array(keys, np.float32)
    return bins.edges(of_row[None], len(keys), min(n_near, len(keys)), [lambda some: 1e-6 * np.abs(some) + 1e-6])[0]


def assigned(
    module: ModuleType, products: np.ndarray, addend: np.ndarray, found: bins.BinEdges, cuts: list[int]
) -> Any:
    n_points, n = products.shape
    codes = np.zeros((n_points, n), np.uint16)
    near = (np.zeros((n_points, n // 2), np.int32), np.zeros((n_points, n // 2), np.float32))
    n_near = np.zeros(n_points, np.int64)
    labels, asked = (np.arange(n) % 3).astype(np.int32), np.arange(n_points, dtype=np.int32)
    low, origin, per_unit = (np.full(n_points, of) for of in (found.low, found.origin, found.per_unit))
    lines = np.repeat(found.lines[None], n_points, axis=0)
    for begin, end in zip([0, *cuts], [*cuts, n], strict=True):
        tile = np.ascontiguousarray(products[:, begin:end])
        given_rows = (addend[begin:end], labels[begin:end], asked, low, origin, per_unit, lines)
        module.assign_bins(tile, *given_rows, begin, codes, *near, n_near)
    return codes, *near, n_near


@given(keys=KEYS, n_near=st.integers(1, 80), cut=st.integers(0, 80))
def test_assign_bins__orders_by_key_and_marks_matches(keys: list[float], n_near: int, cut: int) -> None:
    found = edges_of(keys, n_near)
    if found is None:
        return
    ordered = np.sort(np.array(keys, np.float32))
    cuts = [min(cut, len(ordered))]
    results = [assigned(m, ordered[None].copy(), np.zeros(len(keys), np.float32), found, cuts) for m in BOTH]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    codes, near_rows, near_keys, count = results[1]
    bin_of, in_doubt = codes[0].astype(np.int64) % bins.AT_BEGIN // 2, codes[0] >= bins.AT_BEGIN
    assert np.all(np.diff(bin_of) >= 0)
    # A row that is nearer than the limit to one of another bin, neither of which is near the point, is in doubt.
    apart, limits = np.diff(ordered.astype(np.float64)), 1e-6 * np.abs(ordered) + 1e-6
    parts = np.flatnonzero((np.diff(bin_of) > 0) & (apart < np.minimum(limits[1:], limits[:-1])) & (bin_of[:-1] > 0))
    surely = ~found.doubt.linked[bin_of[parts]] & ~found.doubt.linked[bin_of[parts + 1]]
    assert np.all(in_doubt[parts[surely]] | in_doubt[parts[surely] + 1])
    assert np.all((bin_of == 0) == (ordered <= found.low))
    assert np.all(np.diff(bin_of)[np.diff(ordered) == 0] == 0)
    assert bin_of.max() < N_BINS
    np.testing.assert_array_equal(codes[0] % 2, np.arange(len(keys)) % 3 == 0)
    kept = min(int(count[0]), near_rows.shape[1])
    assert count[0] == np.count_nonzero(bin_of == 0)
    np.testing.assert_array_equal(near_rows[0, :kept], np.flatnonzero(bin_of == 0)[:kept])
    np.testing.assert_array_equal(near_keys[0, :kept], ordered[near_rows[0, :kept]])


def test_assign_bins__adds_what_the_row_adds_and_takes_infinite_keys_last() -> None:
    rng = np.random.default_rng(0)
    products, addend = rng.normal(size=(3, 400)).astype(np.float32), rng.normal(size=400).astype(np.float32)
    products[1, 7] = np.inf
    found = edges_of(products[0] + addend, 50)
    assert found is not None
    results = [assigned(module, products, addend, found, [100, 101]) for module in BOTH]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    codes = results[0][0]
    assert codes[1, 7] % bins.AT_BEGIN // 2 == int(found.lines[1, -1])
    for point in range(3):
        near = np.flatnonzero(products[point] + addend <= found.low)
        np.testing.assert_array_equal(np.flatnonzero(codes[point] < 2), near)


@given(keys=KEYS, n_near=st.integers(1, 80))
def test_edges__leave_no_cell_without_a_bin(keys: list[float], n_near: int) -> None:
    found = edges_of(keys, n_near)
    if found is None:
        return
    first = np.floor(found.lines[1]).astype(np.int64)
    last = np.floor(found.lines[1] + found.lines[0] * (1 - 2**-15)).astype(np.int64)
    assert first[0] == 1
    assert last[-1] <= N_BINS - 1
    np.testing.assert_array_equal(first[1:], last[:-1] + 1)


@given(seed=SEEDS, n=st.integers(0, 3_000))
def test_count_codes__counts_each(seed: int, n: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 2 * N_BINS, size=n).astype(np.uint16)
    expected = np.array([np.count_nonzero(codes == code) for code in codes])
    for module in BOTH:
        counts = np.full(2 * N_BINS, 7, np.int32)
        module.count_codes(codes, counts)
        np.testing.assert_array_equal(counts[codes], expected)
        assert counts.sum() == n


def test_matches_of__reads_the_flag_of_the_code() -> None:
    codes, rows = np.array([0, 3, 2, 5, 1], np.uint16), np.array([1, 2, 4], np.int32)
    for module in BOTH:
        out = np.empty(3, np.bool_)
        module.matches_of(codes, rows, out)
        assert out.tolist() == [True, False, True]


@given(seed=SEEDS, n=st.integers(0, 200), least=st.floats(-2, 2))
def test_count_from__counts_rows_and_matches_that_are_not_below(seed: int, n: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    keys, matches = rng.normal(size=n).astype(np.float32), rng.random(n) < 0.3
    reached = [bool(match) for key, match in zip(keys, matches, strict=True) if float(key) >= least]
    for module in BOTH:
        assert module.count_from(keys, matches, least) == (len(reached), sum(reached))


@pytest.mark.long
@given(seed=SEEDS, n=st.integers(20, 400), k=st.integers(1, 10))
@example(seed=314, n=314, k=6)  # nine linked bins, which a pairwise sum adds up in another order
def test_value_bins__is_the_same_in_both(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.concatenate(
        [rng.integers(0, 2, size=k), 2 * rng.integers(0, 12, size=n - k) + rng.integers(0, 2, n - k)]
    )
    in_doubt = (rng.random(n) < rng.choice([0.0, 0.2])) & (codes > 1)
    codes = codes + in_doubt * rng.choice([bins.AT_BEGIN, bins.AT_END], n)
    counts = np.bincount(codes, minlength=bins.N_COUNTS).astype(np.int32)
    linked = np.append(False, rng.random(11) < rng.choice([0.0, 0.3])) & (np.arange(12) < 11)
    near_doubt = np.minimum([rng.integers(0, 3), rng.integers(0, 2)], [counts[0] + counts[1], counts[1]])
    near_doubt[1] = min(near_doubt)
    tails = bins.Tails.of(KnnShapley(k).rank_weights(n))
    results = []
    for module in BOTH:
        values, bounds = np.full(24, np.nan), np.full(24, np.nan)
        given_counts = (counts, linked, near_doubt, tails.suffix, tails.sums, tails.own)
        results.append((module.value_bins(*given_counts, values, bounds), values, bounds))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@given(seed=SEEDS, n=st.integers(1, 200))
def test_scale_products__are_rounded_once(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    products, scale, units = rng.normal(size=(3, n)).astype(np.float32), rng.random(n), rng.random(3)
    expected = [[np.float32(float(products[p, r]) * (scale[r] * units[p])) for r in range(n)] for p in range(3)]
    for module in BOTH:
        scaled = products.copy()
        module.scale_products(scaled, scale, units)
        np.testing.assert_array_equal(scaled, expected)


@pytest.mark.long
@given(seed=SEEDS, n=st.integers(1, 500))
def test_add_values__adds_each_point_in_order(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 12, size=(4, n)).astype(np.uint16)
    tables = rng.normal(size=(4, 12))
    tables[:, :2] = 0.0
    n_near = np.array([np.count_nonzero(row < 2) for row in codes])
    near_rows, near_values = np.zeros((4, n), np.int32), rng.normal(size=(4, n))
    for point in range(4):
        near_rows[point, : n_near[point]] = np.flatnonzero(codes[point] < 2)
    points = np.array([2, 0, 3])
    expected, squares, sums = np.zeros(n), np.zeros(n), np.zeros(n)
    for point in points:
        of_row = tables[point][codes[point]]
        sums += of_row
        of_row[near_rows[point, : n_near[point]]] = near_values[point, : n_near[point]]
        expected += of_row
        squares += of_row * of_row
    for module in BOTH:
        value, squared, bounds = np.zeros(n), np.zeros(n), np.zeros(n)
        # Bits that are not asked for do not count.
        marked = codes | rng.choice([0, bins.AT_BEGIN, bins.AT_END], codes.shape).astype(np.uint16)
        module.add_values(marked, points, tables, near_rows, near_values, n_near, bins.AT_BEGIN - 1, value, squared)
        module.add_bounds(marked, points, tables, bounds)
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(squared, squares)
        np.testing.assert_array_equal(bounds, sums)


@given(keys=KEYS, seed=SEEDS)
def test_pack__sorts_like_the_keys_and_unpack_gives_them_back(keys: list[float], seed: int) -> None:
    numbers = np.array([*keys, 0.0, -0.0], np.float32)
    matches = np.random.default_rng(seed).integers(0, 2, size=len(numbers)).astype(np.bool_)
    n, results = len(numbers), []
    for module in BOTH:
        packed = np.empty(n, np.uint64)
        module.pack(numbers, matches, packed)
        packed.sort()
        places, flags, found = np.empty(n, np.int64), np.empty(n, np.bool_), np.empty(n, np.float32)
        module.unpack(packed, places, flags, found)
        results.append((packed, places, flags, found))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    _, places, flags, found = results[0]
    np.testing.assert_array_equal(places, np.argsort(numbers, kind="stable"))
    np.testing.assert_array_equal(flags, matches[places])
    np.testing.assert_array_equal(found, numbers[places])


@given(keys=KEYS, seed=SEEDS, scale=st.sampled_from([1e-10, 1e-6, 1.0]), odd=st.sampled_from([None, np.inf, -1e-40]))
def test_sort_packed__is_the_order_of_keys_then_rows(keys: list[float], seed: int, scale: float, odd: Any) -> None:
    # Around 1,000 no bits differ, or few, or more; nearly all with an infinite or a tiny key.
    numbers = np.array(keys, np.float32) * np.float32(scale) + np.float32(1_000)
    numbers = np.random.default_rng(seed).choice(np.append(numbers, odd or 1_000).astype(np.float32), 3 * len(keys))
    for module in BOTH:
        packed, spare = np.empty((2, len(numbers)), np.uint64)
        module.pack(numbers, numbers > 1_000, packed)
        expected = packed[np.argsort(numbers, kind="stable")]
        module.sort_packed(packed, spare)
        np.testing.assert_array_equal(packed, expected)
        module.sort_packed(packed[:0], spare[:0])


@given(seed=SEEDS, n=st.integers(1, 200))
def test_rank_values__and_sums_are_the_same_in_both(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    own, suffix, matches = rng.random(n), rng.random(n), rng.integers(0, 2, size=n).astype(np.bool_)
    rows, results = rng.permutation(2 * n)[:n], []
    for module in BOTH:
        out, value, squared = np.empty(n), np.zeros(2 * n), np.zeros(2 * n)
        module.rank_values(matches, own, suffix, 0.25, -0.5, 0.125, out)
        module.add_ranked(rows, out, value, squared)
        results.append((out, value, squared))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@given(keys=KEYS, seed=SEEDS)
def test_value_packed__gives_each_row_what_its_rank_is_worth(keys: list[float], seed: int) -> None:
    rng, n = np.random.default_rng(seed), len(keys)
    own, suffix, matches = rng.random(n), rng.random(n), rng.integers(0, 2, size=n).astype(np.bool_)
    order = np.argsort(np.array(keys, np.float32), kind="stable")
    by_rank = np.empty(n)
    loops.rank_values(matches[order], own, suffix, 0.25, -0.5, 0.0, by_rank)
    for module in BOTH:
        packed, found = np.empty(n, np.uint64), np.full(n, np.nan)
        module.pack(np.array(keys, np.float32), matches, packed)
        packed.sort()
        module.value_packed(packed, own, suffix, 0.25, -0.5, found)
        np.testing.assert_array_equal(found[order], by_rank)


@given(seed=SEEDS, n=st.integers(1, 200))
def test_add_rows__adds_values_and_squares(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values, before = rng.normal(size=n), rng.normal(size=n)
    for module in BOTH:
        value, squared = before.copy(), before.copy()
        module.add_rows(values, value, squared)
        np.testing.assert_array_equal(value, before + values)
        np.testing.assert_array_equal(squared, before + values * values)


@given(seed=SEEDS, n=st.integers(1, 80))
def test_relative_error__is_the_deviation_of_keys_from_exact_ones(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    exact, sizes = rng.normal(size=n), rng.random(n)
    keys = (exact + rng.normal(size=n) * 1e-3 + 0.5).astype(np.float32)
    found = [module.relative_error(exact, keys, sizes, 0.25) for module in BOTH]
    assert found[0] == found[1]
    error, at_least = exact - keys.astype(np.float64), np.maximum(sizes, 0.25)
    error = (error - np.average(error, weights=at_least**-2)) / at_least
    expected = statistics.fmean(error**2) ** 0.5
    assert found[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(
    keys=st.lists(st.floats(-4, 4, width=16), min_size=1, max_size=60),
    limit=st.sampled_from([0.0, 1e-3, 0.1, 1.0, 1e9]),
    grows=st.booleans(),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    falls_from=st.integers(0, 5),
    allowed=st.sampled_from([(0.0, 0.0), (0.2, 0.1), (1.0, 9.0), (9.0, 1e9)]),
    seed=SEEDS,
)
def test_list_doubtful__both_list_the_same_groups_whose_rows_no_other_key_parts(
    keys: list[float],
    limit: float,
    grows: bool,
    share: float,
    falls_from: int,
    allowed: tuple[float, float],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    of_row, matches, n = np.array(keys, np.float32), rng.random(len(keys)) < share, len(keys)
    packed = np.empty(n, np.uint64)
    loops.pack(of_row, matches, packed)
    packed.sort()
    ordered = np.sort(of_row).astype(np.float64)
    # No limit grows faster than the key, and equal keys have one.
    limits = limit * np.ones(1) if not grows else 0.5 * (limit + ordered - ordered[0])
    suffix = np.sort(rng.random(n))[::-1].copy()
    for weights in (suffix, np.empty(0)):
        found = []
        for module in BOTH:
            ranks, scratch = np.empty(n, np.int32), np.empty(n, np.float32)
            places, groups = np.empty(n, np.int32), np.empty(n, np.int32)
            module.gap_starts(packed, ranks)
            told = module.list_doubtful(packed, ranks, limits, weights, falls_from, *allowed, scratch, places, groups)
            found.append((*told, places[: told[0]].tolist(), groups[: told[0]].tolist(), ranks.tolist()))
        assert found[0] == found[1]
        count, _, bound, places, groups, _ = found[0]
        is_match = (packed & np.uint64(1)) != 0
        listed = dict(zip(places, groups, strict=True))
        assert count == len(listed)
        assert bound <= sum(allowed)
        # What is in doubt with a match and not listed with it is not listed at all.
        for i in range(n):
            for j in range(i + 1, n):
                in_doubt = ordered[i] >= ordered[j] - limits[min(j, len(limits) - 1)]
                if in_doubt and (not len(weights) or is_match[i] or is_match[j]):
                    assert listed.get(i) == listed.get(j)
                    assert i in listed or len(weights)


@pytest.mark.parametrize("allowed", [(0.0, 0.0), (0.3, 0.2), (9.0, 9.0)])
def test_list_doubtful__is_the_same_in_both_for_every_order_of_five_rows(allowed: tuple[float, float]) -> None:
    # Neighbors are in doubt with each other, or with the one after the next too, or with none: every way there is, and
    # every set of matches. Among them one that made the compiled loop list a row twice, beyond the end of its arrays.
    n, suffix = 5, 1.0 / np.arange(1.0, 6.0)
    for gaps in itertools.product([0.25, 0.75, 1.25], repeat=n - 1):
        keys = np.cumsum([0.0, *gaps]).astype(np.float32)
        for matches in itertools.product([False, True], repeat=n):
            packed, found = np.empty(n, np.uint64), []
            loops.pack(keys, np.array(matches), packed)
            for module in BOTH:
                ranks, scratch = np.empty(n, np.int32), np.empty(n, np.float32)
                places, groups = np.full(2 * n, -1, np.int32), np.full(2 * n, -1, np.int32)
                module.gap_starts(packed, ranks)
                told = module.list_doubtful(packed, ranks, np.ones(1), suffix, 0, *allowed, scratch, places, groups)
                found.append((*told, places.tolist(), groups.tolist()))
            assert found[0] == found[1], (gaps, matches)


@pytest.mark.parametrize("allowed", [(0.0, 0.0), (1e-3, 1e-2), (1e9, 1e9)])
def test_list_doubtful__of_large_groups_takes_linear_time_and_is_the_same_in_both(allowed: tuple[float, float]) -> None:
    # A hundred thousand rows in doubt with each other: looking at pairs of them would take minutes.
    rng, n = np.random.default_rng(0), 100_000
    packed = np.empty(n, np.uint64)
    keys = np.append(rng.random(n - 1_000), 10.0 + rng.random(1_000)).astype(np.float32)
    loops.pack(keys, rng.random(n) < 0.5, packed)
    packed.sort()
    suffix, found = 1.0 / np.arange(1.0, n + 1) ** 2, []
    for module in BOTH:
        ranks, scratch = np.empty(n, np.int32), np.empty(n, np.float32)
        places, groups = np.empty(n, np.int32), np.empty(n, np.int32)
        module.gap_starts(packed, ranks)
        told = module.list_doubtful(packed, ranks, np.array([2.0]), suffix, 0, *allowed, scratch, places, groups)
        found.append((*told, places[: told[0]].tolist(), groups[: told[0]].tolist()))
    assert found[0] == found[1]
    assert found[0][0] == {0.0: n, 1e-3: n - 1_000, 1e9: 0}[allowed[0]]


@given(seed=SEEDS, n=st.integers(1, 60))
def test_order_groups__orders_by_key_then_row_within_each(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    groups, exact = np.sort(rng.integers(0, 6, n)).astype(np.int32), rng.integers(0, 4, n) / 4.0
    rows = rng.permutation(n)
    expected = sorted(range(n), key=lambda place: (groups[place], exact[place], rows[place]))
    for module in BOTH:
        order = np.empty(n, np.int64)
        module.order_groups(groups, exact, rows, order)
        np.testing.assert_array_equal(order, expected)


@pytest.mark.parametrize("n_features", [1, 7, 33, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loop", ["squared_distances", "unit_squared_distances"])
def test_squared_distances__are_the_same_up_to_the_order_of_sums(loop: str, dtype: Any, n_features: int) -> None:
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(50, n_features)).astype(dtype), rng.normal(size=n_features)
    x.setflags(write=False)
    alone = {}
    for n in (1, 2, 3, 70):
        rows = rng.integers(0, 50, size=n)
        found = [np.empty(n), np.empty(n)]
        for module, out in zip(BOTH, found, strict=True):
            getattr(module, loop)(x, rows, z, out)
        np.testing.assert_allclose(found[1], found[0], rtol=1e-14)
        # A row's bits are the same wherever it stands in whichever list.
        for row, value in zip(rows.tolist(), found[1].tolist(), strict=True):
            assert alone.setdefault(row, value) == value


@pytest.mark.parametrize(("choice", "expected"), [("", "numba"), ("numpy", "numpy"), ("numba", "numba")])
def test_fastest__follows_the_environment(choice: str, expected: str) -> None:
    code = "from dvspark.kernels import loops; print(loops.name(loops.fastest()))"
    environment = {"DVSPARK_LOOPS": choice, "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@given(seed=SEEDS, n=st.integers(1, 60))
def test_listed_rows__and_put_rows_are_the_same_in_both(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(n).astype(np.uint64)
    packed = (rng.integers(0, 2**32, n, np.uint64) << np.uint64(32)) | (rows << np.uint64(1)) | (rows & np.uint64(1))
    places = np.flatnonzero(rng.random(n) < 0.5)[::-1].astype(np.int32)
    groups, order = -np.arange(len(places), dtype=np.int32), rng.permutation(len(places))
    for module in BOTH:
        here, of_groups, found = module.listed_rows(packed, places, groups)
        np.testing.assert_array_equal(here, places[::-1])
        np.testing.assert_array_equal(of_groups, groups[::-1])
        np.testing.assert_array_equal(found, rows[here])
        put = packed.copy()
        module.put_rows(put, here, order)
        expected = packed.copy()
        expected[here] = packed[here[order]]
        np.testing.assert_array_equal(put, expected)
