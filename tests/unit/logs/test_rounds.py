"""The time left: unknown until a round has ended after the first one, and then what the other rounds took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.logs.rounds import Rounds


def rounds(before: int = 0, at_once: int = 2) -> Rounds:
    return Rounds("value", before, at_once, "starting workers")


def test_told__the_first_round_says_what_else_it_does_and_no_time() -> None:
    chunks = rounds()
    assert chunks.told(0, 8, 0.0).line == "value       0 %  0 of 8 chunks, starting workers"
    assert chunks.told(1, 8, 40.0).text == "1 of 8 chunks, starting workers"
    assert chunks.told(2, 8, 41.0).text == "2 of 8 chunks"
    assert chunks.told(3, 8, 42.0).text == "3 of 8 chunks"


def test_told__the_time_left_is_that_of_the_rounds_after_the_first() -> None:
    chunks = rounds()
    chunks.told(2, 8, 40.0)  # starts, loads and compiles
    assert chunks.told(4, 8, 42.0).seconds_left == 4.0
    assert chunks.told(6, 8, 44.0).text == "6 of 8 chunks, 2 s left"
    assert chunks.told(8, 8, 46.0).text == "8 of 8 chunks"


def test_told__chunks_of_an_earlier_start_took_no_time_of_this_one() -> None:
    chunks = rounds(before=90)
    assert chunks.told(90, 100, 0.0).text == "90 of 100 chunks, starting workers"
    chunks.told(92, 100, 40.0)
    assert chunks.told(94, 100, 50.0).seconds_left == 30.0


def test_told__fewer_chunks_than_before_are_no_news() -> None:
    chunks = rounds()
    chunks.told(4, 8, 1.0)
    assert chunks.told(1, 8, 2.0).done == 4


def test_told__less_than_a_round_in_all() -> None:
    chunks = rounds(at_once=8)
    assert chunks.told(0, 3, 0.0).phase
    assert chunks.told(3, 3, 9.0).text == "3 of 3 chunks"


@given(
    before=st.integers(0, 5),
    at_once=st.integers(1, 6),
    steps=st.lists(st.tuples(st.integers(0, 5), st.floats(0.01, 100)), min_size=1, max_size=30),
)
def test_told__no_time_left_before_a_second_round_whatever_is_reported(
    before: int, at_once: int, steps: list[tuple[int, float]]
) -> None:
    chunks, done, now, total = rounds(before, at_once), before, 0.0, before + sum(n for n, _ in steps) + 1
    for n, seconds in steps:
        done, now = done + n, now + seconds
        told = chunks.told(done, total, now)
        assert told.done == done
        if done - before < 2 * at_once:
            assert told.seconds_left is None
        assert not (told.phase and told.seconds_left is not None)


@pytest.mark.parametrize("compiling", [0.0, 5.0, 500.0])
def test_told__a_first_round_of_any_length_changes_nothing(compiling: float) -> None:
    chunks = rounds()
    chunks.told(2, 10, compiling)
    assert chunks.told(6, 10, compiling + 8.0).seconds_left == pytest.approx(8.0)
