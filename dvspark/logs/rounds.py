"""Rounds: how many chunks of a stage are done, and from when on it is known how long the others take."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.units import show_seconds


@dataclass(frozen=True)
class Told:
    """What is told of a stage that runs; ``seconds_left`` is None as long as it is not known, ``phase`` says why."""

    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    phase: str = ""
    unit: str = "chunks"

    @property
    def percent(self) -> int:
        """The share of chunks that are done, in whole percent, rounded down."""
        return 100 * self.done // max(1, self.total)

    @property
    def text(self) -> str:
        """All but the name and the percentage, in words."""
        left = self.phase if self.seconds_left is None else f"{show_seconds(self.seconds_left)} left"
        return f"{self.done} of {self.total} {self.unit}" + (f", {left}" if left else "")

    @property
    def line(self) -> str:
        """All in one line."""
        return f"{self.stage:<9} {self.percent:>3} %  {self.text}"


@dataclass
class Rounds:
    """The chunks of a stage, of which ``before`` were done before it and ``at_once`` run at a time: a round.

    The first round tells nothing of the others: in it workers start, load what they need and compile (``phase``). So
    the time left is known when one more round has ended after it.
    """

    stage: str
    before: int
    at_once: int
    phase: str
    unit: str = "chunks"
    _done: int = 0
    _first: tuple[int, float] | None = None

    def told(self, done: int, total: int, now: float) -> Told:
        """Return what to tell when so many chunks are done at the time ``now``; fewer than before change nothing."""
        self._done = done = max(done, self._done, self.before)
        if self._first is None and done - self.before < min(self.at_once, total - self.before):
            return Told(self.stage, done, total, phase=self.phase, unit=self.unit)
        first_done, first_end = self._first = self._first or (done, now)
        if done == total or done - first_done < self.at_once:
            return Told(self.stage, done, total, unit=self.unit)
        left = (now - first_end) / (done - first_done) * (total - done)
        return Told(self.stage, done, total, seconds_left=left, unit=self.unit)
