"""Distances: keys that are ordered as distances are, how far they may be off, and weights that follow from them."""

from __future__ import annotations
