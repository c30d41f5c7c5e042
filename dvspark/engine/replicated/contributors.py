"""Contributors: the training rows with the highest and the lowest values for each of a batch of validation points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.engine.index.train_index import TrainIndex
from dvspark.errors import ConfigError, Problem
from dvspark.kernels.distances.distances import squared_norms
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays
from dvspark.schemas.columns import (
    LARGEST_SQUARED_NORM,
    SMALLEST_SQUARED_NORM,
    canonical_labels,
    embedding_matrix,
    encode_labels,
)

if TYPE_CHECKING:
    import pandas as pd


def contributors_of(
    index: TrainIndex,
    embedding: pd.Series[Any],
    label: pd.Series[Any],
    options: ValueOptions,
    parameters: Parameters,
    top: int,
) -> list[list[dict[str, Any]]]:
    """Return for each point the ids and values of up to ``top`` rows of each sign, the highest value first.

    Raises: ConfigError for points that cannot be valued.
    """
    ids, points = index.keys["id"], _points(index, embedding, label)
    shown = []
    method, ranking = RankingMethod.of(options.declaration), options.ranking_options(parameters, index.arrays.n_train)
    for ranked, values in method.points(index.arrays, points, ranking, method.own(parameters)):
        # The rows are in rank order and the sorts are stable, so among equal values the nearer row comes first.
        highest = [place for place in np.argsort(-values, kind="stable")[:top] if values[place] > 0]
        lowest = [place for place in np.argsort(values, kind="stable")[:top][::-1] if values[place] < 0]
        rows = [int(ranked.rows[place]) for place in [*highest, *lowest]]
        found = ids.take(pa.array(rows, pa.int64())).to_pylist()
        shown.append(
            [
                {"id": row_id, "value": float(values[place])}
                for row_id, place in zip(found, [*highest, *lowest], strict=True)
            ]
        )
    return shown


def _points(index: TrainIndex, embedding: pd.Series[Any], label: pd.Series[Any]) -> ChunkArrays:
    """Return a batch of validation rows in the form that kernels take.

    Raises: ConfigError for rows that cannot be valued.
    """
    n_features = index.arrays.x.shape[1]
    vectors = pa.array(list(embedding), pa.binary() if _is_binary(embedding) else None, from_pandas=False)
    # pandas has no integer column with nulls: such a column becomes floats, with NaN for null.
    labels = pa.array([_plain(value) for value in label], from_pandas=True)
    bad = [
        row
        for row, vector in enumerate(embedding)
        if vector is None or len(vector) != (4 * n_features if isinstance(vector, bytes) else n_features)
    ]
    if bad or labels.null_count:
        got = f"{len(bad)} embeddings of another length or null, {labels.null_count} null labels in a batch"
        expected = f"embeddings of {n_features} numbers, and labels"
        raise ConfigError(Problem("top_contributors", expected, got, "filter these rows out first"))
    known = _known_labels(index, vectors, labels)
    x = embedding_matrix(vectors, index.arrays.x.dtype)
    if not np.isfinite(x).all():
        raise ConfigError(Problem("top_contributors", "finite numbers", "NaN or infinity", "filter these rows out"))
    least = 0.0 if index.arrays.scale is None else SMALLEST_SQUARED_NORM
    with np.errstate(over="ignore"):
        norms = squared_norms(x)
    if n_bad := int(np.count_nonzero(~((norms >= least) & (norms <= LARGEST_SQUARED_NORM["default"])))):
        expected = f"squared norms from {least:.0e} to {LARGEST_SQUARED_NORM['default']:.0e}"
        raise ConfigError(Problem("top_contributors", expected, f"{n_bad} others in a batch", "filter these rows out"))
    return ChunkArrays(x, encode_labels(known, index.words))


def _known_labels(index: TrainIndex, vectors: pa.Array, labels: pa.Array) -> pa.Array:
    """Return labels of the type that training rows have. Raises: ConfigError for others, and for words as embeddings.

    Labels of another type match no training row, so nobody would contribute.
    """
    problems = []
    of_vector = getattr(vectors.type, "value_type", vectors.type)
    is_numbers = pa.types.is_integer(of_vector) or pa.types.is_floating(of_vector)
    if not is_numbers and not pa.types.is_binary(vectors.type):
        expected, hint = "embeddings of numbers", "give arrays of numbers, or bytes of float32"
        problems.append(Problem("top_contributors", expected, str(vectors.type), hint))
    try:
        found = canonical_labels(labels)
    except (pa.ArrowInvalid, TypeError):
        found = labels
    if getattr(found.type, "value_type", found.type) != index.words.type:
        expected, hint = f"labels of the training rows' type, {index.words.type}", "cast the column of labels"
        problems.append(Problem("top_contributors", expected, str(labels.type), hint))
    if problems:
        raise ConfigError(problems)
    return found


def _is_binary(embedding: pd.Series[Any]) -> bool:
    return len(embedding) > 0 and isinstance(embedding.iloc[0], bytes | bytearray)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
