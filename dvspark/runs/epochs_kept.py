"""Epochs kept: what the epochs of a run have come to, in its ledger, so that a run that was killed goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Protocol

from dvspark.kernels.gradients.course import CourseState
from dvspark.kernels.gradients.row_pass import Arrays
from dvspark.logs import log_event
from dvspark.runs.ledger import KEEP_SECONDS, Ledger
from dvspark.schemas import Float64s


class Followed(Protocol):
    """What has followed the epochs so far, beside the course itself."""

    def arrays(self) -> Arrays:
        """Return what it has come to, as arrays by name."""

    def restore(self, told: Mapping[str, Float64s]) -> None:
        """Go on with what `arrays` has told."""


class EpochsKept:
    """Keeps the state of a course in a ``ledger``, None: nowhere, with what the audit has valued ``again``."""

    def __init__(self, ledger: Ledger | None, again: Followed) -> None:
        self._ledger, self._again, self._written = ledger, again, -math.inf
        self.n_done = 0

    def read(self) -> Arrays | None:
        """Return the state that was kept, None if there is none; the audit goes on with what it had."""
        told = None if self._ledger is None else self._ledger.epochs()
        if told is None:
            return None
        self._again.restore(told)
        self.n_done = len(told["losses"])
        log_event(f"ledger: {self.n_done} epochs were done before", epochs=self.n_done)
        return told

    def keep(self, state: CourseState) -> None:
        """Write the state, unless another was written just now."""
        if self._ledger is None or time.monotonic() - self._written < KEEP_SECONDS:
            return
        self._ledger.keep_epochs(len(state.losses), {**state.arrays(), **self._again.arrays()})
        self._written = time.monotonic()
