"""Clean: the training table as a review decided, or a person who edited the decisions; with a log of every change."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from dvspark.errors import ConfigError, InputError, OutputConflictError, Problem, shown
from dvspark.report.browse import TEXTS
from dvspark.report.text import clip
from dvspark.schemas.reviewing import DECISIONS
from dvspark.tables.sinks.published_values import read_record, read_review

# Rows that are written at a time.
BATCH_ROWS = 65_536
LOG, TABLE = "changes.csv", "cleaned"
LOG_COLUMNS = ("id", "decision", "label", "new_label", "by", "reason")
FIRST = 5


@dataclass(frozen=True)
class Reviewed:
    """A published review: its ``table``, and where the training table is and how it calls its columns."""

    table: pa.Table
    path: str
    id: str
    label: str


@dataclass(frozen=True)
class RowChange:
    """What becomes of a row: ``decision`` drop or relabel, then with ``new_label``; ``by`` the review or a file."""

    decision: str
    label: Any
    new_label: Any
    by: str
    reason: str


def read_reviewed(run: str) -> Reviewed:
    """Return the review of a run, given as OUTPUT/runs/RUN_ID.

    Raises: ConfigError for a run that is not published, was not reviewed, or whose table is not of Parquet files.
    """
    folder, found, run_id = run.rstrip("/").rpartition("/runs/")
    if not found:
        raise ConfigError(Problem("RUN", "the folder OUTPUT/runs/RUN_ID of a run", repr(run), "as the run printed it"))
    record = read_record(folder, run_id)
    if (table := read_review(folder, record)) is None:
        hint = "review the table: dvspark review, or dvspark value --review true"
        raise ConfigError(Problem(f"run {run_id}", "a run that was reviewed", "values alone", hint))
    train = record["configuration"]["train"]
    if train.get("path") is None or train.get("format") != "parquet":
        got = train.get("table") or f"format {train.get('format')}"
        hint = "join the review table with your table by id, and drop or relabel by its column decision"
        raise ConfigError(Problem("train table", "Parquet files, which clean can write again", got, hint))
    return Reviewed(table, str(train["path"]), str(train["id"]), str(train["label"]))


def changes_of(reviewed: Reviewed, decisions: Path | None) -> dict[Any, RowChange]:
    """Return the rows that change, by id, in the order of the review; ``decisions``: a CSV with a person's own.

    Raises: InputError with everything that is wrong in the CSV.
    """
    edited = {} if decisions is None else _edited(reviewed, decisions)
    found: dict[Any, RowChange] = {}
    columns = ("id", "decision", "label", "suggested_label", "reason")
    for row in reviewed.table.select(columns).to_pylist():
        decision, new_label, by = row["decision"], row["suggested_label"], "review"
        if row["id"] in edited:
            decision, own = edited[row["id"]]
            new_label, by = row["suggested_label"] if own is None else own, str(decisions)
        if decision == "drop" or (decision == "relabel" and new_label != row["label"]):
            new_label = new_label if decision == "relabel" else None
            found[row["id"]] = RowChange(decision, row["label"], new_label, by, row["reason"])
    return found


def write_cleaned(reviewed: Reviewed, changes: dict[Any, RowChange], output: Path) -> tuple[int, int]:
    """Write the table without dropped rows and with new labels, and the log; return the rows before and after.

    ``output`` gets the folder `cleaned`, Parquet with all columns and types of the input, and `changes.csv`.
    Memory: a batch of rows. Raises: OutputConflictError if ``output`` is there, InputError for another table.
    """
    source = pyarrow.dataset.dataset(reviewed.path, partitioning="hive")
    _require_same_rows(source, reviewed)
    try:
        output.mkdir(parents=True)
    except FileExistsError:
        hint = "give another folder: nothing is overwritten"
        raise OutputConflictError(Problem(str(output), "a place where nothing is", "a file or folder", hint)) from None
    except OSError as error:
        raise ConfigError(Problem(str(output), "a folder that can be made", str(error), "give another")) from None
    (output / TABLE).mkdir()
    n_before, n_after = 0, 0
    with pq.ParquetWriter(output / TABLE / "part-00000.parquet", source.schema) as writer:
        for batch in source.to_batches(batch_size=BATCH_ROWS):
            rows = _changed(pa.Table.from_batches([batch]), reviewed, changes)
            writer.write_table(rows)
            n_before, n_after = n_before + len(batch), n_after + len(rows)
    (output / LOG).write_text(log_text(changes), encoding="utf-8")
    return n_before, n_after


def log_text(changes: dict[Any, RowChange]) -> str:
    """Return the log of all changes as CSV, a line a changed row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LOG_COLUMNS)
    for row, change in changes.items():
        new_label = "" if change.decision == "drop" else _text(change.new_label)
        writer.writerow([row, change.decision, _text(change.label), new_label, change.by, change.reason])
    return text.getvalue()


def _require_same_rows(source: pyarrow.dataset.Dataset, reviewed: Reviewed) -> None:
    """Raise InputError unless all rows that were reviewed are there."""
    missing = set(reviewed.table["id"].to_pylist())
    for batch in source.to_batches(columns=[reviewed.id], batch_size=BATCH_ROWS):
        missing -= set(batch.column(0).to_pylist())
    if missing:
        got = f"{len(missing)} reviewed rows are gone; the first: {shown(sorted(missing, key=str)[:FIRST])}"
        raise InputError(Problem(f"train table {reviewed.path}", "the rows that were reviewed", got, "review it again"))


def _changed(rows: pa.Table, reviewed: Reviewed, changes: dict[Any, RowChange]) -> pa.Table:
    """Return rows as the changes leave them."""
    found = [changes.get(row) for row in rows[reviewed.id].to_pylist()]
    if not any(found):
        return rows
    place, field = rows.schema.get_field_index(reviewed.label), rows.schema.field(reviewed.label)
    relabeled = [one is not None and one.decision == "relabel" for one in found]
    new = [one.new_label if one is not None and one.decision == "relabel" else None for one in found]
    labels = pc.if_else(pa.array(relabeled), pa.array(new, field.type), rows[reviewed.label].combine_chunks())
    rows = rows.set_column(place, field, labels)
    return rows.filter(pa.array([one is None or one.decision != "drop" for one in found]))


def _edited(reviewed: Reviewed, decisions: Path) -> dict[Any, tuple[str, Any]]:
    """Return the decisions of a CSV by id, each with the new label that it gives, or None."""
    where = f"decisions {decisions}"
    try:
        with decisions.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(where, "a CSV file in UTF-8", str(error), "export it from the report")) from None
    if missing := [name for name in ("id", "decision") if lines and name not in lines[0]]:
        got = f"columns {', '.join(lines[0])}"
        raise InputError(Problem(where, f"columns {', '.join(missing)}", got, "the first line names the columns"))
    suggested = dict(zip(*(reviewed.table[name].to_pylist() for name in ("id", "suggested_label")), strict=True))
    ids = {str(row): row for row in suggested}
    kind = reviewed.table.schema.field("label").type
    problems, found = list[Problem](), dict[Any, tuple[str, Any]]()
    for number, line in enumerate(lines, 2):
        row, decision, at = line["id"], line["decision"], f"{where}, line {number}"
        if row not in ids:
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


def _label(text: str, kind: pa.DataType) -> Any:
    """Return the label that a person wrote, None for an empty cell. Raises: ValueError, ArrowException."""
    if not text:
        return None
    value = json.loads(text) if pa.types.is_list(kind) else int(text) if pa.types.is_integer(kind) else text
    return pa.scalar(value, kind).as_py()


def _text(label: Any) -> str:
    return json.dumps(label, ensure_ascii=False) if isinstance(label, list) else str(label)
