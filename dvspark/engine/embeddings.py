"""Embeddings as they cross from Arrow columns into matrices."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dvspark.schemas import Floats

# Beyond these a squared distance, up to four times a squared norm, would overflow on the way.
LARGEST_SQUARED_NORM = {"default": 8e37, "float64": 4e307}


def embedding_matrix(column: pa.Array, dtype: np.dtype[np.floating]) -> Floats:
    """Return an Arrow column of equally long embeddings as (n, n_features) of ``dtype``.

    ``column`` holds lists of floats, or binary float32 little-endian. Without nulls and with the right dtype
    the list case is a view.
    """
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        flat = np.frombuffer(b"".join(column.to_pylist()), "<f4")
    else:
        flat = column.flatten().to_numpy(zero_copy_only=False)
    matrix: Floats = flat.reshape(len(column), -1).astype(dtype, copy=False)
    return matrix
