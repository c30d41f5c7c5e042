"""Pairwise: partials are added two by two in a tree of their places, so any cut into waves gives the same bits.

A wave is a node of this tree: 2^k neighbors that begin at a multiple of 2^k, or fewer at the end. Pairwise addition
also rounds less than adding one after the other: its error grows with log n, not with n.
"""

from __future__ import annotations

from collections.abc import Sequence

from dvspark.schemas import Partial


def nodes(place: int, stop: int, n: int) -> list[tuple[int, int]]:
    """Return, in order, the nodes of the tree over ``n`` places that together cover ``place`` to ``stop``."""
    found = []
    while place < stop:
        end = place + (place & -place or _power_above(n))
        while end > stop and stop < n:
            end = place + (end - place) // 2
        found.append((place, min(end, n)))
        place = end
    return found


def forest(place: int, stop: int, ends: Sequence[int]) -> list[tuple[int, int]]:
    """Return, in order, the nodes that together cover ``place`` to ``stop``, of trees that end at these places.

    The first tree begins at 0, each other one where the tree before it ends.
    """
    found, start = list[tuple[int, int]](), 0
    for end in ends:
        first, last = max(place, start), min(stop, end)
        if first < last:
            inside = nodes(first - start, last - start, end - start)
            found += [(start + begin, start + until) for begin, until in inside]
        start = end
    return found


class Pairwise:
    """The sum of partials that come in order, each of one or more places; it holds at most log2 of them."""

    def __init__(self) -> None:
        self.n_places = 0
        self._parts: list[tuple[int, Partial]] = []

    def add(self, partial: Partial, n_places: int = 1) -> None:
        """Add the sum of the next places; the partial then belongs to this object.

        Raises: ValueError if the places are not a node.
        """
        if self.n_places % _power_above(n_places) or any(_power_above(n) != n for n, _ in self._parts):
            raise ValueError(f"{n_places} places from {self.n_places} on are no node of the tree")
        self._parts.append((n_places, partial))
        self.n_places += n_places
        while len(self._parts) > 1 and self._parts[-1][0] == self._parts[-2][0]:
            n, last = self._parts.pop()
            self._parts[-1] = (2 * n, self._parts[-1][1].plus(last))

    def total(self) -> Partial | None:
        """Return the sum, or None if nothing was added. Nothing may be added afterward."""
        found: Partial | None = None
        for _, part in reversed(self._parts):
            found = part if found is None else part.plus(found)
        return found


def _power_above(n: int) -> int:
    """Return the smallest power of 2 that is at least n."""
    return 1 << max(0, n - 1).bit_length()
