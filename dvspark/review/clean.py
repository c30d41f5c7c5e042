"""Clean: the training table as a review decided, or a person who edited the decisions; with a log of every change."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from dvspark.errors import ConfigError, InputError, OutputConflictError, Problem, shown
from dvspark.review.edited import edited_decisions
from dvspark.tables.sinks.published_values import read_record, read_review

# Rows that are written at a time.
BATCH_ROWS = 65_536
LOG, TABLE = "changes.csv", "cleaned"
LOG_COLUMNS = ("id", "decision", "label", "new_label", "by", "reason")
FIRST = 5


@dataclass(frozen=True)
class Reviewed:
    """A published review: its ``table``, and where the training table is and how it calls its columns.

    ``n_rejected`` rows of that table were set aside as bad; they were not reviewed, and stay.
    """

    table: pa.Table
    path: str
    id: str
    label: str
    n_rejected: int = 0


@dataclass(frozen=True)
class RowChange:
    """What becomes of a row: ``decision`` drop or relabel, then with ``new_label``; ``by`` the review or a file."""

    decision: str
    label: Any
    new_label: Any
    by: str
    reason: str


def read_reviewed(folder: str, run_id: str | None) -> Reviewed:
    """Return the review of a run below an output folder; ``run_id`` None: of the run that was published last.

    Raises: ConfigError for a run that is not published, was not reviewed, or whose table is not of Parquet files.
    """
    record = read_record(folder, run_id)
    if (table := read_review(folder, record)) is None:
        hint = "review the table: dvspark review, or dvspark value --review true"
        raise ConfigError(Problem(f"run {record['run_id']}", "a run that was reviewed", "values alone", hint))
    train = record["configuration"]["train"]
    if train.get("path") is None or train.get("format") != "parquet":
        got = train.get("table") or f"format {train.get('format')}"
        hint = "join the review table with your table by id, and drop or relabel by its column decision"
        raise ConfigError(Problem("train table", "Parquet files, which clean can write again", got, hint))
    if train.get("embedding_file") is not None:
        got, hint = f"embeddings in {train['embedding_file']}", "drop the rows of both files by the column decision"
        raise ConfigError(Problem("train table", "a table that has its embeddings", got, hint))
    n_rejected = int(record["inputs"]["train"].get("n_rejected") or 0)
    return Reviewed(table, str(train["path"]), str(train["id"]), str(train["label"]), n_rejected)


def changes_of(reviewed: Reviewed, decisions: Path | None) -> dict[Any, RowChange]:
    """Return the rows that change, by id, in the order of the review; ``decisions``: a CSV with a person's own.

    Raises: InputError with everything that is wrong in the CSV.
    """
    edited = {} if decisions is None else edited_decisions(reviewed.table, decisions)
    found: dict[Any, RowChange] = {}
    columns = ("id", "decision", "label", "suggested_label", "reason")
    for row in reviewed.table.select(columns).to_pylist():
        decision, new_label, by, reason = row["decision"], row["suggested_label"], "review", row["reason"]
        if row["id"] in edited:
            decided, own = edited[row["id"]]
            if decided != decision or own is not None:
                by, reason = str(decisions), "decided by a person"
            decision, new_label = decided, new_label if own is None else own
        if decision == "drop" or (decision == "relabel" and new_label != row["label"]):
            new_label = new_label if decision == "relabel" else None
            found[row["id"]] = RowChange(decision, row["label"], new_label, by, reason)
    return found


def require_same_table(reviewed: Reviewed, changes: dict[Any, RowChange]) -> None:
    """Raise InputError unless the table is the one that was reviewed, with its labels, and can take the new labels.

    Cost: one pass over two columns; the ids and labels in memory.
    """
    where, hint = f"train table {reviewed.path}", "review it again"
    source = _source(reviewed)
    missing = [name for name in (reviewed.id, reviewed.label) if name not in source.schema.names]
    if missing:
        got = f"columns {', '.join(source.schema.names)}"
        raise InputError(Problem(where, f"columns {', '.join(missing)}, as in the review", got, hint))
    labels = dict(zip(*(reviewed.table[name].to_pylist() for name in ("id", "label")), strict=True))
    seen, others, again, differing = set[Any](), list[Any](), list[Any](), list[Any]()
    for batch in source.to_batches(columns=[reviewed.id, reviewed.label], batch_size=BATCH_ROWS):
        for row, label in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if row not in labels:
                others.append(row)
            elif row in seen:
                again.append(row)
            elif not _is_same(label, labels[row]):
                differing.append(row)
            seen.add(row)
    gone = [row for row in labels if row not in seen]
    found = {"are gone": gone, "are there twice": again, "have another label now": differing}
    if len(others) != reviewed.n_rejected:
        found["were not reviewed"] = others
    problems = [
        Problem(
            where,
            "the rows that were reviewed, with their labels",
            f"{len(rows)} {how}; the first: {shown(sorted(rows, key=str)[:FIRST])}",
            hint,
        )
        for how, rows in found.items()
        if rows
    ]
    kind = source.schema.field(reviewed.label).type
    problems += [
        Problem(f"row {shown([row])}", f"a label of the table's type, {kind}", shown([change.new_label]), "check it")
        for row, change in changes.items()
        if change.decision == "relabel" and not _fits(change.new_label, kind)
    ]
    if problems:
        raise InputError(problems)


def losses(reviewed: Reviewed, changes: dict[Any, RowChange]) -> list[str]:
    """Return what is lost by the changes as sentences: classes without rows, and rows of which no copy stays.

    Raises: InputError where no row stays.
    """
    dropped = {row for row, change in changes.items() if change.decision == "drop"}
    rows = reviewed.table.select(("id", "label", "duplicate_of")).to_pylist()
    if rows and len(dropped) == len(rows):
        raise InputError(Problem("decisions", "a row that stays", f"all {len(rows)} rows dropped", "keep some"))
    before, after = set[Any](), set[Any]()
    for row in rows:
        change = changes.get(row["id"])
        before |= _names(row["label"])
        if row["id"] not in dropped:
            after |= _names(row["label"] if change is None else change.new_label)
    sets = dict[Any, list[Any]]()
    for row in rows:
        if row["duplicate_of"] is not None:
            sets.setdefault(row["duplicate_of"], [row["duplicate_of"]]).append(row["id"])
    lost = [first for first, members in sets.items() if dropped.issuperset(members)]
    told = {"classes have no row any more": before - after, "labels are new: no row had them": after - before}
    told["rows are dropped with all their copies"] = set(lost)
    return [f"{len(some)} {what}: {shown(sorted(some, key=str)[:FIRST])}" for what, some in told.items() if some]


def write_cleaned(reviewed: Reviewed, changes: dict[Any, RowChange], output: Path) -> tuple[int, int]:
    """Write the table without dropped rows and with new labels, and the log; return the rows before and after.

    ``output`` gets the folder `cleaned`, Parquet with all columns and types of the input, and `changes.csv`; it is
    there with both, or not at all. Memory: a batch of rows.
    Raises: OutputConflictError if ``output`` is there, ConfigError if it cannot be made or lies in the table.
    """
    if output.resolve().is_relative_to(Path(reviewed.path).resolve()):
        got, hint = str(output), "give a folder elsewhere: the table that was reviewed stays as it is"
        raise ConfigError(Problem("--output", "a folder outside of the training table", got, hint))
    if output.exists() or output.is_symlink():
        hint = "give another folder: nothing is overwritten"
        raise OutputConflictError(Problem(str(output), "a place where nothing is", "a file or folder", hint))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as unfinished:
            made = Path(unfinished) / "whole"
            made.mkdir()
            counts = _written(reviewed, changes, made)
            made.rename(output)
    except OSError as error:
        raise ConfigError(Problem(str(output), "a folder that can be made", str(error), "give another")) from None
    return counts


def _written(reviewed: Reviewed, changes: dict[Any, RowChange], folder: Path) -> tuple[int, int]:
    """Write the table and the log into a folder; return the rows before and after."""
    (folder / TABLE).mkdir()
    source, n_before, n_after = _source(reviewed), 0, 0
    with pq.ParquetWriter(folder / TABLE / "part-00000.parquet", source.schema) as writer:
        for batch in source.to_batches(batch_size=BATCH_ROWS):
            rows = _changed(pa.Table.from_batches([batch]), reviewed, changes)
            writer.write_table(rows)
            n_before, n_after = n_before + len(batch), n_after + len(rows)
    (folder / LOG).write_text(log_text(changes), encoding="utf-8")
    return n_before, n_after


def _source(reviewed: Reviewed) -> pyarrow.dataset.Dataset:
    """Return the training table. Raises: InputError where it is not."""
    try:
        return pyarrow.dataset.dataset(reviewed.path, partitioning="hive")
    except (OSError, pa.ArrowException) as error:
        hint = "put it back; a path that is not absolute is meant from the folder in which the review was started"
        raise InputError(
            Problem(f"train table {reviewed.path}", "the table that was reviewed", str(error), hint)
        ) from None


def log_text(changes: dict[Any, RowChange]) -> str:
    """Return the log of all changes as CSV, a line a changed row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LOG_COLUMNS)
    for row, change in changes.items():
        new_label = "" if change.decision == "drop" else _text(change.new_label)
        writer.writerow([row, change.decision, _text(change.label), new_label, change.by, change.reason])
    return text.getvalue()


def _names(label: Any) -> set[Any]:
    return set(label) if isinstance(label, list) else {label}


def _is_same(label: Any, reviewed: Any) -> bool:
    """Return whether a label is the one that was reviewed; several labels in any order, which repeat or not."""
    return _names(label) == _names(reviewed) if isinstance(label, list) else bool(label == reviewed)


def _fits(label: Any, kind: pa.DataType) -> bool:
    try:
        return bool(pa.scalar(label, kind).is_valid)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return False


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


def _text(label: Any) -> str:
    return json.dumps(label, ensure_ascii=False) if isinstance(label, list) else str(label)
