"""Choices of options for a test: in few of them, every pair of options occurs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any


def covering(*options: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return choices of one of each of the ``options`` such that any two of different ones occur together.

    Where options act together in a wrong way, it is nearly always two of them; all choices would take many times as
    long: 48 of five options are 6, and 1,152 of eight are 15.
    """
    everything = list(product(*(range(len(some)) for some in options)))
    missing = set[Any]().union(*map(_pairs, everything))
    chosen = []
    while missing:
        best = max(everything, key=lambda choice: len(_pairs(choice) & missing))
        missing -= _pairs(best)
        chosen.append(tuple(some[number] for some, number in zip(options, best, strict=True)))
    return chosen


def _pairs(choice: tuple[int, ...]) -> set[Any]:
    return set(combinations(enumerate(choice), 2))
