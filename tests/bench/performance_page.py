"""docs/performance.md from the results in tests/bench/results: `python -m tests.bench.performance_page`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
# The order of the page: what a new user sees first, the kernel, then what is around it.
ORDER = (
    "first_report",
    "kernel",
    "family",
    "against_pydvl",
    "certificates",
    "self_validation",
    "review",
    "chg_epochs",
    "engine_overhead",
    "rest_of_job",
    "memory",
    "scaling",
    "sharded",
    "lost_executors",
    "plan_estimate",
    "scale",
    "yfcc100m",
    "soak",
)
HEAD = """\
# Performance

Every figure on this page is measured by a command in this repository. `make bench` runs all of them, writes
`tests/bench/results/`, and makes this page from it (`tests/bench/performance_page.py`); no figure is typed.
Ratios travel to another machine better than seconds do. A commit with a plus sign had changes that were not yet
committed.
"""


def load_results(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the stored results, in the page's order."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return sorted(found, key=lambda result: ORDER.index(result["benchmark"]))


def page(results: list[dict[str, Any]]) -> str:
    """Return the page: all targets first, then one section a benchmark."""
    signs = {"at most": "≤", "at least": "≥"}
    rows = [
        {
            "benchmark": result["benchmark"],
            "what": target["what"],
            "target": f"{signs[target['bound']]} {target['limit']:g}",
            "measured": target["measured"],
            "met": "yes" if _is_met(target) else "**no**",
        }
        for result in results
        for target in result["targets"]
    ]
    targets = f"## Targets\n\n{table(rows)}"
    return "\n".join([HEAD, targets, *(section(result) for result in results)])


def section(result: dict[str, Any]) -> str:
    """Return one benchmark's part: the question, how it was measured, on what, and its tables."""
    machine, versions = result["machine"], dict(result["versions"])
    commit = versions.pop("commit")
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    hardware = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB"
    lines = [f"## {result['question']}", "", result["method"], ""]
    lines += [f"`{result['command']}`; {result['date']}; {hardware}; {used}; commit {commit}.", ""]
    for title, rows in result["tables"].items():
        lines += [f"### {title}", "", table(rows)]
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table; the keys are its head, numbers are on the right."""
    if not rows:
        return ""
    cells = [[*rows[0]], *([number(value) for value in row.values()] for row in rows)]
    right = [any(isinstance(row[name], int | float) for row in rows) for name in rows[0]]
    widths = [max(3, *(len(line[place]) for line in cells)) for place in range(len(right))]
    rule = ["-" * (width - 1) + (":" if is_right else "-") for width, is_right in zip(widths, right, strict=True)]
    lines = [
        [cell.rjust(width) if is_right else cell.ljust(width) for cell, width, is_right in zip(*parts, strict=True)]
        for parts in ((line, widths, right) for line in [cells[0], rule, *cells[1:]])
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: Any) -> str:
    """Return a cell: whole numbers with separators, others with three digits, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0:
        return "0"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return str(value)


def _is_met(target: dict[str, Any]) -> bool:
    """Return whether a target is met as it is written: a ratio that prints as the limit is at the limit."""
    measured, limit = float(f"{target['measured']:.3g}"), target["limit"]
    return bool(measured <= limit if target["bound"] == "at most" else measured >= limit)


if __name__ == "__main__":
    sys.stdout.write(page(load_results()))
