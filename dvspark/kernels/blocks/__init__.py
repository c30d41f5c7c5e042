"""Blocks: validation points that are put together from the parts that blocks of training rows report."""

from __future__ import annotations
