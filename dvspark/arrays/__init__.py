"""Arrays: NumPy in, NumPy out, in one process; the engine the Spark one is held against, and its inputs."""

from __future__ import annotations
