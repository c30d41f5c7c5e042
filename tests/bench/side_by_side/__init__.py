"""All methods side by side, for docs/choosing_a_method.md: `python -m tests.bench.side_by_side`."""

from __future__ import annotations
