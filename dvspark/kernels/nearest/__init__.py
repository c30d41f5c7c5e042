"""Nearest: the m nearest training rows in exact order, and values that these decide."""

from __future__ import annotations
