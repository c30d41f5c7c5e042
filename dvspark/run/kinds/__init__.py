"""Kinds in a run: what a run must do for one kind of methods that others do not need."""

from __future__ import annotations
