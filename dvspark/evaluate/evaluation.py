"""The evaluation: what every question gives, tables of plain numbers, as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dvspark.version import __version__

Row = dict[str, Any]

# Rows of a table that text shows; the files have all.
MOST_SHOWN = 40


@dataclass(frozen=True)
class Evaluation:
    """What was asked, of what (``settings``), and what was found: ``tables`` by name, the first one the summary.

    ``axes`` names, of tables that are curves, the columns of both axes and what tells curves apart.
    """

    question: str
    settings: dict[str, Any]
    tables: dict[str, list[Row]]
    notes: tuple[str, ...] = ()
    axes: Mapping[str, tuple[str, str, Sequence[str]]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data; a number that is not finite is None."""
        tables = {name: [_plain_row(row) for row in rows] for name, rows in self.tables.items()}
        about = {"question": self.question, "version": __version__, "settings": self.settings}
        return {**about, "notes": [*self.notes], "tables": tables}

    def files(self) -> dict[str, bytes]:
        """Return the files that keep it, by name: one JSON with everything, one CSV a table."""
        found = {"evaluation.json": (json.dumps(self.plain(), indent=1) + "\n").encode()}
        return found | {f"{name}.csv": csv_of(rows).encode() for name, rows in self.plain()["tables"].items()}

    def text(self) -> str:
        """Return what a person reads: the first table, and the notes."""
        name, rows = next(iter(self.plain()["tables"].items()))
        shown = [name, table_text(rows[:MOST_SHOWN])]
        if len(rows) > MOST_SHOWN:
            shown.append(f"... {len(rows) - MOST_SHOWN:,} more rows in {name}.csv")
        return "\n".join([*shown, *(f"note: {note}" for note in self.notes)])


def csv_of(rows: list[Row]) -> str:
    """Return rows as CSV with a head; None is an empty field."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def table_text(rows: list[Row]) -> str:
    """Return rows as text in columns, numbers on the right with three digits after the point."""
    if not rows:
        return ""
    cells = [[*rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    right = [any(isinstance(row[name], int | float) for row in rows) for name in rows[0]]
    lines = (
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        )
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _plain_row(row: Row) -> Row:
    return {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in row.items()}
