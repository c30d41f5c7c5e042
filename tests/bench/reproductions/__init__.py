"""Published tables and figures made again, for docs/reproductions.md: `python -m tests.bench.reproductions`."""

from __future__ import annotations
