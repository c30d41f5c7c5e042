"""Approximate search: a FAISS index of the training rows, built once and opened by every process that searches.

The rows found are candidates, which `kernels.nearest` ranks by exact distances. FAISS keeps rows in float32. So rows
enter FAISS in the form in which they enter the kernels' products (scaled to unit length under cosine, without a common
offset), divided by the largest norm among them.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvspark.kernels.distances.distances import squared_norms
from dvspark.methods.search_index import faiss_module, new_index, rows_to_train
from dvspark.schemas import EXACT, Float64s, Floats, Int64s, TrainArrays

FILE = "ann.faiss"

# Rows are handed to FAISS in pieces of so many bytes of float64.
PIECE_BYTES = 64 * 2**20
# An index learns from so many rows, or from so many rows for each list.
SAMPLE_ROWS = 65_536
SAMPLE_ROWS_PER_LIST = 64

# Of an inverted file a search reads this share of the lists, or more if that many do not hold so many times the rows
# asked for. A graph is followed to as many rows as are asked for (docs/decisions/0011).
SHARE_OF_LISTS = 1 / 32
ROWS_READ_PER_ROW = 16
# Points farther away than all training rows by this factor see them in one order, which float32 loses beyond.
FARTHEST = 2.0**10


def searched(train: TrainArrays, factory: str, metric: str) -> TrainArrays:
    """Return the training rows with a search by an index in memory; unchanged if `_build` makes no index."""
    index = _build(train, factory, metric)
    return train if index is None else dataclasses.replace(train, search=_FaissSearch(index, train, metric))


def write_ann(train: TrainArrays, factory: str, metric: str, folder: Path) -> None:
    """Write the FAISS index of the rows to its file in ``folder``, in one step; nothing if `_build` makes no index."""
    index = _build(train, factory, metric)
    if index is not None:
        written = folder / f"{FILE}.{uuid.uuid4().hex}"
        faiss_module().write_index(index, str(written))
        written.replace(folder / FILE)


def with_search(train: TrainArrays, metric: str, folder: Path) -> TrainArrays:
    """Return the training rows with a search by the index that `write_ann` wrote to ``folder``; unchanged without one.

    The file is mapped if this version of FAISS can map this type of index.
    """
    if not (folder / FILE).exists():
        return train
    faiss = faiss_module()
    # From 1.11 all codes, lists and links can be mapped; before, the lists of an inverted file.
    flag = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
    index = faiss.read_index(str(folder / FILE), flag)
    return dataclasses.replace(train, search=_FaissSearch(index, train, metric))


def _build(train: TrainArrays, factory: str, metric: str) -> Any | None:
    """Return a FAISS index of the rows; None under "exact", or if the rows are too few for the index to learn from.

    The index is built in one thread, because with several threads the order of insertions would shape a graph. So the
    same rows give the same index with the same version of FAISS and the same processor instructions.
    Memory: the index, and 20 D bytes for each row of the sample it learns from, or 2.5 PIECE_BYTES.
    Raises: ConfigError with what FAISS says about the factory string.
    """
    if factory == EXACT:
        return None
    index = new_index(factory, train.x.shape[1], metric)
    if train.n_train < rows_to_train(index, factory):
        return None
    unit = _largest_norm(train)
    with _one_thread():
        if not index.is_trained:
            index.train(np.asarray(_placed_rows(train, _sample(index, train.n_train)) / unit, np.float32))
        for rows in _pieces(train):
            index.add(np.asarray(_placed_rows(train, rows) / unit, np.float32))
    return index


class _FaissSearch:
    """A search by a FAISS index of ``train``; FAISS numbers the rows as ``train`` does."""

    def __init__(self, index: Any, train: TrainArrays, metric: str) -> None:
        self.index, self.metric, self.center = index, metric, train.center
        self.unit, self.n_train = _largest_norm(train), train.n_train
        lists = faiss_module().try_extract_index_ivf(index)
        self.n_lists = 0 if lists is None else int(lists.nlist)
        self.space = faiss_module().ParameterSpace()
        self.space.initialize(index)
        ranges = self.space.parameter_ranges
        self.settings = {ranges.at(place).name for place in range(ranges.size())}

    def __call__(self, points: Floats, m: int) -> Int64s:
        """Return rows likely to be among the m nearest of each point, int64 (n_points, m); -1 if fewer were found."""
        share = min(1.0, max(SHARE_OF_LISTS, ROWS_READ_PER_ROW * m / self.n_train))
        n_probed = int(np.ceil(share * self.n_lists))
        effort = {"nprobe": n_probed, "quantizer_efSearch": n_probed, "efSearch": m}
        for name in self.settings & effort.keys():
            self.space.set_index_parameter(self.index, name, effort[name])
        _, rows = self.index.search(self._placed(points), m)
        return np.asarray(rows, np.int64)

    def _placed(self, points: Floats) -> Floats:
        wide = np.asarray(points, np.float64)
        if self.metric == "cosine":
            wide = wide / np.sqrt(squared_norms(wide))[:, None]
        if self.metric != "inner_product" and self.center is not None:
            wide = wide - self.center
        wide = wide / self.unit
        norms = np.sqrt(squared_norms(wide))
        if self.metric == "inner_product":  # scaling the point does not change this order
            shrink = 1.0 / np.where(norms > 0, norms, 1.0)
        else:
            shrink = FARTHEST / np.maximum(norms, FARTHEST)
        return np.asarray(wide * shrink[:, None], np.float32)


def _pieces(train: TrainArrays) -> Iterator[slice]:
    step = max(1, PIECE_BYTES // (8 * train.x.shape[1]))
    return (slice(start, start + step) for start in range(0, train.n_train, step))


def _placed_rows(train: TrainArrays, rows: Int64s | slice) -> Float64s:
    wide = np.asarray(train.x[rows], np.float64)
    if train.scale is not None:
        wide = wide * train.scale[rows, None]
    return wide if train.center is None else wide - train.center


def _largest_norm(train: TrainArrays) -> float:
    largest = float(np.sqrt(train.squared_norm.max()))
    if largest == 0.0 or not np.isfinite(largest):  # squared norms are of float32, which these numbers leave
        largest = max(float(np.sqrt(squared_norms(_placed_rows(train, rows)).max())) for rows in _pieces(train))
    return largest or 1.0


def _sample(index: Any, n_train: int) -> Int64s:
    """Return the rows to learn from, ascending; they depend only on the index and the number of rows."""
    lists = faiss_module().try_extract_index_ivf(index)
    wanted = max(SAMPLE_ROWS, 0 if lists is None else SAMPLE_ROWS_PER_LIST * int(lists.nlist))
    if wanted >= n_train:
        return np.arange(n_train)
    return np.sort(np.random.default_rng(0).choice(n_train, wanted, replace=False))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let FAISS use one thread while the block runs."""
    faiss = faiss_module()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
