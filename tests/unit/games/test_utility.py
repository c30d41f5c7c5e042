"""A utility that fails is named with its coalition; what it is asked is counted, and kept on request."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dvspark import ComputeError, value_game
from dvspark.errors import written
from dvspark.games.utility import Worths, coalition_text, digest

METHODS = (
    "monte_carlo_shapley", "group_testing_shapley", "monte_carlo_banzhaf", "monte_carlo_beta", "leave_one_out"
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "bad",
    [
        math.nan,
        math.inf,
        None,
        "0.5",
        np.ma.masked,
        np.ma.array(1.0, mask=True),
        np.array([0.5]),
        1j,
        Decimal("sNaN"),
        10**400,
        1e308,
        -1e61,
    ],
)
def test_worth_that_is_no_number__is_never_averaged_away(method: str, bad: Any) -> None:
    def utility(players: np.ndarray) -> Any:
        return bad if 2 in players and len(players) == 5 else float(len(players))

    with pytest.raises(ComputeError, match=r"of \d+ calls failed") as caught:
        value_game(utility, 6, method, 200)
    first = caught.value.problems[0]
    assert "coalition {" in first.got
    assert written(bad)[:4] in first.got


def test_error_of_a_utility__is_told_with_the_coalition() -> None:
    def utility(players: np.ndarray) -> float:
        if players.tolist() == [0, 2]:
            raise ValueError("one class only")
        return float(len(players))

    with pytest.raises(ComputeError, match=r"coalition \{0, 2\}: ValueError: one class only"):
        value_game(utility, 4, "group_testing_shapley", 500)


def test_failures__end_the_game_after_ten() -> None:
    n_calls = 0

    def utility(players: np.ndarray) -> float:
        nonlocal n_calls
        n_calls += 1
        return math.nan if len(players) == 1 else 1.0

    with pytest.raises(ComputeError) as caught:
        value_game(utility, 50, evaluations=100_000)
    assert len(caught.value.problems) == 10
    assert n_calls < 1_000


def test_worths__are_taken_as_any_real_number() -> None:
    for worth in (1, np.float32(1.0), np.int64(1), True, np.True_, Fraction(1), Decimal(1), np.array(1.0)):
        result = value_game(lambda players, worth=worth: worth if len(players) else 0, 3)
        assert result.values.sum() == pytest.approx(1.0)


def test_players__are_a_sorted_array_of_the_callers_own() -> None:
    seen = []

    def utility(players: np.ndarray) -> float:
        assert players.dtype == np.int64
        assert (np.diff(players) > 0).all()
        seen.append(players)
        players_before = players.copy()
        players[:] = -1  # whoever writes to it changes nothing
        return float(len(players_before))

    result = value_game(utility, 5, evaluations=100)
    assert np.allclose(result.values, 1.0)


def test_cache__asks_for_each_coalition_once_and_changes_no_bit() -> None:
    asked: list[bytes] = []

    def utility(players: np.ndarray) -> float:
        asked.append(digest(players))
        return float(np.sin(players.sum()))

    kept = value_game(utility, 5, evaluations=2_000, cache=True)
    assert len(asked) == len(set(asked)) == kept.n_calls <= 2**5
    plain = value_game(utility, 5, evaluations=2_000)
    assert plain.n_calls == plain.n_evaluations == kept.n_evaluations
    assert plain.values.tobytes() == kept.values.tobytes()


def test_digests__differ_between_coalitions() -> None:
    found = {digest(np.flatnonzero([mask >> j & 1 for j in range(10)])) for mask in range(1 << 10)}
    assert len(found) == 1 << 10


def test_coalition_text__shortens_large_ones() -> None:
    assert coalition_text(np.array([], np.int64)) == "the empty coalition"
    assert coalition_text(np.arange(3)) == "coalition {0, 1, 2}"
    text = coalition_text(np.arange(1_000))
    assert "of 1000 players" in text
    assert len(text) < 150


class Walking:
    """A utility that walks, and counts what it is asked."""

    def __init__(self, bad: float | None = None) -> None:
        self.bad, self.n_walks = bad, 0

    def __call__(self, players: np.ndarray) -> float:
        return float(np.sqrt(len(players)))

    def walk(self, order: np.ndarray) -> np.ndarray:
        self.n_walks += 1
        worths = np.sqrt(np.arange(1.0, len(order) + 1))
        if self.bad is not None:
            worths[2] = self.bad
        return worths


def test_walk__gives_the_worths_of_calls() -> None:
    walking = Walking()
    result = value_game(walking, 6, evaluations=1_000)
    assert walking.n_walks == 2 * result.n_draws
    assert result.values.tobytes() == value_game(walking.__call__, 6, evaluations=1_000).values.tobytes()


def test_failure_along_a_walk__names_the_coalition() -> None:
    with pytest.raises(ComputeError, match=r"coalition \{\d, \d, \d\}: nan"):
        value_game(Walking(math.nan), 6, evaluations=1_000)


class Summing:
    """The sum of players' numbers, by a walk that a test gives."""

    def __init__(self, walk) -> None:
        self.walk = walk

    def __call__(self, players: np.ndarray) -> float:
        return float(players.sum() + len(players))


def sorting(order: np.ndarray) -> np.ndarray:
    """Return the sums along the order, which it sorts: it is its own to keep."""
    found = np.cumsum(order + 1.0)
    order.sort()
    return found


def test_order_of_a_walk__is_the_utilitys_to_keep() -> None:
    assert value_game(Summing(sorting), 4, evaluations=200).values == pytest.approx([1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("walk", "got"),
    [
        (lambda order: np.array([1.0, 2.0]), r"of shape \(2,\), of 4 players"),  # NumPy would repeat the first one
        (lambda order: np.cumsum(order + 1.0)[:-1], r"of shape \(3,\), of 4 players"),
        (lambda order: np.cumsum(order + 1.0)[:, None], r"of shape \(4, 1\), of 4 players"),
        (lambda order: 10.0, r"of shape \(\), of 4 players"),
        (lambda order: np.cumsum(order + 1.0) + 1j, "complex numbers"),
        (lambda order: np.cumsum(order + 2.0), r"14\.0 at the end of a walk, 10\.0 where it is called"),
        (lambda order: np.full(4, np.nan), r"coalition \{\d\}: nan"),
    ],
)
def test_walk_that_is_none__is_told_and_never_stretched(walk, got: str) -> None:
    with pytest.raises(ComputeError, match=got):
        value_game(Summing(walk), 4, evaluations=200)


class Masking:
    """A utility whose numbers of one player, or of one coalition of a walk, are masked."""

    def __call__(self, players: np.ndarray) -> float:
        return float(len(players))

    def scores(self, bag: np.ndarray) -> np.ndarray:
        return np.ma.array(np.arange(4.0), mask=[False, True, False, False])

    def walk(self, order: np.ndarray) -> np.ndarray:
        return np.ma.array(np.arange(1.0, len(order) + 1), mask=np.arange(len(order)) == 1)


@pytest.mark.parametrize("method", ["data_oob", "monte_carlo_shapley"])
def test_masked_numbers__are_missing(method: str) -> None:
    with pytest.raises(ComputeError, match="calls failed"):
        value_game(Masking(), 4, method, 200)


def test_worths__count_what_is_asked() -> None:
    worths = Worths(lambda players: float(len(players)), 4)
    ends = worths.ends()
    assert (ends.all, ends.none, worths.n_asked, worths.least, worths.most) == (4.0, 0.0, 2, 0.0, 4.0)
    assert worths.along(np.array([2, 0, 3, 1]), ends).tolist() == [0, 1, 2, 3, 4]
    assert worths.n_asked == 5
