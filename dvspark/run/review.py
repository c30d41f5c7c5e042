"""Review: rows, values and neighbors become one decision a training row, when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import count_chunks, pieces
from dvspark.engine.engines import Index, engine_of
from dvspark.engine.points import points_of
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.distances.distances import prepare
from dvspark.logs import Stages, log_event
from dvspark.methods.options import ValueOptions
from dvspark.review.heads import fold_heads
from dvspark.review.near import NearTable, near_table
from dvspark.review.result import ReviewResult
from dvspark.review.review_rows import EQUAL_WITHIN, ReviewRows, Side, review_rows, vocabulary
from dvspark.run.finalize import Finalized
from dvspark.run.request import ReviewRules
from dvspark.run.validate import Checked
from dvspark.schemas import TrainLabels, columns
from dvspark.tables.table_checks import ValidatedInputs

if TYPE_CHECKING:
    from dvspark.local.rows import Frame


def review_values(
    checked: Checked,
    validation_rows: Frame,
    finalized: Finalized,
    index: Index,
    rules: ReviewRules,
    chunk_rows: int,
    stages: Stages,
) -> ReviewResult:
    """Return the review, in the order of the index.

    The neighbors of training rows are found by tasks, a chunk at a time. The rest is the driver's: the search among
    validation rows, whose embeddings it holds, three softmax heads, and `dvspark.review.memory_bytes`.
    """
    metric = checked.options.metric
    with stages.stage("review") as now:
        table = finalized.table
        labels = columns.canonical_labels(table["label"].combine_chunks())
        near = _near(checked.inputs, index, metric, rules.k, chunk_rows)
        errors = table["standard_error"].to_numpy() if table["standard_error"].null_count == 0 else None
        train = Side(table["id"].combine_chunks(), labels)
        validation, near_validation = None, None
        if not checked.options.self_validation:
            held = _held(validation_rows, checked.inputs.validation_facts.n_rows, chunk_rows)
            validation = Side(held["id"].combine_chunks(), columns.canonical_labels(held["label"].combine_chunks()))
            near_validation = _near_validation(held, index, metric, rules.k)
        words = vocabulary(labels, None if validation is None else validation.labels)
        head, engine = None, engine_of(index)
        if not columns.is_multi_label(labels):
            codes = columns.codes_of(labels, words)
            head = fold_heads(
                lambda places: engine.listed_rows(index, places.tolist()).x, index.n_features, codes, len(words), metric
            )
        rows = ReviewRows(
            train, near, EQUAL_WITHIN[metric], finalized.values, errors, validation, near_validation, head
        )
        found = review_rows(rows, rules.duplicate_radius)
        now.rows, now.note = len(found.table), ", ".join(f"{word} {n}" for word, n in found.counts().items())
    for finding in found.findings:
        log_event(f"note: {finding}", where=finding.where, got=finding.got)
    return found


def _near(inputs: ValidatedInputs, index: Index, metric: str, n_near: int, chunk_rows: int) -> NearTable:
    """Return the nearest other training rows of all training rows, found by tasks."""
    n, frame = index.n_train, inputs.train.frame
    m = min(n_near, n - 1)
    if not m:
        return NearTable(np.empty((n, 0), np.int32), np.empty((n, 0)))
    options = ValueOptions.of("truncated_knn_shapley", m, None, {"k_star": m}, metric=metric, self_validation=True)
    points = points_of(frame)
    chunks = points.chunked(frame, count_chunks(n, chunk_rows))
    work = ChunkWork(options, options.resolved(inputs.n_classes))
    told = engine_of(index).near_points(chunks, points.chunk_sizes(chunks), index, work)
    order = np.argsort(told["train_row"].to_numpy())
    rows = np.frombuffer(b"".join(told["rows"].to_pylist()), np.int32).reshape(n, m)
    distances = np.frombuffer(b"".join(told["distances"].to_pylist()), np.float64).reshape(n, m)
    return NearTable(rows[order], np.maximum.accumulate(distances[order], axis=1))


def _held(frame: Frame, n_rows: int, chunk_rows: int) -> pa.Table:
    """Return all validation rows, in id order."""
    points = points_of(frame)
    chunks = points.chunked(frame, count_chunks(n_rows, chunk_rows))
    found = [points.chunk_rows(chunks, wave) for wave in pieces(list(points.chunk_sizes(chunks)))]
    return pa.concat_tables(found).sort_by("id")


def _near_validation(rows: pa.Table, index: Index, metric: str, n_near: int) -> NearTable:
    """Return the nearest validation rows of all training rows."""
    parts, others = [], None
    for piece in engine_of(index).train_pieces(index):
        if others is None:
            x = columns.embedding_matrix(rows["embedding"].combine_chunks(), piece.x.dtype)
            others = prepare(x, TrainLabels(np.zeros(len(x), np.int32)), metric)
        parts.append(near_table(others, piece.x, metric, n_near, itself=False))
    return NearTable(np.concatenate([part.rows for part in parts]), np.concatenate([part.distances for part in parts]))
