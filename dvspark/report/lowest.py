"""Lowest: the rows with the lowest values as lines for a person, with what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dvspark.report.scale import scale_of
from dvspark.report.text import clip

ID_WIDTH, LABEL_WIDTH = 28, 14
ADVICE = "A low value is a reason to look at a row, not a verdict on it."
LABEL_ADVICE = "Look first at rows whose nearest validation rows have another label."
# Of numbers to predict hardly two are the same.
NUMBER_ADVICE = "Look first at rows whose nearest validation rows have numbers far from theirs."


def lowest_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return lines about the lowest rows, or owners, of a run record, lowest first; none if the record has none."""
    if not rows:
        return []
    values = [row["value"] for row in rows]
    scale = scale_of(min(values), max(values))
    head = f"value {scale.unit}".strip()
    has_near = any(row["neighbor_labels"] for row in rows)
    if all(row["label"] is None for row in rows):  # owners
        lines = [f"{scale.show(row['value']):>14}  {clip(row['id'], ID_WIDTH).shown}" for row in rows]
        return ["the lowest values", f"{head:>14}  owner", *lines]
    last = "  labels of the nearest validation rows" if has_near else ""
    lines = [f"{head:>14}  {'row':<{ID_WIDTH}}  {'label':<{LABEL_WIDTH}}{last}".rstrip()]
    for row in rows:
        near = ", ".join(clip(label, LABEL_WIDTH).shown for label in row["neighbor_labels"])
        each, label = clip(row["id"], ID_WIDTH).shown, clip(row["label"], LABEL_WIDTH).shown
        lines.append(f"{scale.show(row['value']):>14}  {each:<{ID_WIDTH}}  {label:<{LABEL_WIDTH}}  {near}".rstrip())
    advice = NUMBER_ADVICE if any(isinstance(row["label"], float) for row in rows) else LABEL_ADVICE
    return ["the lowest values", *lines, ADVICE, *([advice] if has_near else [])]
