"""Labels that cannot be valued, or that say nothing: checks of the labels of both sides, for all ways in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import Problem, shown
from dvspark.schemas.columns import is_multi_label

# How many rows carry each label.
Counts = Mapping[str | int, int]

FIRST_LABELS = 5
# How NumPy, pandas, Polars, Python and SQL write a missing label where it becomes a text, as by `astype(str)`.
MISSING = frozenset(("nan", "NaN", "NAN", "None", "<NA>", "NaT", "null", "NULL"))
# The numbers in which one-hot columns are written.
INDICATORS = ({0, 1}, {-1, 1})


def rows_by_label(labels: pa.Array) -> dict[str | int, int]:
    """Return how many rows carry each label, for canonical labels without nulls; a row may repeat one. Cost: O(n)."""
    if is_multi_label(labels):
        pairs = {"row": pc.list_parent_indices(labels), "label": pc.list_flatten(labels)}
        labels = pa.table(pairs).group_by(["row", "label"]).aggregate([])["label"]
    return {row["values"]: row["counts"] for row in pc.value_counts(labels).to_pylist()}


@dataclass(frozen=True)
class ListForm:
    """How rows with lists of labels are written: enough to distinguish columns of indicators from sets.

    ``shortest`` and ``longest`` are lengths of rows. ``n_mixed`` rows have more than one distinct label. ``n_unset`` of
    these cannot be an ascending set: a label is repeated, or comes before a smaller one.
    """

    shortest: int
    longest: int
    n_mixed: int
    n_unset: int

    @classmethod
    def of(cls, labels: pa.Array) -> ListForm:
        """Return the form of canonical labels, lists without nulls. Cost: O(labels)."""
        sizes = np.asarray(pc.list_value_length(labels), np.int64)
        codes = pc.list_flatten(labels).dictionary_encode()
        place = np.argsort(np.asarray(pc.array_sort_indices(codes.dictionary)))
        flat, rows = place[np.asarray(codes.indices, np.int64)], np.asarray(pc.list_parent_indices(labels), np.int64)
        inside = rows[1:] == rows[:-1]
        mixed = np.unique(rows[1:][inside & (flat[1:] != flat[:-1])])
        unset = np.unique(rows[1:][inside & (flat[1:] <= flat[:-1])])
        n_unset = len(np.intersect1d(mixed, unset, assume_unique=True))
        shortest, longest = (int(sizes.min()), int(sizes.max())) if len(sizes) else (0, 0)
        return cls(shortest, longest, len(mixed), n_unset)

    def added(self, other: ListForm) -> ListForm:
        """Return the form of the rows of both; each has rows."""
        shortest, longest = min(self.shortest, other.shortest), max(self.longest, other.longest)
        return ListForm(shortest, longest, self.n_mixed + other.n_mixed, self.n_unset + other.n_unset)


def indicator_problem(where: str, labels: Counts, form: ListForm) -> Problem | None:
    """Return the problem of one-hot or multi-hot rows, whose sets of labels would all be the same: 0 and 1."""
    written = any(set(labels) <= words for words in INDICATORS)
    if not written or form.shortest != form.longest or form.n_unset == 0:
        return None
    got = f"{form.longest} numbers a row, of {shown(sorted(labels, key=str))} alone: columns of a one-hot matrix"
    hint = (
        "give the class: y.argmax(axis=1); of several classes a row, their numbers: [np.flatnonzero(row) for row in y]"
    )
    return Problem(where, "a label a row, or the set of its labels", got, hint)


def label_findings(
    train: Counts, validation: Counts | None, n_rows: tuple[int, int], n_classes: int | None = None
) -> Iterator[Problem]:
    """Yield warnings about labels that say nothing, or less than they could; legal, but seldom meant.

    ``validation`` None: the training rows validate each other. ``n_rows`` are those of both sides. ``n_classes``: the
    size of the label space, if it was given.
    """
    known = {**train, **(validation or {})}
    if words := MISSING.intersection(known):
        times = sum(side.get(word, 0) for side in (train, validation or {}) for word in words)
        got = f"{_first(words)}, {times} times"
        hint = "texts in which missing labels are written make a class of their own: drop these rows, or make them null"
        yield Problem("labels", "labels that name a class", got, hint)
    if n_classes is not None and n_classes < len(known):
        hint = "values depend on the size of the label space: raise it, or leave it out"
        yield Problem("n_classes", f"at least {len(known)}, the labels of both tables", str(n_classes), hint)
    if validation is None:
        if n_rows[0] > 1 and max(train.values(), default=0) == 1:
            got = f"each label in one row alone; the first: {_first(train)}"
            yield Problem(
                "labels", "labels that rows have in common", got, "nothing matches: all rows are worth the same"
            )
        validation = train
    yield from twin_findings("labels", [*train, *validation])
    common = set(train) & set(validation)
    absent = set(validation) - common
    if not common and validation:
        got = f"none; train has {_first(train)}, validation has {_first(validation)}"
        yield Problem("labels", "labels that occur in both tables", got, "check for case, blanks, id mix-ups")
    elif absent:
        times = sum(validation[label] for label in absent)
        got = f"{len(absent)} others, {times} times; the first: {_first(absent)}"
        yield Problem("labels", "validation labels that occur in train", got, "allowed: they match no training row")
    if n_rows[0] > 1 and common and _tell_nothing(train, validation, n_rows):
        got = f"labels that everybody shares: {_first(common)}"
        yield Problem("labels", "labels that tell training rows apart", got, "check which column holds the labels")


def twin_findings(where: str, words: Iterable[str | int]) -> Iterator[Problem]:
    """Yield a warning about texts that differ in case or blanks alone, each pair of which counts as two. Cost: O(n)."""
    alike = dict[str, set[str]]()
    for word in words:
        if isinstance(word, str):
            alike.setdefault(" ".join(word.split()).casefold(), set()).add(word)
    if twins := sorted(sorted(group) for group in alike.values() if len(group) > 1):
        more = f", and {len(twins) - FIRST_LABELS:,} more" if len(twins) > FIRST_LABELS else ""
        got = "; ".join(shown(group) for group in twins[:FIRST_LABELS]) + more
        hint = "these count as different ones: write them alike if they are the same"
        yield Problem(where, f"{where} that differ in more than case and blanks", got, hint)


def _tell_nothing(train: Counts, validation: Counts, n_rows: tuple[int, int]) -> bool:
    """Return whether each validation row is known to match all training rows, or none."""
    n_train, n_validation = n_rows
    of_all = {label for label, n in train.items() if n == n_train}
    return (
        all(label in of_all for label in train if label in validation)
        or any(validation.get(label) == n_validation for label in of_all)
        or all(validation.get(label) == n_validation for label in train)
    )


def _first(labels: Counts | Set[str | int]) -> str:
    return shown(sorted(labels, key=str)[:FIRST_LABELS])
