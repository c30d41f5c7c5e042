"""Sinks: where results are published, staged beside their place, or in one commit."""

from __future__ import annotations
