"""Market: what values are worth in money, and which rows a budget should buy or keep."""

from __future__ import annotations
