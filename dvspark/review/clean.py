"""Clean: the training table as a review decided, or a person who edited the decisions; with a log of every change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import ConfigError, InputError, OutputConflictError, Problem, shown
from dvspark.host.own_folder import OwnFolder
from dvspark.review.changes import FIRST, RowChange, log_text, names_in
from dvspark.review.sets import COLUMN, duplicate_sets
from dvspark.tables.sinks.published_values import read_record, read_review
from dvspark.tables.sinks.write_whole import copy_whole, write_whole
from dvspark.tables.sources.formats import reader_of
from dvspark.tables.sources.reader import WholeTable
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.types import without_views
from dvspark.tables.sources.whole_tables import told_by

LOG, TABLE, ORIGINAL, SETS = "changes.csv", "cleaned", "original", "with_sets"


@dataclass(frozen=True)
class Reviewed:
    """A published review: its ``table``, and the training table, which ``reference`` names and ``whole`` reads.

    ``n_rejected`` rows of the training table were set aside as bad; they were not reviewed, and stay.
    """

    table: pa.Table
    reference: TableReference
    whole: WholeTable
    n_rejected: int = 0

    def ids_and_labels(self, batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        """Return ids and labels of rows of the training table in the types of the review. Raises: InputError."""
        ids, labels = batch.column(self.reference.id), batch.column(self.reference.label)
        try:
            return _typed(ids, self.table.schema.field("id").type), _typed(
                labels, self.table.schema.field("label").type
            )
        except pa.ArrowException as error:
            where, hint = f"train table {self.reference}", "review it again"
            raise InputError(Problem(where, "ids and labels as in the review", str(error), hint)) from None

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """Yield the id and the label of each row of the training table. Raises: InputError."""
        with told_by(f"train table {self.reference}"):
            for batch in self.whole.read([self.reference.id, self.reference.label]):
                yield from zip(*(each.to_pylist() for each in self.ids_and_labels(batch)), strict=True)


def read_reviewed(folder: str, run_id: str | None) -> Reviewed:
    """Return the review of a run below an output folder; ``run_id`` None: of the run that was published last.

    Raises: ConfigError for a run that is not published, was not reviewed, or whose table is of a format that only Spark
    reads; InputError where the table is not there.
    """
    record = read_record(folder, run_id)
    if (table := read_review(folder, record)) is None:
        hint = "review the table: dvspark review, or dvspark value --review true"
        raise ConfigError(Problem(f"run {record['run_id']}", "a run that was reviewed", "values alone", hint))
    reference = TableReference(**record["configuration"]["train"])
    source = record["inputs"]["train"]
    whole = reader_of("train", reference).at(source).whole()
    return Reviewed(table, reference, whole, int(source.get("n_rejected") or 0))


def require_same_table(reviewed: Reviewed, changes: dict[Any, RowChange]) -> None:
    """Raise InputError unless the table is the one that was reviewed, with its labels, and can take the new labels.

    Cost: one pass over two columns; the ids and labels in memory.
    """
    where, hint, whole = f"train table {reviewed.reference}", "review it again", reviewed.whole
    columns = [reviewed.reference.id, reviewed.reference.label]
    if missing := [name for name in columns if name not in whole.schema.names]:
        got = f"columns {', '.join(whole.schema.names)}"
        raise InputError(Problem(where, f"columns {', '.join(missing)}, as in the review", got, hint))
    labels = dict(zip(*(reviewed.table[name].to_pylist() for name in ("id", "label")), strict=True))
    seen, others, again, differing = set[Any](), list[Any](), list[Any](), list[Any]()
    for row, label in reviewed.rows():
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
    kind = whole.schema.field(reviewed.reference.label).type
    problems += [
        Problem(f"row {shown([row])}", f"a label of the table's type, {kind}", shown([change.new_label]), "check it")
        for row, change in changes.items()
        if change.decision == "relabel" and not _fits(change.new_label, kind)
    ]
    if problems:
        raise InputError(problems)


def write_cleaned(reviewed: Reviewed, changes: dict[Any, RowChange], output: Path) -> tuple[int, int]:
    """Write the table without dropped rows and with new labels, and the log; return the rows before and after.

    ``output`` gets the folder `cleaned`, in the format and with all columns and types of the input, the folder
    `original` with the table as it was reviewed, and `changes.csv`; it is there with all three, or not at all.
    Memory: some batches of rows. Disk: twice the table.
    Raises: OutputConflictError if ``output`` is there, ConfigError if it cannot be made or lies in the table.
    """
    cleaned = _Cleaned(reviewed, changes)
    with _whole_or_nothing(reviewed, output) as (made, place):
        write_whole(reviewed.whole, cleaned.rows(), made / TABLE, place / TABLE)
        copy_whole(reviewed.whole, made / ORIGINAL, place / ORIGINAL)
        (made / LOG).write_text(log_text(changes), encoding="utf-8")
    return cleaned.n_before, cleaned.n_after


def write_with_sets(reviewed: Reviewed, output: Path) -> tuple[int, int]:
    """Write the table as it is, with the column `duplicate_set`; return how many rows there are, and how many sets.

    ``output`` gets the folder `with_sets`, in the format of the input. A row that was not reviewed is a set alone.
    Memory: the ids, and some batches of rows. Raises: as `write_cleaned`, and ConfigError for a table that has such a
    column.
    """
    whole, ids = reviewed.whole, reviewed.table["id"].to_pylist()
    if COLUMN in whole.schema.names:
        got = f"one in train table {reviewed.reference}"
        raise ConfigError(Problem(f"column {COLUMN}", "no such column yet", got, "rename it, and review again"))
    sets = dict(zip(ids, duplicate_sets(reviewed.table).to_pylist(), strict=True))
    kind = whole.schema.field(reviewed.reference.id).type
    field, n_rows, named = pa.field(COLUMN, kind), 0, set[Any]()

    def rows() -> Iterator[pa.RecordBatch]:
        nonlocal n_rows
        with told_by(f"train table {reviewed.reference}"):
            for batch in whole.read(None):
                own = [sets.get(row, row) for row in reviewed.ids_and_labels(batch)[0].to_pylist()]
                n_rows += len(own)
                named.update(own)
                yield batch.append_column(field, pa.array([_stored(one, kind) for one in own], kind))

    with _whole_or_nothing(reviewed, output) as (made, place):
        write_whole(replace(whole, schema=whole.schema.append(field)), rows(), made / SETS, place / SETS)
    return n_rows, len(named)


@contextmanager
def _whole_or_nothing(reviewed: Reviewed, output: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a folder to write in, and the place that it has in the end: ``output``, if nothing fails until then.

    Raises: OutputConflictError if ``output`` is there, ConfigError if it cannot be made or lies in the table.
    """
    path = reviewed.whole.root or reviewed.reference.path
    if path is not None and output.resolve().is_relative_to(Path(path.removeprefix("file://")).resolve()):
        got, hint = str(output), "give a folder elsewhere: the table that was reviewed stays as it is"
        raise ConfigError(Problem("--output", "a folder outside of the training table", got, hint))
    _require_free(output)
    try:
        unfinished = OwnFolder.make_scratch(output.parent.resolve())
        try:
            made, place = unfinished.path / "whole", output.resolve()
            made.mkdir()
            yield made, place
            made.rename(output)
        finally:
            unfinished.remove()
    except OSError as error:
        _require_free(output)  # another process may have come first
        raise ConfigError(Problem(str(output), "a folder that can be made", str(error), "give another")) from None


def _require_free(output: Path) -> None:
    if output.exists() or output.is_symlink():
        hint = "give another folder: nothing is overwritten"
        raise OutputConflictError(Problem(str(output), "a place where nothing is", "a file or folder", hint))


@dataclass
class _Cleaned:
    """The rows of the training table as the changes leave them, counted as they are asked for."""

    reviewed: Reviewed
    changes: dict[Any, RowChange]
    n_before: int = 0
    n_after: int = 0

    def rows(self) -> Iterator[pa.RecordBatch]:
        with told_by(f"train table {self.reviewed.reference}"):
            for batch in self.reviewed.whole.read(None):
                rows = self._changed(batch)
                self.n_before, self.n_after = self.n_before + len(batch), self.n_after + len(rows)
                yield rows

    def _changed(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        ids, _ = self.reviewed.ids_and_labels(rows)
        found = [self.changes.get(row) for row in ids.to_pylist()]
        if not any(found):
            return rows
        name = self.reviewed.reference.label
        place, field = rows.schema.get_field_index(name), rows.schema.field(name)
        new = [
            None if one is None or one.decision != "relabel" else _stored(one.new_label, field.type) for one in found
        ]
        labels = [
            old if label is None else label for old, label in zip(rows.column(place).to_pylist(), new, strict=True)
        ]
        rows = rows.set_column(place, field, pa.array(labels, field.type))
        return _kept(rows, pa.array([one is None or one.decision != "drop" for one in found]))


def _kept(rows: pa.RecordBatch, is_kept: pa.Array) -> pa.RecordBatch:
    """Return some of the rows."""
    columns = [column.cast(without_views(column.type)).filter(is_kept) for column in rows.columns]
    columns = [column.cast(field.type) for column, field in zip(columns, rows.schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _is_same(label: Any, reviewed: Any) -> bool:
    """Return whether a label is the one that was reviewed; several labels in any order, which repeat or not."""
    return names_in(label) == names_in(reviewed) if isinstance(label, list) else bool(label == reviewed)


def _typed(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return ids or labels, those that are texts of CSV files or of folders' names in the type of the review.

    Spaces around numbers do not count.
    """
    if not pa.types.is_string(texts.type) or not pa.types.is_integer(kind):
        return texts
    return pc.utf8_trim_whitespace(texts).cast(kind)


def _stored(label: Any, kind: pa.DataType) -> Any:
    """Return a label as the table holds it: a number is a text in CSV files."""
    return str(label) if pa.types.is_string(kind) else label


def _fits(label: Any, kind: pa.DataType) -> bool:
    try:
        return label is not None and bool(pa.scalar(_stored(label, kind), kind).is_valid)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return False
