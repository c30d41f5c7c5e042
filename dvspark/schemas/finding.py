"""Finding: the result of one check of the audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check of the audit: ``measured`` against ``allowed``; the verdict is pass, warn or fail."""

    name: str
    verdict: str
    measured: float
    allowed: float
    meaning: str
