"""Radius: the training rows within a distance, their counts, and values that follow from counts."""

from __future__ import annotations
