"""Spark: the session, its Java and Python processes, the cluster, progress, and failures told with what to do."""

from __future__ import annotations
