"""Sharded plan: training rows stay in blocks, validation rows go to the blocks, and what blocks report is merged."""

from __future__ import annotations
