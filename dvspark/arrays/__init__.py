"""Arrays: the engine that values NumPy arrays in one process, and its inputs. The Spark engine is tested against it."""

from __future__ import annotations
