"""Nearest: the m nearest training rows in exact order, and the values that these rows decide."""

from __future__ import annotations
