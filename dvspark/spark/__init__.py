"""Spark: the session, its Java and Python processes, the cluster, progress, and failures with advice."""

from __future__ import annotations
