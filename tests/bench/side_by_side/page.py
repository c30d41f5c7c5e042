"""docs/choosing_a_method.md from tests/bench/side_by_side/results.json: `python -m tests.bench.side_by_side.page`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.performance_page import section

RESULTS = Path(__file__).parent / "results.json"
HEAD = Path(__file__).with_name("head.txt")


def page(result: dict[str, Any]) -> str:
    """Return the page."""
    return HEAD.read_text(encoding="utf-8") + section(result)


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(RESULTS.read_text(encoding="utf-8"))))
