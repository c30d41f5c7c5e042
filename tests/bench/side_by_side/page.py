"""docs/choosing_a_method.md from tests/bench/side_by_side/results.json: `python -m tests.bench.side_by_side.page`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.performance_page import section, table

MEANS = "Means over the sets"
# Of each measure, what it is where values say nothing, and which way is better.
MEASURES = {
    "labels": (0.5, 1),
    "noise": (0.5, 1),
    "without low": (0.0, 1),
    "without high": (0.0, -1),
    "only high": (0.0, 1),
}
# From which share of the best method's lead over chance on: two pluses, one plus.
TWO, ONE = 2 / 3, 1 / 3
MARKS = """\
## In marks

The article that CHG-Shapley comes from (H. Cai, *CHG Shapley: Efficient Data Valuation and Selection towards
Trustworthy Machine Learning*, [arXiv:2406.11730](https://arxiv.org/abs/2406.11730)) sets methods side by side by the
marks -, + and ++. Its marks were not at hand when this page was made, so none of them is repeated here, nor compared.
These marks follow from the means below: a method has ++ if its lead over chance is at least two thirds of the best
method's, + from one third on, else -.

"""
RESULTS = Path(__file__).parent / "results.json"
HEAD = Path(__file__).with_name("head.txt")


def page(result: dict[str, Any]) -> str:
    """Return the page."""
    head = HEAD.read_text(encoding="utf-8")
    return f"{head}{MARKS}{table(marked(result['tables'][MEANS]))}\n{section(result)}"


def marked(means: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the marks of each method, by its lead over chance beside that of the best method."""
    leads = {name: [sign * (row[name] - chance) for row in means] for name, (chance, sign) in MEASURES.items()}
    rows = []
    for place, row in enumerate(means):
        marks = {name: mark(lead[place] / max(lead)) for name, lead in leads.items()}
        rows.append({"method": row["method"], **marks, "CPU s": row["CPU s"]})
    return rows


def mark(share: float) -> str:
    """Return the mark of a method that has this share of the best one's lead."""
    return "++" if share >= TWO else "+" if share >= ONE else "-"


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(RESULTS.read_text(encoding="utf-8"))))
