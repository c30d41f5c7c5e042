"""The measurements behind docs/decisions: `python -m tests.bench.decisions.NAME` prints what a page quotes."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))  # before NumPy is imported

from tests.bench.frame import cpu_seconds  # isort: skip
import numpy as np  # isort: skip

__all__ = ["cpu_seconds", "print_machine"]


def print_machine() -> None:
    """Print what the figures depend on: date, processor, versions."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    print(f"{date}; {model}, {os.cpu_count()} cores, one thread used; {versions}")
