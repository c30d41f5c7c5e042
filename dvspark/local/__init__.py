"""Local: what a job without Spark has in place of a session: its processes, its rows, and Spark's hash."""

from __future__ import annotations
