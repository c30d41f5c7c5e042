"""Planning: which plan a valuation takes, what it needs, and what it will cost."""

from __future__ import annotations
