"""Finding: what one check of the audit saw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check of the audit saw: ``measured`` against ``allowed``; verdict pass, warn or fail."""

    name: str
    verdict: str
    measured: float
    allowed: float
    meaning: str
