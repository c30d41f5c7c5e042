"""The result of a review: the table, and what there is to say about all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import Problem
from dvspark.schemas.reviewing import DECISIONS
from dvspark.units import show_count


@dataclass(frozen=True, repr=False)
class ReviewResult:
    """What `dvspark.review_arrays` returns.

    - ``table``: one row a training row, in the order given, with the columns of `dvspark.schemas.reviewing.REVIEW`.
    - ``duplicate_radius``: within which rows count as nearly the same, in the unit of the metric; 0: only equal ones.
    - ``noise_rate``: the share of wrong labels among rows whose class is sure.
    - ``findings``: what to look at before anything is dropped, such as a class with mostly negative values.
    """

    table: pa.Table
    duplicate_radius: float
    noise_rate: float
    findings: tuple[Problem, ...]

    def counts(self) -> dict[str, int]:
        """Return how many rows have each decision."""
        counted = {one["values"]: one["counts"] for one in pc.value_counts(self.table["decision"]).to_pylist()}
        return {word: counted.get(word, 0) for word in DECISIONS}

    def record(self) -> dict[str, Any]:
        """Return what a run record tells of the review, as plain data."""
        findings = [{"where": one.where, "expected": one.expected, "got": one.got} for one in self.findings]
        numbers = {"duplicate_radius": self.duplicate_radius, "noise_rate": self.noise_rate}
        return {"decisions": self.counts(), **numbers, "findings": findings}

    def __repr__(self) -> str:
        told = ", ".join(f"{word} {n:,}" for word, n in self.counts().items())
        issues = show_count(pc.sum(self.table["label_issue"]).as_py() or 0, "label is", "labels are")
        return f"ReviewResult({show_count(len(self.table), 'row')}: {told}; {issues} probably wrong)"
