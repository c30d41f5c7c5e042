"""Class names: the classes of the page's rows by code, each with a name that no other one has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from dvspark.report.text import SHOWN_CHARACTERS, clip

# Paths and web addresses begin alike and differ at their ends.
N_END = 39
# Labels of a row by which the page can filter: the codes of 5,000 rows of so many are 1.3 MB of the page.
MOST_LABELS = 50


@dataclass(frozen=True)
class ClassNames:
    """Classes by code: ``names`` by label, in the order of the codes. The first ``n_listed`` have rows in the page.

    What a page shows of two labels can be the same, as they are clipped: classes are told apart by code, not by name.
    ``is_cut``: whether a row has more labels than the page knows.
    """

    names: dict[Hashable, str]
    codes: dict[Hashable, int]
    n_listed: int
    is_cut: bool

    def is_listed(self, label: Any) -> bool:
        """Return whether the page has rows of this class."""
        return self.codes.get(label, self.n_listed) < self.n_listed

    def of(self, label: Any) -> int | list[int] | None:
        """Return the code of a row's class, or those of a row with several labels; None for a row without a label."""
        codes = [self.codes[key] for key in classes_of(label)]
        return codes if len(codes) > 1 else codes[0] if codes else None


def class_names(of_rows: Iterable[Any], others: Iterable[Any]) -> ClassNames:
    """Return the classes of the page's rows, and those of other labels that it shows, which may be the same.

    Cost: O(labels).
    """
    rows = [*of_rows]
    listed = dict.fromkeys(key for label in rows for key in classes_of(label))
    keys = [*(listed | dict.fromkeys(key for label in others for key in classes_of(label)))]
    names = _told_apart(keys)
    is_cut = any(isinstance(label, list | tuple) and len(label) > MOST_LABELS for label in rows)
    codes = {key: code for code, key in enumerate(keys)}
    return ClassNames(dict(zip(keys, names, strict=True)), codes, len(listed), is_cut)


def classes_of(label: Any) -> list[Hashable]:
    """Return the classes of a row, each once: of several labels the first 50; none for a row without a label."""
    labels = label if isinstance(label, list | tuple) else [label]
    return [*dict.fromkeys(one for one in labels if one is not None)][:MOST_LABELS]


def _told_apart(labels: list[Hashable]) -> list[str]:
    """Return the labels as shown; those that would look alike with their ends, and with numbers where that fails."""
    names = [clip(label).shown for label in labels]
    n_alike = Counter(names)
    names = [name if n_alike[name] == 1 else _with_end(label) for name, label in zip(names, labels, strict=True)]
    used: set[str] = set()
    n_met: Counter[str] = Counter()
    found = []
    for name in names:
        numbered = name
        while numbered in used:
            n_met[name] += 1
            numbered = f"{name} ({n_met[name] + 1})"
        used.add(numbered)
        found.append(numbered)
    return found


def _with_end(label: Hashable) -> str:
    """Return a label's first and last letters; the whole label where it is short."""
    text = label if isinstance(label, str) else clip(label).shown
    if len(text) <= SHOWN_CHARACTERS:
        return clip(text).shown
    return f"{clip(text, SHOWN_CHARACTERS - N_END).shown}{clip(text[-N_END:], N_END).shown}"
