"""Pairwise sums and sketches: waves of any sizes give the same bits; what is known of a chunk tells it from others."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.engine import chunks
from dvspark.engine.chunks import queries
from dvspark.schemas import Partial
from dvspark.schemas.pairwise import Pairwise, nodes
from dvspark.schemas.sketch import distance, sketch

N_VALUES = 40


def drawn(place: int) -> Partial:
    rng = np.random.default_rng(place)
    value = rng.normal(size=N_VALUES) * 10.0 ** rng.integers(-8, 8, N_VALUES)
    utility, empty_utility, error_bound = rng.random(3)
    return Partial(value, value**2, 5, utility, empty_utility, error_bound, rng.random(N_VALUES), 1)


def tree(place: int, size: int, n: int) -> Partial | None:
    """Return the sum by the definition: of two halves, each of a power of 2 places, or of one if the other is empty."""
    if place >= n:
        return None
    if size == 1:
        return drawn(place)
    first, second = tree(place, size // 2, n), tree(place + size // 2, size // 2, n)
    assert first is not None
    return first if second is None else first.plus(second)


def same_bits(one: Partial, other: Partial) -> bool:
    arrays = ("value", "value_squared", "row_bounds")
    scalars = ("n_validation", "utility", "empty_utility", "error_bound", "n_alone")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in (*arrays, *scalars))


@given(n=st.integers(1, 70), borders=st.lists(st.integers(1, 69), max_size=12))
def test_pairwise__has_the_same_bits_however_places_come_in_waves(n: int, borders: list[int]) -> None:
    cuts = sorted({0, n, *(border for border in borders if border < n)})
    total = Pairwise()
    for start, stop in itertools.pairwise(cuts):
        for first, last in nodes(start, stop, n):
            wave = Pairwise()
            for place in range(first, last):
                wave.add(drawn(place))
            found = wave.total()
            assert found is not None
            total.add(found, last - first)
    found, expected = total.total(), tree(0, 128, n)
    assert found is not None
    assert expected is not None
    assert same_bits(found, expected)


def test_pairwise__of_nothing_is_nothing() -> None:
    assert Pairwise().total() is None
    assert nodes(3, 3, 7) == []


@pytest.mark.parametrize("waves", [[1, 2], [2, 3], [3, 1], [4, 5, 1], [1, 1, 4]])
def test_pairwise__refuses_what_is_no_node_of_the_tree(waves: list[int]) -> None:
    total, refused = Pairwise(), 0
    for n_places in waves:
        try:
            total.add(drawn(0), n_places)
        except ValueError:
            refused += 1
    assert refused


@given(n=st.integers(1, 500), place=st.integers(0, 500), length=st.integers(1, 64))
def test_nodes__are_few_and_hold_each_place_once(n: int, place: int, length: int) -> None:
    stop = min(place + length, n)
    found = nodes(place, stop, n)
    assert [each for start, end in found for each in range(start, end)] == list(range(place, stop))
    assert len(found) <= 12


@given(
    n_chunks=st.integers(1, 2_000),
    share=st.floats(0, 1),
    n_tasks=st.sampled_from([1, 2, 7, 48, 200]),
    speeds=st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=40),
)
def test_queries__cover_what_is_not_done_whatever_time_they_take(
    n_chunks: int, share: float, n_tasks: int, speeds: list[float]
) -> None:
    now, n_done, small = 0.0, int(share * n_chunks), Partial.zeros(1)
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(chunks.time, "monotonic", lambda: now)
        total, seen, last = Pairwise(), n_done, None
        for start, end in nodes(0, n_done, n_chunks):
            total.add(small, end - start)
        for number, places in enumerate(queries(n_chunks, n_done, n_tasks)):
            size = places[-1][1] - places[0][0]
            assert places[0][0] == seen
            assert size <= chunks.WAVE_CHUNKS
            for start, end in places:
                total.add(small, end - start)  # a node
            if last is not None:
                # As long as it is to be, as far as the one before could tell; each task gets a chunk.
                assert size <= max(chunks.QUERY_SECONDS / last, n_tasks, 1)
            last = speeds[number % len(speeds)]
            now += size * last
            seen = places[-1][1]
    assert seen == n_chunks


def test_queries__of_a_slow_job_are_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    # 4,000 validation rows, 20 seconds a chunk: what is lost when it is killed is a minute, or two.
    now, lasted = 0.0, []
    monkeypatch.setattr(chunks.time, "monotonic", lambda: now)
    for places in queries(16, n_tasks=2):
        seconds = 20.0 * (places[-1][1] - places[0][0])
        now += seconds
        lasted.append(seconds)
    assert max(lasted) <= 80
    assert len(lasted) >= 5


@pytest.mark.parametrize(
    ("chunk_rows", "n_train", "first"), [(256, 1797, 8), (256, 2048, 8), (256, 2049, 4), (1, 10**7, 4)]
)
def test_first_chunks__are_more_where_they_are_quick(chunk_rows: int, n_train: int, first: int) -> None:
    assert chunks.first_chunks(chunk_rows, n_train) == first
    assert [next(iter(queries(9, first=first)))[-1][1]] == [first]


def test_queries__of_a_quick_job_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(chunks.time, "monotonic", lambda: now)
    found = []
    for places in queries(40, n_tasks=2):
        found.append(places)
        now += 2.0
    assert found == [[(0, 4)], [(4, 8), (8, 16), (16, 32), (32, 40)]]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=9))
def test_sketch__of_a_sum_is_the_sum_of_sketches(places: list[int]) -> None:
    parts = [drawn(place) for place in places]
    total = Partial.zeros(N_VALUES, row_bounds=True)
    for part in parts:
        total.add(copy.deepcopy(part))
    for block_rows in (7, 100):
        summed = np.sum([sketch(part, block_rows) for part in parts], axis=0)
        assert distance(sketch(total, block_rows), summed, N_VALUES) < 1e-12


CHANGES = {
    "all values": lambda part: replace(part, value=part.value * (1 + 1e-3)),
    "squares": lambda part: replace(part, value_squared=part.value_squared * (1 + 1e-3)),
    "one value more": lambda part: replace(part, value=part.value + (np.arange(N_VALUES) == 33) * part.value.max()),
    "U(N)": lambda part: replace(part, utility=part.utility * (1 + 1e-3)),
    "a row less": lambda part: replace(part, n_validation=part.n_validation - 1),
    "no number": lambda part: replace(part, value=part.value * np.nan),
    "infinite": lambda part: replace(part, value=part.value / 0.0),
    "nothing": lambda part: replace(part, value=part.value * 0, value_squared=part.value * 0),
}


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("block_rows", [7, 100])
def test_distance__tells_another_partial(change: str, block_rows: int) -> None:
    one = sketch(drawn(1), block_rows)
    other = sketch(CHANGES[change](drawn(1)), block_rows)
    assert distance(one, one, N_VALUES) == 0
    assert distance(one, other, N_VALUES) > 1e-5
    assert distance(one[:-1], one, N_VALUES) == np.inf
