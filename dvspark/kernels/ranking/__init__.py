"""Ranking: all training rows in order of distance, and the values that follow from ranks."""

from __future__ import annotations
