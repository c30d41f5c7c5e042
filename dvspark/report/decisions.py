"""Decisions: what a review decided, in counts, and its sets of copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

N_SETS_SHOWN = 40


@dataclass(frozen=True)
class CopySet:
    """A row that has copies: how many, the first of them, and the largest distance of one to its nearest other."""

    first: Any
    n_copies: int
    some: tuple[Any, ...]
    largest_distance: float | None


@dataclass(frozen=True)
class Decisions:
    """A review in counts: rows by decision, label errors, copies of other rows, leaks into validation."""

    by_decision: tuple[tuple[str, int], ...]
    n_label_issues: int
    n_copies: int
    n_leaks: int
    copy_sets: tuple[CopySet, ...]
    n_copy_sets: int


def decisions_of(review: pa.Table) -> Decisions:
    """Return a review table in counts; columns that it lacks count as empty. Cost: O(n)."""
    counts = pc.value_counts(review["decision"].combine_chunks())
    by_decision = sorted(((line["values"], line["counts"]) for line in counts.to_pylist()), key=lambda pair: -pair[1])
    sets = _copy_sets(review)
    return Decisions(
        by_decision=tuple(by_decision),
        n_label_issues=int(pc.sum(review["label_issue"]).as_py() or 0) if "label_issue" in review.column_names else 0,
        n_copies=_n_known(review, "duplicate_of"),
        n_leaks=_n_known(review, "leaked_from"),
        copy_sets=sets[:N_SETS_SHOWN],
        n_copy_sets=len(sets),
    )


def _n_known(review: pa.Table, name: str) -> int:
    return len(review) - review[name].null_count if name in review.column_names else 0


def _copy_sets(review: pa.Table) -> tuple[CopySet, ...]:
    if not _n_known(review, "duplicate_of"):
        return ()
    copies = review.filter(pc.is_valid(review["duplicate_of"]))
    by_first: dict[Any, list[tuple[Any, float | None]]] = {}
    distances = copies["duplicate_distance"].to_pylist() if "duplicate_distance" in copies.column_names else None
    for at, (first, each) in enumerate(zip(copies["duplicate_of"].to_pylist(), copies["id"].to_pylist(), strict=True)):
        by_first.setdefault(first, []).append((each, distances[at] if distances else None))
    sets = [
        CopySet(
            first,
            len(members),
            tuple(each for each, _ in members[:5]),
            max((distance for _, distance in members if distance is not None), default=None),
        )
        for first, members in by_first.items()
    ]
    return tuple(sorted(sets, key=lambda one: (-one.n_copies, str(one.first))))
