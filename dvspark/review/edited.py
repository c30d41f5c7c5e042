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
    rows = {str(row["id"]): row for row in review.select(("id", "label", "suggested_label")).to_pylist()}
    kind = review.schema.field("label").type
    problems, found = list[Problem](), dict[Any, tuple[str, Any]]()
    for number, line in _lines(where, decisions):
        row, decision, at = line["id"], line["decision"], f"{where}, line {number}"
        if None in line or None in line.values():
            problems.append(
                Problem(at, "as many cells as the first line has", "more or fewer", "quote commas in cells")
            )
        elif row not in rows:
            problems.append(Problem(at, "the id of a reviewed row", shown([row]), "check the id"))
        elif rows[row]["id"] in found:
            problems.append(Problem(at, "one line a row", f"{shown([row])} again", "leave one of them"))
        elif decision not in DECISIONS:
            problems.append(Problem(at, f"one of {', '.join(DECISIONS)}", shown([decision]), "check the word"))
        else:
            try:
                own = _own_label(line.get("suggested_label") or "", decision, rows[row], kind)
                found[rows[row]["id"]] = decision, own
            except (ValueError, OverflowError, RecursionError, pa.ArrowException) as error:
                hint = "write it as in the table; several labels as a JSON list"
                problems.append(Problem(at, f"another label than the row has, of type {kind}", str(error), hint))
    if problems:
        raise InputError(problems)
    return found


def _own_label(text: str, decision: str, row: dict[str, Any], kind: pa.DataType) -> Any:
    """Return the label that a person gives a row, None for the suggested one. Raises: ValueError, ArrowException."""
    if decision != "relabel":
        return None
    own = _label(text, kind) if text != clip(row["suggested_label"], TEXTS["suggested_label"]).shown else None
    if (row["suggested_label"] if own is None else own) == row["label"]:
        raise ValueError(f"{shown([row['label']])}; keep is the word for a row that stays as it is")
    return own


def _lines(where: str, decisions: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the lines by the names of the first one, and the number at which each ends; empty ones are left out.

    Raises: InputError for a file without the needed columns.
    """
    try:
        with decisions.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lines = [(reader.line_num, line) for line in reader if any(line.values())]
            names = list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        hint = "export it from the report; a program for tables saves it as CSV in UTF-8"
        raise InputError(Problem(where, "a CSV file in UTF-8", str(error), hint)) from None
    if any(names.count(name) != 1 for name in NEEDED) or names.count("suggested_label") > 1:
        got = f"columns {', '.join(names)}" if names else "an empty file"
        hint = "the first line names the columns, with commas between: id,decision,suggested_label"
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
