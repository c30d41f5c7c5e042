"""Frames: DataFrames in, DataFrames out, without files; and how a notebook shows a result."""

from __future__ import annotations
