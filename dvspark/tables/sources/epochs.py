"""Epochs: a table with a row for each epoch of a training row becomes one with a row for all of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import Problem, shown
from dvspark.local.rows import Batches, LocalRows
from dvspark.schemas import Float64s
from dvspark.spark import worker
from dvspark.tables.row_checks import FIRST_IDS
from dvspark.tables.sources.keys import ids_of
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.rows import Rows, undeclared_problem
from dvspark.tables.sources.typed_bytes import decoded
from dvspark.tables.sources.types import ddl_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dvspark.local.rows import Frame

EPOCH = "epoch"
# All columns of one row in one epoch that are not the same in the others.
OF_EPOCH = (EPOCH, "loss", "embedding")
JOINED = "array<double>"
# So many numbers of gradients are held by a process without Spark, 4 GiB as float64; twice that while they are sorted.
MOST_NUMBERS = 2**29
# Joined rows of a batch that a process without Spark makes.
BATCH_ROWS = 1_024


def with_epochs(rows: Rows | list[Problem]) -> Rows | list[Problem]:
    """Return one row for each id, in which the gradients of its epochs lie end to end, or what is wrong with them.

    With K epochs a gradient is divided by √K, so that values of the joined rows are the mean over the values of
    epochs: squared distances and products add up from epoch to epoch. A row's loss becomes the mean of its losses, and
    each gradient is multiplied by what part of that mean its own loss is: loss times gradient is that of the epoch.
    Cost: a pass over the rows, one over their keys; then each reading sorts the rows by id, in this process or by a
    shuffle of Spark. Raises: NotLocalError for more than MOST_NUMBERS without Spark.
    """
    if isinstance(rows, list):
        return rows
    if (undeclared := undeclared_problem(rows)) is not None:
        return [undeclared]
    rows = _as_numbers(rows)
    spans = _spans(rows)
    problems = _span_problems(rows.side, spans) or _id_problems(rows, len(spans))
    if problems:
        return problems
    epochs = tuple((one[EPOCH], one["most"] or 0) for one in spans)
    n_numbers = sum(one["n_rows"] * (one["most"] or 0) for one in spans)
    if isinstance(rows.frame, LocalRows) and n_numbers > MOST_NUMBERS:
        expected, got = f"at most {MOST_NUMBERS:,} numbers of gradients", f"{n_numbers:,}"
        raise not_local(f"{rows.side} table {rows.reference}", expected, got)
    types = {name: kind for name, kind in rows.types.items() if name != EPOCH} | {"embedding": JOINED}
    frame = _frame(rows, types, max(len(epochs), 1))
    return replace(rows.with_frame(frame), types=types, epochs=epochs)


def joined(embeddings: pa.Array, losses: pa.Array | None, n_epochs: int) -> tuple[pa.Array, pa.Array | None]:
    """Return the joined gradients and losses of rows, each of which has ``n_epochs`` entries, one after the other.

    A row without one of its gradients has none. If one of its losses is none, it has that one as its loss.
    """
    n = len(embeddings) // n_epochs
    parts, of_rows = np.full((n, n_epochs), 1 / np.sqrt(n_epochs)), None
    if losses is not None:
        shares, of_rows = _shares(losses, n_epochs)
        parts *= shares
    is_whole = np.asarray(embeddings.is_valid()).reshape(n, n_epochs).all(axis=1)
    kept = embeddings.filter(pa.array(np.repeat(is_whole, n_epochs)))
    lengths = np.asarray(pc.list_value_length(kept), np.int64)
    numbers = pc.multiply(kept.flatten().cast(pa.float64()), pa.array(np.repeat(parts[is_whole].ravel(), lengths)))
    of_row = np.zeros(n, np.int64)
    of_row[is_whole] = lengths.reshape(-1, n_epochs).sum(axis=1)
    ends = pa.array(np.concatenate([[0], of_row.cumsum()]), pa.int32())
    return pa.ListArray.from_arrays(ends, numbers, mask=pa.array(~is_whole)), of_rows


def _shares(losses: pa.Array, n_epochs: int) -> tuple[Float64s, pa.Array]:
    """Return what part of a row's mean loss each of its losses is, (n, n_epochs), and that mean, or what is no loss."""
    told = np.asarray(losses.cast(pa.float64()).fill_null(np.nan), np.float64).reshape(-1, n_epochs)
    is_none = np.asarray(losses.is_null()).reshape(-1, n_epochs).any(axis=1)
    is_bad = ~(np.isfinite(told) & (told >= 0))
    rows = np.arange(len(told))
    with np.errstate(over="ignore"):
        means = np.where(is_bad.any(axis=1), told[rows, is_bad.argmax(axis=1)], told.mean(axis=1))
    shares = np.ones_like(told)
    counted = np.isfinite(means) & (means > 0)
    shares[counted] = told[counted] / means[counted, None]
    return shares, pa.array(means, mask=is_none)


def _as_numbers(rows: Rows) -> Rows:
    """Return rows whose gradients are lists: those in bytes are float32."""
    if rows.types["embedding"] != "binary":
        return rows
    types, frame = {**rows.types, "embedding": JOINED}, rows.frame
    as_lists = partial(decoded, dtype="float32")
    if isinstance(frame, LocalRows):

        def read(columns: list[str]) -> Batches:
            batches = frame.read(columns)
            return as_lists(batches) if "embedding" in columns else batches

        lists: Frame = LocalRows(frame.session, types, read)
    else:
        ddl = ddl_of(types)
        lists = worker.map_batches(frame, as_lists, list(types), ddl)
    return replace(rows.with_frame(lists), types=types)


def _spans(rows: Rows) -> list[dict[str, Any]]:
    """Return of each epoch, ascending, how many rows it has, and of how many numbers its gradients: least and most."""
    frame = rows.frame
    if isinstance(frame, LocalRows):
        told = [
            pa.table({EPOCH: batch.column(EPOCH), "length": pc.list_value_length(batch.column("embedding"))})
            for batch in frame.read([EPOCH, "embedding"])
        ]
        spans = [([], "count_all"), ("length", "min"), ("length", "max")]
        found = pa.concat_tables(told).group_by(EPOCH).aggregate(spans) if told else pa.table({EPOCH: []})
    else:
        from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

        length = sf.expr("array_size(embedding)")
        found = frame.groupBy(EPOCH).agg(sf.count("*"), sf.min(length), sf.max(length)).toArrow()
    by_epoch = dict(zip(found[EPOCH].to_pylist(), found.to_pylist(), strict=True))
    names = ("n_rows", "least", "most")
    ascending = sorted(by_epoch, key=lambda epoch: (epoch is not None, epoch))
    return [{EPOCH: one, **dict(zip(names, [*by_epoch[one].values()][1:], strict=True))} for one in ascending]


def _span_problems(side: str, spans: list[dict[str, Any]]) -> list[Problem]:
    """Return the problems of rows without an epoch, and of epochs whose gradients have several lengths."""
    problems = [
        Problem(f"{side} epochs", "an epoch in each row", f"none in {one['n_rows']} rows", "drop or repair these rows")
        for one in spans
        if one[EPOCH] is None
    ]
    uneven = [one for one in spans if one["least"] != one["most"]]
    if uneven:
        said = "; ".join(f"{one['least']} to {one['most']} numbers in epoch {one[EPOCH]}" for one in uneven[:FIRST_IDS])
        problems.append(Problem(f"{side} gradients", "one length in an epoch", said, "take those of one layer"))
    return problems


def _id_problems(rows: Rows, n_epochs: int) -> list[Problem]:
    """Return the problem of ids that are not once in each epoch, or have several labels or other keys."""
    keys = [name for name, kind in rows.types.items() if name not in (*OF_EPOCH, "id") and not kind.startswith("array")]
    frame = rows.frame
    if isinstance(frame, LocalRows):
        names = ["id", EPOCH, *keys]
        table = pa.Table.from_batches(frame.read(names), pa.schema([frame.schema.field(name) for name in names]))
        every = pc.CountOptions(mode="all")
        counts: list[Any] = [([], "count_all"), *((name, "count_distinct", every) for name in names[1:])]
        found = table.group_by("id").aggregate(counts)
        is_odd = pc.or_(*(pc.not_equal(found[name], n_epochs) for name in ("count_all", f"{EPOCH}_count_distinct")))
        for name in keys:
            is_odd = pc.or_(is_odd, pc.not_equal(found[f"{name}_count_distinct"], 1))
        odd = found["id"].filter(is_odd).combine_chunks().sort()
        n_odd, first = len(odd), odd[:FIRST_IDS].to_pylist()
    else:
        from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

        contents = sf.size(sf.collect_set(sf.struct(sf.lit(0), *keys)))
        counts = [sf.count("*").alias("n_rows"), sf.count_distinct(EPOCH).alias("n_epochs"), contents.alias("n_keys")]
        is_odd = f"n_rows <> {n_epochs} OR n_epochs <> {n_epochs} OR n_keys <> 1"
        n_odd, first = ids_of(frame.groupBy("id").agg(*counts).where(is_odd).select("id"))
    if not n_odd:
        return []
    expected = f"each id once in each of {n_epochs} epochs, with the same {', '.join(keys) or 'id'}"
    hint = "write each row in each epoch, or value epochs apart and take means"
    return [Problem(f"{rows.side} ids", expected, f"others in {n_odd} ids; the first: {shown(first)}", hint)]


def _frame(rows: Rows, types: dict[str, str], n_epochs: int) -> Frame:
    """Return the joined rows, under ``types``."""
    if isinstance(rows.frame, LocalRows):
        return _joined_here(rows.frame, types, n_epochs)
    return _joined_by_spark(rows.data_frame, list(rows.types), types, n_epochs)


def _joined_here(frame: LocalRows, types: dict[str, str], n_epochs: int) -> LocalRows:
    @cache
    def in_order() -> pa.Table:
        table = pa.Table.from_batches(frame.read(list(frame.types)), frame.schema)
        return table.sort_by([("id", "ascending"), (EPOCH, "ascending")]).combine_chunks()

    def read(columns: list[str]) -> Batches:
        table, step = in_order(), BATCH_ROWS * n_epochs
        for start in range(0, len(table), step):
            (batch,) = table.slice(start, step).to_batches()
            first = pa.array(np.arange(0, len(batch), n_epochs))
            found = {name: batch.column(name).take(first) for name in columns if name not in OF_EPOCH}
            if {"embedding", "loss"} & {*columns}:
                losses = batch.column("loss") if "loss" in types else None
                found["embedding"], found["loss"] = joined(batch.column("embedding"), losses, n_epochs)
            yield pa.RecordBatch.from_arrays([found[name] for name in columns], columns)

    return LocalRows(frame.session, types, read)


def _joined_by_spark(frame: DataFrame, given: list[str], types: dict[str, str], n_epochs: int) -> DataFrame:
    from pyspark.sql import functions as sf  # noqa: PLC0415 - an extra

    keys = [name for name in types if name not in (*OF_EPOCH, "id")]
    entries = sf.sort_array(sf.collect_list(sf.struct(*(name for name in OF_EPOCH if name in given))))
    grouped = frame.groupBy("id").agg(entries.alias("every"), *(sf.first(name).alias(name) for name in keys))

    def read(batches: Batches) -> Batches:
        for batch in batches:
            entries = batch.column("every").flatten()
            told = dict(zip((one.name for one in entries.type), entries.flatten(), strict=True))
            numbers, losses = joined(told["embedding"], told.get("loss"), n_epochs)
            found = {"embedding": numbers, "loss": losses}
            arrays = [found[name] if name in OF_EPOCH else batch.column(name) for name in types]
            yield pa.RecordBatch.from_arrays(arrays, list(types))

    ddl = ddl_of(types)
    return worker.map_batches(grouped, read, ["id", "every", *keys], ddl)
