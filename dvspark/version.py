"""The version of the package; part of a run's identity, so it must be known without an installation."""

from __future__ import annotations

__version__ = "0.1.0"
