"""Row checks: what is wrong with each row of a batch, found by NumPy on executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas import TALLY, Float64s, Floats, Int64s
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.columns import (
    LARGEST_NUMBER,
    LARGEST_SQUARED_NORM,
    SMALLEST_SQUARED_NORM,
    embedding_matrix,
    to_ipc,
)
from dvspark.schemas.labels import ListForm
from dvspark.tables.row_digests import sum_of_hashes
from dvspark.tables.sources.words import readable_batch

Bools = npt.NDArray[np.bool_]

DIMENSION = "dimension"
ALL_ROWS = "rows"
LIST_FORM = "form of label lists"
PLACED = "places"
# Entries of a tally that describe rows, not problems.
FACTS = (DIMENSION, ALL_ROWS, LIST_FORM, PLACED)
FIRST_IDS = 5
# Between these, float32 sums show well enough that a squared norm is neither zero nor too large, in half the time.
SURE_NORMS = (1e-30, 1e36)

# Opens, in a task, what puts the rows of a batch in their places and returns these; None: rows are only looked at.
Placing = Callable[[], AbstractContextManager[Callable[[pa.RecordBatch], Int64s] | None]]


@dataclass(frozen=True)
class RowChecks:
    """What rows must satisfy: ``metric`` and ``precision`` of the run, and ``n_features`` once it is known.

    ``with_owners``: every row must have an owner.
    """

    metric: str
    precision: str
    with_owners: bool = False
    n_features: int | None = None


def tally_rows(
    batches: Iterator[pa.RecordBatch],
    checks: RowChecks,
    *,
    with_keys: bool = False,
    compiled: bool = False,
    placing: Placing = nullcontext,
) -> Iterator[pa.RecordBatch]:
    """Yield the `TALLY` of each batch: rows by problem and by dimension, with first ids, and the sum of hashes.

    ``with_keys``: the tally also has all columns of the rows but the embedding. ``compiled``: see `sum_of_hashes`.
    ``placing``: where the rows of a batch go in which all are good; the tally then has their places.
    """
    with placing() as place:
        for given in batches:
            batch, unreadable = readable_batch(given)
            rows = _found(batch, unreadable, checks)
            if place is not None and [row["aspect"] for row in rows] == [DIMENSION]:
                rows.append(_fact(PLACED, "", batch, place(batch).tobytes()))
            if (form := _list_form(batch.column("label"))) is not None:
                rows.append(_fact(LIST_FORM, repr(form), batch))
            keys = to_ipc(batch.drop_columns(["embedding"])) if with_keys else None
            rows.append(_fact(ALL_ROWS, str(sum_of_hashes(batch, compiled=compiled)), batch, keys))
            yield pa.RecordBatch.from_pylist(rows, TALLY_TYPES)


def _found(batch: pa.RecordBatch, unreadable: dict[str, Bools], checks: RowChecks) -> list[dict[str, Any]]:
    """Return the tallies of problems, then those of dimensions: one alone if all rows are good and alike."""
    problems, n_features = row_problems(batch, checks)
    tallies = [(aspect, "", bad) for aspect, bad in (problems | unreadable).items()]
    for dimension in np.unique(n_features[n_features >= 0]):
        tallies.append((DIMENSION, str(dimension), n_features == dimension))
    return [_tally(*tally, batch.column("id")) for tally in tallies if tally[2].any()]


def _fact(aspect: str, detail: str, batch: pa.RecordBatch, keys: bytes | None = None) -> dict[str, Any]:
    return {"aspect": aspect, "detail": detail, "n_rows": len(batch), "ids": [], "keys": keys}


TALLY_TYPES = arrow_schema(TALLY)


def mark_rows(batches: Iterator[pa.RecordBatch], checks: RowChecks) -> Iterator[pa.RecordBatch]:
    """Yield the batches with a column `reason` that has every problem of a row, or null for a good row."""
    for given in batches:
        batch, unreadable = readable_batch(given)
        problems, _ = row_problems(batch, checks)
        problems |= unreadable
        reasons: list[list[str]] = [[] for _ in range(len(batch))]
        for aspect, bad in problems.items():
            for row in np.flatnonzero(bad):
                reasons[row].append(aspect)
        texts = pa.array(["; ".join(reason) or None for reason in reasons], pa.string())
        yield pa.RecordBatch.from_arrays([*batch.columns, texts], [*batch.schema.names, "reason"])


def row_problems(batch: pa.RecordBatch, checks: RowChecks) -> tuple[dict[str, Bools], npt.NDArray[np.int64]]:
    """Return for each problem which rows have it, and the dimension of each row (-1 without embedding)."""
    embedding, label = batch.column("embedding"), batch.column("label")
    problems = {
        "id is null": np.asarray(pc.is_null(batch.column("id"))),
        "label is null": np.asarray(pc.is_null(label)),
        "embedding is null": np.asarray(pc.is_null(embedding)),
    }
    if pa.types.is_floating(label.type):
        problems["label is NaN or infinity"] = _not_finite(label)
        problems["label is too large to square"] = _too_large(label)
    for role in [name for name in ("weight", "loss") if name in batch.schema.names]:
        numbers = batch.column(role)
        problems[f"{role} is null"] = np.asarray(pc.is_null(numbers))
        problems[f"{role} is negative, NaN or infinity"] = _not_finite(numbers) | _negative(numbers)
        problems[f"{role} is too large to add up"] = _too_large(numbers)
    if "task" in batch.schema.names:
        problems["task is null"] = np.asarray(pc.is_null(batch.column("task")))
    if checks.with_owners and "owner" in batch.schema.names:
        problems["owner is null"] = np.asarray(pc.is_null(batch.column("owner")))
    if pa.types.is_list(label.type):
        problems["label is an empty array"] = np.asarray(pc.fill_null(pc.equal(pc.list_value_length(label), 0), False))
        problems["label array holds null"] = _rows_with_null(label)
    if pa.types.is_list(embedding.type):
        problems["embedding holds null"] = _rows_with_null(embedding)
    n_features = dimensions(embedding)
    if not pa.types.is_list(embedding.type):
        problems["embedding is not whole float32 numbers"] = (n_features < 0) & ~problems["embedding is null"]
    problems["embedding is empty"] = n_features == 0
    if checks.n_features is not None:
        problems[f"dimension is not {checks.n_features}"] = (n_features > 0) & (n_features != checks.n_features)
    problems |= _number_problems(embedding, n_features, problems, checks)
    return problems, n_features


def dimensions(embedding: pa.Array) -> Int64s:
    """Return the dimension of each embedding, (n,) int64; -1 for one that is null, or bytes of no whole number."""
    if pa.types.is_list(embedding.type):
        return np.asarray(pc.fill_null(pc.list_value_length(embedding), -1), np.int64)
    n_bytes = np.asarray(pc.fill_null(pc.binary_length(embedding), -1), np.int64)
    return np.where(n_bytes % 4, -1, n_bytes // 4)


def _number_problems(
    embedding: pa.Array, n_features: npt.NDArray[np.int64], problems: dict[str, Bools], checks: RowChecks
) -> dict[str, Bools]:
    """Return the rows whose numbers cannot be used, found for one dimension after the other."""
    usable = n_features > 0
    if "embedding holds null" in problems:
        usable &= ~problems["embedding holds null"]
    infinite, large, small, zero = (np.zeros(len(embedding), np.bool_) for _ in range(4))
    for dimension in np.unique(n_features[usable]):
        rows = np.flatnonzero(usable & (n_features == dimension))
        column = embedding if len(rows) == len(embedding) else embedding.take(pa.array(rows))
        matrix = embedding_matrix(column, _stored_dtype(embedding))
        norms = _squared_norms(matrix)
        finite = np.isfinite(norms)  # an infinite norm may come from finite numbers that are too large
        finite[~finite] = np.isfinite(matrix[~finite]).all(axis=1)
        infinite[rows] = ~finite
        large[rows] = finite & (norms > LARGEST_SQUARED_NORM[checks.precision])
        short = np.flatnonzero(norms < SMALLEST_SQUARED_NORM)
        zero[rows[short]] = ~matrix[short].any(axis=1)
        small[rows[short]] = ~zero[rows[short]]
    found = {"embedding holds NaN or infinity": infinite, "embedding is too large to square": large}
    if checks.metric == "cosine":
        found |= {"embedding is too small to square": small, "embedding is all zeros, without direction": zero}
    return found


def _stored_dtype(embedding: pa.Array) -> np.dtype[np.floating]:
    doubles = pa.types.is_list(embedding.type) and pa.types.is_float64(embedding.type.value_type)
    return np.dtype(np.float64 if doubles else np.float32)


def _squared_norms(matrix: Floats) -> Float64s:
    """Return the squared norms of rows, (n,) float64; those within SURE_NORMS may be off by a percent."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norms = np.einsum("ij,ij->i", matrix, matrix).astype(np.float64)
        unsure = ~((norms > SURE_NORMS[0]) & (norms < SURE_NORMS[1]))
        wide = matrix[unsure].astype(np.float64)
        norms[unsure] = np.einsum("ij,ij->i", wide, wide)
    return norms


def _not_finite(numbers: pa.Array) -> Bools:
    return np.asarray(pc.invert(pc.fill_null(pc.is_finite(numbers), True)))


def _negative(numbers: pa.Array) -> Bools:
    return np.asarray(pc.fill_null(pc.less(numbers, 0.0), False))


def _too_large(numbers: pa.Array) -> Bools:
    large = pc.and_(pc.is_finite(numbers), pc.greater(pc.abs(numbers), LARGEST_NUMBER))
    return np.asarray(pc.fill_null(large, False))


def _list_form(label: pa.Array) -> tuple[int, int, int, int] | None:
    """Return the numbers of the `ListForm` of a batch's labels; None if no label is a list without nulls."""
    if not pa.types.is_list(label.type):
        return None
    whole = label.filter(pa.array(np.asarray(label.is_valid()) & ~_rows_with_null(label)))
    return astuple(ListForm.of(whole)) if len(whole) else None


def _rows_with_null(lists: pa.Array) -> Bools:
    """Return which rows of a list column contain a null element."""
    bad, values = np.zeros(len(lists), np.bool_), pc.list_flatten(lists)
    if values.null_count:  # otherwise parents, 8 bytes an element, are not needed
        bad[np.asarray(pc.filter(pc.list_parent_indices(lists), pc.is_null(values)))] = True
    return bad


def _tally(aspect: str, detail: str, where: Bools, ids: pa.Array) -> dict[str, object]:
    places = np.flatnonzero(where)
    first = ids.take(pa.array(places[:FIRST_IDS])).cast(pa.string())
    return {"aspect": aspect, "detail": detail, "n_rows": len(places), "ids": [str(i) for i in first.to_pylist()]}
