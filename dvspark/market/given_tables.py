"""Given tables: values of a published run, or a person's own values or costs, from a CSV or Parquet file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from dvspark.errors import ConfigError, InputError, OutputConflictError, Problem, shown
from dvspark.schemas import Float64s

FORMS = (".csv", ".parquet")


def is_file(place: str) -> bool:
    """Return whether a place is a CSV or Parquet file by its name."""
    return place.lower().endswith(FORMS)


def read_table(place: str) -> pa.Table:
    """Return the table in a CSV or Parquet file. Raises: InputError for a file that cannot be read."""
    try:
        return pa.csv.read_csv(place) if place.lower().endswith(".csv") else pq.read_table(place)
    except (OSError, pa.ArrowException) as error:
        expected, hint = "a CSV or Parquet file", "check the path"
        raise InputError(Problem(place, expected, str(error).splitlines()[0], hint)) from None


def costs_of(ids: pa.ChunkedArray, table: pa.Table, column: str) -> Float64s:
    """Return the costs of rows with these ids, (n,) float64, from a table with id and a column of costs.

    Raises: InputError if the table lacks a column, an id, or has one twice.
    """
    if missing := [name for name in ("id", column) if name not in table.column_names]:
        got = f"columns {', '.join(table.column_names)}"
        raise InputError(Problem("costs", f"columns {', '.join(missing)}", got, "set --cost-column"))
    try:
        known = table["id"].combine_chunks().cast(ids.type)
        numbers = table[column].combine_chunks().cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise InputError(Problem("costs", f"ids of type {ids.type}, and numbers", str(error), "cast them")) from None
    if len(pc.unique(known)) < len(known):
        raise InputError(Problem("costs", "each id once", "an id more than once", "add up or drop the others"))
    places = pc.index_in(ids.combine_chunks(), value_set=known)
    if places.null_count:
        lacking = ids.filter(places.is_null())
        got = f"none of {places.null_count} rows; the first: {shown(lacking[:5].to_pylist())}"
        raise InputError(Problem("costs", "a cost of every row", got, "give every row its price"))
    return np.asarray(numbers.take(places).to_numpy(zero_copy_only=False), np.float64)


def csv_bytes(table: pa.Table) -> bytes:
    """Return a table as CSV, lists as JSON-like text."""
    content = io.BytesIO()
    columns = [
        pa.array([str(one) for one in column.to_pylist()]) if pa.types.is_list(column.type) else column
        for column in table.columns
    ]
    pa.csv.write_csv(pa.table(columns, names=table.column_names), content)
    return content.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def require_free(*places: Path) -> None:
    """Raise OutputConflictError, with all problems, if something is at one of the places."""
    expected, hint = "a path where nothing is", "give another place by --to; nothing is overwritten"
    problems = [Problem(str(one), expected, "a file or folder", hint) for one in places if one.exists()]
    if problems:
        raise OutputConflictError(problems)


def number_of(name: str, text: str) -> float:
    """Return the number that an option has. Raises: ConfigError for other texts."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(Problem(name, "a number", repr(text), "write digits")) from None
