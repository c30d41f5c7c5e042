"""Stored keys: exact keys of training rows that lie in blocks, for the task that merges a point's parts."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from dvspark.engine.index.train_blocks import BlocksReference, rows_of
from dvspark.engine.index.train_index import mapped_array
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_sizes import key_size
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.schemas import Float64s, Floats, Int64s, TrainArrays, TrainLabels


def stored_keys(reference: BlocksReference, z: Floats, listed: Int64s | None = None) -> NearKeys:
    """Return the function that gives a point's exact keys of training rows, which it reads from the blocks.

    The function takes training rows; with ``listed`` (n,), it takes places in this list of rows. ``z`` (n_features,) is
    the point. The bits are those of `near_order.near_keys` on one table.
    Cost: O(n_features) for each row asked for. These are a few hundred rows a point, where float32 keys leave the order
    in doubt.
    """
    table = _table(reference)

    def row_of(places: Int64s) -> Int64s:
        return places if listed is None else listed[places]

    def exact(places: Int64s) -> Float64s:
        x = rows_of(reference, row_of(places))
        return distances.exact_keys(x, np.arange(len(x)), z, reference.metric)

    weight = float(distances.place_points(table, z[None], reference.metric).norms[0])
    return NearKeys(
        exact=exact,
        norms=lambda places: _norms(reference, row_of(places)),
        size=key_size(table, weight, reference.metric),
    )


def largest_norm(reference: BlocksReference) -> float:
    """Return the largest squared norm of all rows. A process reads the norms once, 8 bytes a row."""
    return max(float(_norms_of(reference.folder(block)).max(initial=0.0)) for block in range(reference.n_blocks))


@functools.lru_cache(maxsize=4)
def _table(reference: BlocksReference) -> TrainArrays:
    """Return the table without its rows: how rows enter products, and the largest norm."""
    center = mapped_array(Path(reference.directory), "center")
    scale = np.empty(0) if reference.metric == "cosine" else None
    x, none = np.empty((0, reference.n_features), reference.dtype), np.empty((0, 2), np.int32)
    return TrainArrays(x, TrainLabels(None), scale, center, np.empty(0), none, longest=largest_norm(reference))


def _norms(reference: BlocksReference, rows: Int64s) -> Float64s:
    """Return the squared norms of some rows in the form in which they enter products, (n,) float64."""
    norms, blocks = np.empty(len(rows)), rows // reference.block_rows
    for block in np.unique(blocks).tolist():
        here = blocks == block
        norms[here] = _norms_of(reference.folder(block))[rows[here] - reference.first_row(block)]
    return norms


def _norms_of(folder: Path) -> Float64s:
    norms: Float64s = np.load(folder / "squared_norm.npy", mmap_mode="r", allow_pickle=False)
    return norms
