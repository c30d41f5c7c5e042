"""Edited: the decisions that a person sends back as a CSV, such as the report exports, checked line by line."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from dvspark.errors import InputError, Problem, shown
from dvspark.report.browse import TEXTS
from dvspark.report.text import clip
from dvspark.schemas.reviewing import DECISIONS

NEEDED = ("id", "decision")
WHOLE_NUMBER = re.compile(r"-?[0-9]+")


def edited_decisions(review: pa.Table, decisions: Path) -> dict[Any, tuple[str, Any]]:
    """Return the decisions of a CSV by id, each with the new label that it gives, or None for the suggested one.

    Raises: InputError with everything that is wrong in the file.
    """
    where = f"decisions {decisions}"
    suggested = dict(zip(*(review[name].to_pylist() for name in ("id", "suggested_label")), strict=True))
    ids, kind = {str(row): row for row in suggested}, review.schema.field("label").type
    problems, found = list[Problem](), dict[Any, tuple[str, Any]]()
    for number, line in enumerate(_lines(where, decisions), 2):
        row, decision, at = line["id"], line["decision"], f"{where}, line {number}"
        if None in line or None in line.values():
            problems.append(
                Problem(at, "as many cells as the first line has", "more or fewer", "quote commas in cells")
            )
        elif row not in ids:
            problems.append(Problem(at, "the id of a reviewed row", shown([row]), "check the id"))
        elif ids[row] in found:
            problems.append(Problem(at, "one line a row", f"{shown([row])} again", "leave one of them"))
        elif decision not in DECISIONS:
            problems.append(Problem(at, f"one of {', '.join(DECISIONS)}", shown([decision]), "check the word"))
        else:
            try:
                text = line.get("suggested_label") or ""
                as_shown = clip(suggested[ids[row]], TEXTS["suggested_label"]).shown
                own = _label(text, kind) if decision == "relabel" and text != as_shown else None
                found[ids[row]] = decision, own
            except (ValueError, pa.ArrowException) as error:
                hint = "write it as in the table; several labels as a JSON list"
                problems.append(Problem(at, f"a label of type {kind}", str(error), hint))
    if problems:
        raise InputError(problems)
    return found


def _lines(where: str, decisions: Path) -> list[dict[str, str]]:
    """Return the lines by the names of the first one. Raises: InputError for a file without the needed columns."""
    try:
        with decisions.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lines, names = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(where, "a CSV file in UTF-8", str(error), "export it from the report")) from None
    if any(names.count(name) != 1 for name in NEEDED) or names.count("suggested_label") > 1:
        got = f"columns {', '.join(names)}" if names else "an empty file"
        hint = "the first line names the columns: id,decision,suggested_label"
        raise InputError(Problem(where, f"columns {', '.join(NEEDED)}, each once", got, hint))
    return lines


def _label(text: str, kind: pa.DataType) -> Any:
    """Return the label that a person wrote, None for an empty cell. Raises: ValueError, ArrowException."""
    if not text:
        return None
    if not pa.types.is_list(kind):
        return pa.scalar(_one(text, kind), kind).as_py()
    given = json.loads(text)
    if not isinstance(given, list) or not given:
        raise ValueError(f"{text}, which is no list of labels")
    wanted = int if pa.types.is_integer(kind.value_type) else str
    if odd := [each for each in given if type(each) is not wanted]:
        raise ValueError(f"{shown(odd)} in a list of labels")
    if len({*given}) < len(given):
        raise ValueError(f"{text}, which has a label twice")
    return pa.scalar(given, kind).as_py()


def _one(text: str, kind: pa.DataType) -> int | str:
    if not pa.types.is_integer(kind):
        return text
    if not WHOLE_NUMBER.fullmatch(text):
        raise ValueError(f"{text!r}, which is no whole number")
    return int(text)
