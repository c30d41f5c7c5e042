"""Change: validation rows come to a published run or go from it, and the other rows keep their values."""

from __future__ import annotations
