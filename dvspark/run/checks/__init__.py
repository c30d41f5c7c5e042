"""Checks: the findings of the audit, on the engine that valued the rows, and of what is taken over."""

from __future__ import annotations
