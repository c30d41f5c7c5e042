"""Distances: keys that are ordered like distances, bounds on their errors, and weights that follow from distances."""

from __future__ import annotations
