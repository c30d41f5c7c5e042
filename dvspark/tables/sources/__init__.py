"""Sources: how tables are read, each pinned to one state, each column with one meaning."""

from __future__ import annotations
