"""Given tables: values of a published run, or a person's own values or costs, from a CSV or Parquet file."""

from __future__ import annotations

import io
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from dvspark.errors import InputError, OutputConflictError, Problem, shown
from dvspark.schemas import Float64s

FORMS = (".csv", ".parquet")
# Columns that name things. In a CSV file they are text: a guess would make 007 and 7 one id.
NAMES = ("id", "owner", "label")
OWNER_HINT = "value with train.owner; or, for values of owners, leave out --by owner"


def is_file(place: str) -> bool:
    """Return whether a place is a CSV or Parquet file by its name."""
    return place.lower().endswith(FORMS)


def read_table(place: str) -> pa.Table:
    """Return the table in a CSV or Parquet file; ids, owners and labels of a CSV file are text, null where empty.

    Lines of a CSV file whose cells are all empty, as programs for tables leave them, are no rows.
    Raises: InputError for a file that cannot be read, or has two columns of one name.
    """
    is_csv = place.lower().endswith(".csv")
    try:
        options = pa.csv.ConvertOptions(column_types=dict.fromkeys(NAMES, pa.string()))
        table = pa.csv.read_csv(place, convert_options=options) if is_csv else pq.read_table(place)
    except (OSError, pa.ArrowException) as error:
        expected, hint = "a CSV or Parquet file", "check the path"
        raise InputError(Problem(place, expected, str(error).splitlines()[0], hint)) from None
    if len(set(table.column_names)) < len(table.column_names):
        got, hint = f"columns {', '.join(table.column_names)}", "rename or drop the others"
        raise InputError(Problem(place, "one column of each name", got, hint))
    for position, name in enumerate(table.column_names):
        if name in NAMES:
            table = table.set_column(position, name, _plain(table[name], is_csv=is_csv))
    return _without_empty_rows(table) if is_csv else table


def read_given_values(place: str) -> pa.Table:
    """Return a person's own values from a file. Raises: InputError as `read_table` does, and for ids that repeat."""
    table = read_table(place)
    if "id" not in table.column_names:
        return table
    ids = column_of(table, "id")
    if ids.null_count or pa.types.is_nested(ids.type):
        got = f"{ids.null_count} empty, of type {ids.type}"
        raise InputError(Problem(f"{place}, column id", "an id in every row", got, "give each row its id"))
    counts = ids.value_counts()
    if len(repeated := counts.filter(pc.greater(counts.field("counts"), 1))):
        got = f"{len(repeated)} that repeat; the first: {shown(repeated.field('values')[:5].to_pylist())}"
        hint = "add up or drop the others; --by owner adds up rows whose ids differ"
        raise InputError(Problem(f"{place}, column id", "unique ids", got, hint))
    return table


def column_of(values: pa.Table, name: str) -> pa.Array:
    """Return a column. Raises: InputError if the table lacks it."""
    if name not in values.column_names:
        hint = OWNER_HINT if name == "owner" else "give a table of values, as `dvspark value` writes it"
        raise InputError(Problem("values", f"a column {name!r}", f"columns {', '.join(values.column_names)}", hint))
    return values[name].combine_chunks()


def numbers_of(values: pa.Table, name: str) -> Float64s:
    """Return a column of numbers, (n,) float64, NaN for null. Raises: InputError for a column that is none."""
    column = column_of(values, name)
    if not any(is_one(column.type) for is_one in (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)):
        raise InputError(Problem(f"column {name}", "numbers", str(column.type), "give numbers"))
    # Whole numbers beyond 2^53 are rounded; Arrow's safe cast would refuse them.
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def costs_of(ids: pa.ChunkedArray, table: pa.Table, column: str) -> Float64s:
    """Return the costs of rows with these ids, (n,) float64, from a table with id and a column of costs.

    Ids are compared in the type of ``ids``, none rounded or guessed: 007 is not the whole number 7.
    Raises: InputError if the table lacks a column, an id, or has one twice, or has ids of another kind.
    """
    if missing := [name for name in ("id", column) if name not in table.column_names]:
        got = f"columns {', '.join(table.column_names)}"
        raise InputError(Problem("costs", f"columns {', '.join(missing)}", got, "set --cost-column"))
    known = _ids_like(table["id"].combine_chunks(), ids.type)
    try:
        given = table[column].combine_chunks()
        if pa.types.is_boolean(given.type):  # true would cost 1
            raise pa.ArrowInvalid("true and false")
        # A price of 0.1 in float32 is 0.1, as it is written there, and no more of 0.10000000149.
        numbers = (given.cast(pa.string()) if pa.types.is_float32(given.type) else given).cast(pa.float64())
    except pa.ArrowException as error:
        raise InputError(Problem(f"costs, column {column}", "numbers", str(error), "give every row a number")) from None
    counts = known.value_counts()
    if len(repeated := counts.filter(pc.greater(counts.field("counts"), 1))):
        got = f"{len(repeated)} more than once; the first: {shown(repeated.field('values')[:5].to_pylist())}"
        raise InputError(Problem("costs", "each id once", got, "add up or drop the others"))
    places = pc.index_in(ids.combine_chunks(), value_set=known)
    if places.null_count:
        lacking = ids.filter(places.is_null())
        got = f"none of {places.null_count} rows; the first: {shown(lacking[:5].to_pylist())}"
        raise InputError(Problem("costs", "a cost of every row", got, "give every row its price"))
    return np.asarray(numbers.take(places).to_numpy(zero_copy_only=False), np.float64)


def _ids_like(known: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return ids in another type, if each is written the same in both. Raises: InputError for others."""
    try:
        if known.type != kind and not all(
            pa.types.is_integer(one) or pa.types.is_string(one) for one in (known.type, kind)
        ):
            raise pa.ArrowInvalid(f"ids of type {known.type}")
        cast = known.cast(kind)
        if len(others := known.filter(pc.not_equal(cast.cast(known.type), known))):
            raise pa.ArrowInvalid(f"{len(others)} others; the first: {shown(others[:5].to_pylist())}")
    except pa.ArrowException as error:
        hint = "write ids as the values have them, without leading zeros or spaces where these are whole numbers"
        raise InputError(
            Problem("costs, column id", f"ids of type {kind}, as the values have", str(error), hint)
        ) from None
    return cast


def _plain(column: pa.ChunkedArray, *, is_csv: bool) -> pa.ChunkedArray:
    """Return a column without encodings, text as `string`; of a CSV file null where a cell is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if not is_csv:
        return column
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)


def _without_empty_rows(table: pa.Table) -> pa.Table:
    """Return the rows that have something in a cell; in a column of texts, an empty one is nothing."""
    filled = [
        pc.not_equal(pc.coalesce(column, ""), "") if pa.types.is_string(column.type) else column.is_valid()
        for column in table.columns
    ]
    return table.filter(reduce(pc.or_, filled)) if filled else table


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
