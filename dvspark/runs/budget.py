"""Budget: all releases of one private table, of whatever run, are counted. One that would exceed the budget is refused.

FOLDER/00000.json, 00001.json, …    one release each, in the order they were admitted, sealed
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from dvspark.errors import OutputConflictError, Problem
from dvspark.privacy import Release, composed_delta, composed_epsilon
from dvspark.runs.documents import sealed, unsealed
from dvspark.runs.files import Files

# On storage that cannot create a file only if it is absent, two rivals both stop, and retry after at most this long.
SECONDS_APART = 0.2
ATTEMPTS = 50


@dataclass(frozen=True)
class Account:
    """The releases of one table, in a folder of ``files``, and the limit of all of them together.

    ``epsilon`` None: releases are counted, but not limited. ``delta`` belongs to the limit.
    """

    files: Files
    folder: str
    table: str
    epsilon: float | None
    delta: float

    def require(self, release: Release, run: str) -> None:
        """Refuse a release that would exceed the budget. A release of this ``run``, a random word, counts only once.

        Raises: OutputConflictError.
        """
        self._admitted(release, run)

    def spend(self, release: Release, run: str) -> None:
        """Count a release, once for each ``run``, if the budget allows it.

        Of two processes that want the rest of a budget at the same time, at most one gets it.
        Raises: OutputConflictError if the budget does not allow the release, or other processes keep coming first.
        """
        self.files.make_private(self.folder)
        for _ in range(ATTEMPTS):
            place = self._admitted(release, run)
            if place is None:
                return
            told = {"number": place, "run": run, "table": self.table, "release": asdict(release)}
            if self.files.write_first(self._name(place), sealed(told)):
                return
            time.sleep(random.uniform(0, SECONDS_APART))  # noqa: S311 - no secret
        hint = "start it again; if no other start is running, one was killed: remove what it left beside this file"
        got = "others at the same time, each time"
        raise OutputConflictError(Problem(self._name(0), "one release at a time", got, hint))

    def spent(self) -> list[tuple[str, Release]]:
        """Return the releases so far, each with its run. Raises: OutputConflictError if one is damaged."""
        return list(self._entries())

    def _admitted(self, release: Release, run: str) -> int | None:
        """Return the number that the release gets, or None if the run has one already."""
        spent = self.spent()
        if run in dict(spent):
            return None
        together = [one for _, one in spent] + [release]
        # Earlier releases may have promised to protect more than this one does: the limit holds for that, too.
        for unit, adjacency in sorted({(one.unit, one.adjacency) for one in together}):
            if self.epsilon is None or composed_delta(together, self.epsilon, unit, adjacency) <= self.delta:
                continue
            before, after = (composed_epsilon(some, self.delta, unit, adjacency) for some in (together[:-1], together))
            expected = f"epsilon of at most {self.epsilon:g} at delta {self.delta:g}, over all releases of this table"
            got = f"{len(spent)} releases with epsilon {before:.4g}; with this one {after:.4g}"
            got += f" for one {unit} ({adjacency})"
            hint = "take a smaller epsilon; what has been released cannot be taken back"
            raise OutputConflictError(Problem("epsilon_budget", expected, got, hint))
        return len(spent)

    def _entries(self) -> Iterator[tuple[str, Release]]:
        number = 0
        while self.files.exists(self._name(number)):
            told = unsealed(self.files.read(self._name(number)))
            if told is None or told["number"] != number:
                hint = "put a copy back: without it nobody knows what is spent"
                got = "a damaged file" if told is None else f"release {told['number']}"
                raise OutputConflictError(Problem(self._name(number), f"release {number}", got, hint))
            yield told["run"], Release(**told["release"])
            number += 1

    def _name(self, number: int) -> str:
        return f"{self.folder}/{number:05d}.json"
