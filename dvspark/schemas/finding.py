"""Finding: the result of one check of the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Verdict = Literal["pass", "warn", "fail"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # the worst last


@dataclass(frozen=True)
class Finding:
    """What one check of the audit saw: ``measured`` against ``allowed``."""

    name: str
    verdict: Verdict
    measured: float
    allowed: float
    meaning: str


def worst_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict over several checks: the worst of theirs, pass where there is none."""
    return max(verdicts, key=VERDICTS.index, default="pass")
