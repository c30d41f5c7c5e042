"""Key columns: what the ids and labels of a table tell, counted by Spark, or here if the columns are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.local.rows import LocalRows
from dvspark.schemas.columns import from_ipc
from dvspark.schemas.labels import rows_by_label
from dvspark.tables.row_checks import FIRST_IDS
from dvspark.tables.sources.words import in_id_order, readable_batch, readable_words

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.tables.sources.rows import Rows

# Up to so many rows, this process reads key columns itself from files that Arrow can read, beside the pass that checks
# rows: 0.1 µs a row, where grouping and sorting ids in Java takes 2 µs. 40 bytes a row stay here, as the index needs.
KEYS_READ_HERE = 50_000_000

# The number of ids of some kind, and the first five of them.
Ids = tuple[int, list[object]]


def keys_in_id_order(packed: list[bytes]) -> pa.Table:
    """Return the key columns of a table in id order, from those of its batches."""
    return in_id_order(pa.concat_tables([from_ipc(keys) for keys in packed]))


def are_in_files(rows: Rows) -> bool:
    """Return whether this process can read the keys of all rows from files, which are not too many."""
    return rows.files is not None and not rows.few_keys and rows.files.n_rows <= KEYS_READ_HERE


def read_keys(rows: Rows) -> pa.Table:
    """Return the key columns in id order, read from the rows' files. Memory: 80 bytes a row meanwhile, short ids."""
    assert rows.files is not None  # noqa: S101 - asked before
    names = [name for name in rows.types if name != "embedding"]
    parts = (readable_batch(batch)[0] for part in rows.files.parts for batch in rows.files.read(part, names))
    return in_id_order(pa.Table.from_batches(parts))


def repeated_ids(rows: Rows) -> Ids:
    """Return the ids that occur more than once."""
    if rows.keys is None:
        return ids_of(repeated_frame(rows))
    ids = rows.keys["id"].drop_null().combine_chunks()  # in order, so equal ones are neighbors
    repeated = pc.unique(ids[1:].filter(pc.equal(ids[1:], ids[:-1])))
    return len(repeated), repeated[:FIRST_IDS].to_pylist()


def repeated_frame(rows: Rows) -> DataFrame:
    """Return the ids that occur more than once, by Spark."""
    return rows.data_frame.where("id IS NOT NULL").groupBy("id").count().where("count > 1").select("id")


def label_counts(rows: Rows) -> dict[str | int, int]:
    """Return how many rows carry each label; empty if labels are numbers to predict."""
    if rows.types["label"] == "double":
        return {}
    if rows.keys is None:
        label = "explode(array_distinct(label))" if rows.is_multi_label else "label"
        counts = rows.data_frame.selectExpr(f"{label} AS label").groupBy("label").count()
        found = counts.toArrow()
        labels, _ = readable_words(found["label"].combine_chunks())
        return dict(zip(labels.to_pylist(), found["count"].to_pylist(), strict=True))
    return rows_by_label(rows.keys["label"].combine_chunks())


def content_counts(rows: Rows, columns: list[str]) -> pa.Table:
    """Return each content of some key columns once, and how many rows have it (``n_rows``)."""
    keys, frame = rows.keys, rows.frame
    if keys is None and isinstance(frame, LocalRows):
        keys = pa.Table.from_batches(frame.read(columns), pa.schema([frame.schema.field(name) for name in columns]))
    if keys is None:
        return rows.data_frame.groupBy(*columns).count().toArrow().rename_columns([*columns, "n_rows"])
    found = keys.group_by(columns).aggregate([([], "count_all")]).select([*columns, "count_all"])
    return found.rename_columns([*columns, "n_rows"])


def shared_ids(train: Rows, validation: Rows) -> Ids:
    """Return the ids that both tables have."""
    if train.keys is None or validation.keys is None:
        return ids_of(train.data_frame.select("id").join(validation.data_frame.select("id"), "id", "left_semi"))
    ids = train.keys["id"]
    both = ids.filter(pc.is_in(ids, value_set=validation.keys["id"].combine_chunks()))
    return len(both), both[:FIRST_IDS].to_pylist()


def ids_of(frame: DataFrame) -> Ids:
    """Return how many ids a DataFrame of ids has, and the first ones."""
    first = [row["id"] for row in frame.orderBy("id").limit(FIRST_IDS).collect()]
    return (frame.count() if len(first) == FIRST_IDS else len(first)), first
