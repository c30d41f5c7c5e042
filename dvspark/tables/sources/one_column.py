"""One column: what some rows of a table have in a column that no stage of a run needs, read by this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import InputError, Problem, close_matches
from dvspark.schemas.arrow import arrow_type
from dvspark.tables.sources.canonical import canonical_type
from dvspark.tables.sources.formats import reader_of

if TYPE_CHECKING:
    from dvspark.tables.sources.reader import Reader, TableFiles
    from dvspark.tables.sources.reference import TableReference


def one_column(
    side: str, reference: TableReference, name: str, ids: pa.ChunkedArray, source: Mapping[str, Any]
) -> pa.Table:
    """Return (id, ``name``) of the rows with these ids, in any order; ids that the table has not are left out.

    ``source``: what a run recorded of the table. Its ids may be those of other rows in a later state.
    Raises: InputError for a table without the column, NotLocalError for one that only Spark reads.
    Cost: one pass over two columns; a batch of rows in memory beside those that are returned.
    """
    reader, table = require_column(side, reference, name, source)
    id_type = canonical_type("id", table.types[reference.id]) or table.types[reference.id]
    files = table.row_files(reader.where, reader.reference.columns(), {"id": id_type, "owner": table.types[name]})
    found, asked = list[pa.RecordBatch](), ids.combine_chunks().cast(arrow_type(id_type))
    for part in files.parts:
        for batch in files.read(part, ["id", "owner"]):
            kept = batch.filter(pc.is_in(batch.column("id"), value_set=asked))
            if len(kept):
                found.append(kept)
    empty = pa.table({"id": ids.slice(0, 0), name: pa.nulls(0)})
    return pa.Table.from_batches(found).rename_columns(["id", name]) if found else empty


def require_column(
    side: str, reference: TableReference, name: str, source: Mapping[str, Any] | None = None
) -> tuple[Reader, TableFiles]:
    """Return what reads the column as that of owners, and the files of the table, which has it.

    ``source``: the state that a run recorded; None: the state that is asked for.
    Raises: InputError for a table without the column, NotLocalError for one that only Spark reads.
    """
    # The role of owners has no part in embeddings and labels, and a reader takes it in any type.
    reader = reader_of(side, replace(reference, owner=name))
    reader = reader if source is None else reader.at(source)
    table = reader.files()
    if name not in table.types:
        got = f"columns {', '.join(table.types)}"
        hint = close_matches(name, list(table.types))
        raise InputError(Problem(reader.where, f"a column {name!r} to show", got, hint))
    return reader, table
