"""What a kernel's partial is computed from, made of plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial, TrainArrays, columns

K = 3

Arguments = tuple[TrainArrays, ChunkArrays, ValueOptions, Parameters]


def arguments(rows: tuple[Any, ...], *, n_classes: int = 3, k: int = K, **options: Any) -> Arguments:
    """Return what a partial is computed from, for (x, y, z, y_z) or, under self-validation, (x, y)."""
    x, y, *validation = rows
    z, y_z = validation or (x, y)
    asked = ValueOptions(parameters={"k": k}, **options)
    # Lists of tuples are multi-label rows; Arrow makes lists of both.
    y, y_z = (columns.canonical_labels(pa.array(list(labels))) for labels in (y, y_z))
    words = columns.label_vocabulary(y)
    train = prepare(np.asarray(x), columns.encode_train_labels(y, words), asked.metric)
    rows_of_points = np.arange(len(z)) if asked.self_validation else None
    chunk = ChunkArrays(np.asarray(z), columns.encode_labels(y_z, words), rows_of_points)
    return train, chunk, asked, asked.resolved(n_classes)


def engine_partial(train: TrainArrays, chunk: ChunkArrays, asked: ValueOptions, parameters: Parameters) -> Partial:
    return asked.declaration.partial(train, chunk, asked.ranking_options(parameters, train.n_train), parameters)
