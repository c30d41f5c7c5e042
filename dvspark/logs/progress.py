"""Progress: a stage's chunks as they end, shown at once when they begin, and then not too often."""

from __future__ import annotations

from collections.abc import Callable

from dvspark.logs.displays import Display
from dvspark.logs.rounds import Rounds, Told


class Progress:
    """To be called with (chunks done, chunks in all), from any thread; ``started`` is when the stage did."""

    def __init__(self, rounds: Rounds, display: Display, started: float, clock: Callable[[], float]) -> None:
        self._rounds, self._display, self._started, self._clock = rounds, display, started, clock
        self._told: Told | None = None
        self._shown, self._shown_done = 0.0, -1

    def __call__(self, done: int, total: int) -> None:
        """Show how many chunks are done if that is news, and the time left once it is known."""
        now = self._clock()
        self._told = told = self._rounds.told(done, total, now)
        is_first = self._shown_done < 0
        if is_first or (told.done > self._shown_done and now - self._shown >= self._display.seconds):
            self._shown, self._shown_done = now, told.done
            self._display.show(told)

    def end(self, *, failed: bool) -> None:
        """Show that the stage has ended, or failed."""
        if self._told is not None:
            self._display.end(self._told, self._clock() - self._started, failed=failed)
