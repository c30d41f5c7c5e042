"""Row passes: readings of training rows, cut so that it does not matter who reads which of them.

Each stretch of rows is read by itself, wherever, and what is told of stretches is put together in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, Self

from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Float64s, Int64s

# Rows are cut into stretches of so many, or longer ones if there would be more than MOST_STRETCHES: each is added up in
# one go, and then these sums in order, so that it does not matter who adds up which. A multiple of `TILE_ROWS`, by
# which blocks are cut.
STRETCH_ROWS = 2**16
MOST_STRETCHES = 1_024

# Arrays by name: what a pass is asked for, or what it tells of a stretch.
Arrays = dict[str, Float64s]
# Gives the rows from one place to another.
Between = Callable[[int, int], Iterable[AnyPiece]]


class RowPass(Protocol):
    """What one reading of rows is asked for. ``task`` names it among workers, ``told`` the arrays that it tells."""

    @property
    def task(self) -> str:
        """Its name among workers."""

    @property
    def told(self) -> tuple[str, ...]:
        """The names of the arrays that it tells of each stretch."""

    def arrays(self) -> Arrays:
        """Return it as arrays by name, for who works elsewhere."""

    @classmethod
    def of_arrays(cls, told: Mapping[str, Float64s]) -> Self:
        """Return the pass that `arrays` has told."""

    def answer(self, pieces: Iterable[AnyPiece]) -> Arrays:
        """Return what is asked for over the rows of a stretch, in pieces that are cut between tiles."""


def passed_here(asked: RowPass, n: int, between: Between) -> list[Arrays]:
    """Return what is told of each stretch of ``n`` rows, read by this process, in order."""
    with one_thread():
        return [asked.answer(between(*ends)) for ends in stretches(n)]


def passed_over(rows: AnyPiece, asked: RowPass) -> list[Arrays]:
    """Return the same of rows in memory."""
    return passed_here(asked, len(rows[0]), lambda *ends: [taken(rows, slice(*ends))])


def taken(rows: AnyPiece, places: slice | Int64s) -> AnyPiece:
    """Return some of the rows."""
    x, codes, *losses = rows
    return (x[places], codes[places], losses[0][places]) if losses else (x[places], codes[places])


def stretches(n: int) -> list[tuple[int, int]]:
    """Return where stretches of ``n`` rows begin and end; only the number of rows decides."""
    rows = max(STRETCH_ROWS, -(-n // (MOST_STRETCHES * STRETCH_ROWS)) * STRETCH_ROWS)
    return [(start, min(start + rows, n)) for start in range(0, n, rows)]
