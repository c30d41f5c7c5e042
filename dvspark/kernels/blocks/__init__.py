"""Blocks: validation points put together from what each block of training rows tells of them."""

from __future__ import annotations
