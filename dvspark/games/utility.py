"""Utility: what a coalition is worth, as its user gives it, called in one place: checked, counted and kept."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import Any, Protocol, cast

import numpy as np

from dvspark.errors import ComputeError, ConfigError, DvsparkError, Problem, written
from dvspark.schemas import Bools, Float64s, Int64s
from dvspark.schemas.columns import LARGEST_NUMBER, unmasked

# What a utility takes and gives: a sorted int64 array of players, which is the utility's to keep; a number.
Utility = Callable[[Int64s], float]

# After so many failures nothing more is tried: a utility that always fails is not called a million times.
MOST_FAILURES = 10
SHOWN_PLAYERS = 10
# A walk may add up in another order than a call, so its last digits differ.
SAME_WORTH = 1e-9
SHOWN_CHARACTERS = 100


@lru_cache(maxsize=8)
def _made(path: str) -> Utility:
    module, _, name = path.partition(":")
    try:
        utility = getattr(importlib.import_module(module), name)()
    except DvsparkError:
        raise
    except Exception as error:
        hint = "name a function without arguments that returns the utility, importable wherever tasks run"
        got = f"{path!r}: {type(error).__name__}: {error}"
        raise ConfigError(Problem("utility", "module:function", got, hint)) from error
    if not callable(utility):
        got = f"{path!r} returned {type(utility).__name__}"
        raise ConfigError(Problem("utility", "a function that returns the utility", got, "return a function"))
    return utility


class Maker(Protocol):
    """What makes a utility where it is asked, once a process."""

    def made(self) -> Utility:
        """Return the utility."""


def made_utility(utility: Utility | str | Maker) -> Utility:
    """Return the utility; one that is named as "module:function" is what the function returns, once a process.

    Raises: ConfigError if there is no such function, or it returns nothing that can be called.
    """
    if isinstance(utility, str):
        return _made(utility)
    makes: Callable[[], Utility] | None = getattr(utility, "made", None)
    return cast("Utility", utility) if makes is None else makes()


class Walk(Protocol):
    """A utility that can tell faster what a coalition is worth while players join one by one."""

    def walk(self, order: Int64s) -> Float64s:
        """Return what the first 1..n players of the order are worth, float64 (n,): the numbers that calls give.

        The order is the utility's to keep.
        """


class Scores(Protocol):
    """A utility that can tell how well a model does on single rows."""

    def scores(self, bag: Int64s) -> Float64s:
        """Return the score of each player under a model trained on a bag: ascending players, some of them repeated."""


@dataclass(frozen=True)
class Ends:
    """What all players are worth together, and what no player is."""

    all: float
    none: float

    @property
    def gain(self) -> float:
        """What all players add to none: efficient values sum to it."""
        return self.all - self.none

    @property
    def center(self) -> float:
        """Halfway between the two."""
        return (self.all + self.none) / 2

    def apart(self, utility_range: float) -> float:
        """Return how far from the center a worth can be, where no two worths are farther apart than the range."""
        return max(utility_range - abs(self.gain) / 2, 0.0)


@dataclass(frozen=True)
class Probe:
    """A coalition, bool (n_players,), and the worth that an estimate rests on."""

    joined: Bools
    worth: float


@dataclass
class Worths:
    """The worths of coalitions of ``n_players``, asked of ``utility``; ``keeps``: none is asked for twice.

    ``n_asked`` coalitions, for which the utility was called ``n_calls`` times; the ``least`` and ``most`` that one was
    worth. ``probe``: one of them, that can be asked for again.
    """

    utility: Utility
    n_players: int
    keeps: bool = False
    n_asked: int = 0
    n_calls: int = 0
    least: float = math.inf
    most: float = -math.inf
    probe: Probe | None = None
    kept: dict[bytes, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def of(self, joined: Bools) -> float:
        """Return what the players marked in ``joined``, bool (n_players,), are worth; NaN where the utility fails.

        Cost: O(n_players) besides the call. Kept, a worth takes about 150 bytes.
        Raises: ComputeError after `MOST_FAILURES` failures.
        """
        self.n_asked += 1
        players = joined.nonzero()[0]
        if not self.keeps:
            worth = self._call(players)
        else:
            key = digest(players)
            if key not in self.kept:
                self.kept[key] = self._call(players)
            worth = self.kept[key]
        if self.n_asked & (self.n_asked - 1) == 0:  # the last but a half, so its size is that of many
            self.probe = Probe(joined.copy(), worth)
        return worth

    def ends(self) -> Ends:
        """Return what all players and no player are worth. Raises: ComputeError where the utility fails."""
        found = Ends(self.of(np.ones(self.n_players, np.bool_)), self.of(np.zeros(self.n_players, np.bool_)))
        self.require_no_failures()
        return found

    def along(self, order: Int64s, ends: Ends, stop: float | None = None) -> Float64s:
        """Return what the first 0, 1, … n players of an order are worth, float64 (n + 1,).

        From the first coalition within ``stop`` of all players on, the worth is that of all: none is asked for.
        """
        worths = np.full(len(order) + 1, ends.all)
        worths[0] = ends.none
        walk = getattr(self.utility, "walk", None)
        if stop is None and walk is not None:
            self._walk(walk, order, worths)
            return worths
        joined = np.zeros(len(order), np.bool_)
        for size, player in enumerate(order[:-1].tolist(), 1):
            if stop is not None and abs(ends.all - worths[size - 1]) <= stop:
                break
            joined[player] = True
            worths[size] = self.of(joined)
        return worths

    def _walk(self, walk: Callable[[Int64s], Float64s], order: Int64s, worths: Float64s) -> None:
        """Fill in the worths of all coalitions but the two ends, see `Walk`."""
        self.n_asked += len(order) - 1
        self.n_calls += len(order) - 1
        try:
            found = _plain(walk(order.copy()))
        except Exception as error:
            self._failed(order, f"{type(error).__name__}: {error}, as players join in this order")
            return
        if found.shape != order.shape:
            self._failed(order, f"a walk of shape {found.shape}, of {len(order)} players")
            return
        if abs(found[-1] - worths[-1]) > SAME_WORTH * max(1.0, abs(worths[-1])):
            self._failed(order, f"{float(found[-1])!r} at the end of a walk, {float(worths[-1])!r} where it is called")
            return
        worths[1:-1] = found[:-1]
        for size in np.flatnonzero(~_is_usable(worths)).tolist():
            self._failed(np.sort(order[:size]), repr(float(worths[size])))
        self.least, self.most = min(self.least, float(worths.min())), max(self.most, float(worths.max()))
        if self.probe is None:
            joined, size = np.zeros(len(order), np.bool_), len(order) // 2
            joined[order[:size]] = True
            self.probe = Probe(joined, float(worths[size]))

    def scores(self, bag: Int64s) -> Float64s:
        """Return what a model scores on each player, float64 (n_players,), that was trained on a bag (`Scores`).

        Where the utility fails the failure is kept, and the scores are 0. Raises: ConfigError if it has no scores.
        """
        score = getattr(self.utility, "scores", None)
        if score is None:
            hint = "take dvspark.games.utilities.model; or give your utility a method scores(bag)"
            raise ConfigError(Problem("utility", "one with scores of rows", type(self.utility).__name__, hint))
        self.n_asked += 1
        self.n_calls += 1
        try:
            found = _plain(score(bag))
        except Exception as error:
            self._failed(bag, f"{type(error).__name__}: {error}")
            return np.zeros(self.n_players)
        if found.shape != (self.n_players,) or not _is_usable(found).all():
            self._failed(bag, f"scores of shape {found.shape}, {np.count_nonzero(~_is_usable(found))} not finite")
            return np.zeros(self.n_players)
        self.least, self.most = min(self.least, float(found.min())), max(self.most, float(found.max()))
        return found

    def _call(self, players: Int64s) -> float:
        self.n_calls += 1
        try:
            worth = self.utility(players)
        except Exception as error:
            return self._failed(players, f"{type(error).__name__}: {error}")
        number = _number(worth)
        if not _is_usable(np.float64(number)):
            return self._failed(players, written(worth)[:SHOWN_CHARACTERS])
        self.least, self.most = min(self.least, number), max(self.most, number)
        return number

    def _failed(self, players: Int64s, got: str) -> float:
        self.failures.append(f"{coalition_text(players)}: {got}")
        if len(self.failures) >= MOST_FAILURES:
            self.require_no_failures()
        return math.nan

    def require_no_failures(self) -> None:
        """Raise ComputeError if the utility has failed, with the coalitions: a mean over the others would be wrong."""
        if not self.failures:
            return
        count = f"{len(self.failures)} of {self.n_calls} calls failed"
        hint = "let the utility give a number for every coalition, the empty one and those of one class included"
        raise ComputeError(
            Problem(f"utility, {count}", f"a number within ±{LARGEST_NUMBER:.0e}", text, hint) for text in self.failures
        )


def _plain(numbers: Any) -> Float64s:
    """Return the numbers of a utility as float64, NaN where they are masked. Raises: TypeError for complex numbers."""
    if np.iscomplexobj(numbers):
        raise TypeError("complex numbers")
    return unmasked(numbers)


def _is_usable(worths: Float64s | np.float64) -> Bools:
    """Return which worths are numbers whose fourth powers float64 holds, for squared errors of values."""
    return np.asarray(np.abs(worths) <= LARGEST_NUMBER, np.bool_)


def _number(worth: Any) -> float:
    """Return a worth as a float; NaN if it is no number, or masked, as the mean of nothing is."""
    if np.ma.is_masked(worth):
        return math.nan
    if isinstance(worth, np.generic) or (isinstance(worth, np.ndarray) and worth.ndim == 0):
        worth = worth.item()
    if not isinstance(worth, Real | Decimal):
        return math.nan
    try:
        return float(worth)
    except OverflowError:  # a whole number of 400 digits
        return math.inf
    except ValueError:  # Decimal's signaling NaN
        return math.nan


def digest(players: Int64s) -> bytes:
    """Return 16 bytes that tell one coalition, given as a sorted array, from all others."""
    return hashlib.blake2b(players.astype("<i8").tobytes(), digest_size=16).digest()


def coalition_text(players: Int64s) -> str:
    """Return a coalition for a message: its first players, how many it has, and its digest."""
    if not len(players):
        return "the empty coalition"
    first = ", ".join(map(str, players[:SHOWN_PLAYERS].tolist()))
    if len(players) <= SHOWN_PLAYERS:
        return f"coalition {{{first}}}"
    return f"coalition {{{first}, …}} of {len(players)} players, digest {digest(players).hex()}"
