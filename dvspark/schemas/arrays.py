"""Arrays that cross a stage: what the kernels get of training rows and of validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Int8s = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]
UInt8s = npt.NDArray[np.uint8]
UInt16s = npt.NDArray[np.uint16]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class TrainLabels:
    """Labels of the training rows as codes, in a form that gives the rows of a code.

    If every row has one label, ``codes`` (n_train,) int32 has it. Otherwise ``codes`` is None, ``postings`` (any,)
    int32 lists the train rows of code c, ascending, at ``offsets[c]:offsets[c + 1]``, and ``offsets`` is (n_codes + 1,)
    int64. Codes count from 0 in the order of the index's label vocabulary.
    """

    codes: Int32s | None
    offsets: Int64s | None = None
    postings: Int32s | None = None


@dataclass(frozen=True)
class TrainColumns:
    """Columns of training rows beside embedding and label, in id order; None if the table does not have them.

    - ``targets`` (n_train,) float64: the numbers to predict.
    - ``weights`` and ``losses`` (n_train,) float64, not negative.
    - ``owners`` (n_train,) int32: positions among all owners in ascending order, of which there are ``n_owners``.
    - ``sampled`` (n_train,) bool: the rows that a private release drew.
    - ``owned`` (n_train,) bool: the rows that are in every coalition and get no values; the others are candidates.
    """

    targets: Float64s | None = None
    weights: Float64s | None = None
    owners: Int32s | None = None
    n_owners: int = 0
    sampled: Bools | None = None
    owned: Bools | None = None
    losses: Float64s | None = None


# Of a method's parameter `index`: the nearest rows themselves, found by no approximate search.
EXACT = "exact"


class Search(Protocol):
    """An approximate search over training rows. The same question always gets the same answer."""

    def __call__(self, points: Floats, m: int) -> Int64s:
        """Return rows likely to be among the m nearest of each point, (n_points, m); -1 if fewer were found."""


@dataclass(frozen=True)
class TrainArrays:
    """Training rows in the form that kernels take, in id order, which is the order that breaks ties.

    - ``x`` (n_train, n_features) float32, or float64 if the input was; ``labels``.
    - ``scale`` (n_train,) float64: 1 / |x| under cosine, else None.
    - ``center`` (n_features,) float64: subtracted before products, or None (kernels/distances/distances.py).
    - ``squared_norm`` (n_train,) float64: of the scaled, centered rows.
    - ``duplicates`` (n_duplicates, 2) int32: pairs (train row, first train row with the same embedding).
    - ``columns``: further columns that methods ask for.
    - ``search``: finds near rows; None if they are found exactly.
    - ``longest``: the largest squared norm of the whole table if these are only some of its rows; None if they are all.
    """

    x: Floats
    labels: TrainLabels
    scale: Float64s | None
    center: Float64s | None
    squared_norm: Float64s
    duplicates: Int32s
    columns: TrainColumns = field(default_factory=TrainColumns)
    search: Search | None = None
    longest: float | None = None

    @property
    def n_train(self) -> int:
        """Number of training rows."""
        return int(self.x.shape[0])

    @cached_property
    def largest_norm(self) -> float:
        """The largest squared norm of the whole table."""
        return float(self.squared_norm.max(initial=0.0)) if self.longest is None else self.longest


@dataclass(frozen=True)
class TrainBlock:
    """Consecutive training rows under the sharded plan. All blocks but the last consist of whole tiles.

    ``train`` has the rows, numbered from 0 in the block, with the center of all training rows. ``first_row`` is the
    place of the first row in the whole table.
    ``guests`` are rows whose first copy lies in an earlier block, each at that copy's place in its tile, with zeros
    around them; or None. ``guest_pairs`` (n, 2) int32 are pairs (row of the block, guest).
    """

    train: TrainArrays
    first_row: int
    guests: TrainArrays | None
    guest_pairs: Int32s


@dataclass(frozen=True)
class ChunkArrays:
    """Validation rows of one chunk, in id order.

    - ``x`` (n_validation, n_features), dtype of the training rows.
    - ``labels``: for each row an array of label codes, without codes that no training row has.
    - ``train_rows`` (n_validation,) int64: under self-validation the training row that each point is, which sits out
      its own game; else None.
    - ``targets`` (n_validation,) float64, the numbers to predict, and ``weights`` (n_validation, n_train) float64, of
      each training row for each point: only if the method asks for them.
    - ``losses`` (n_validation,) float64: where the table tells them.
    - ``counts`` (n_validation, 2) int64: how many neighbors match and how many do not, if they were counted before, or
      published with noise.
    """

    x: Floats
    labels: Sequence[Int32s]
    train_rows: Int64s | None = None
    targets: Float64s | None = None
    weights: Float64s | None = None
    counts: Int64s | None = None
    losses: Float64s | None = None

    @property
    def n_validation(self) -> int:
        """Number of validation rows."""
        return int(self.x.shape[0])

    def take(self, points: Int64s) -> ChunkArrays:
        """Return the points at these places, in the order given."""
        train_rows = None if self.train_rows is None else self.train_rows[points]
        targets = None if self.targets is None else self.targets[points]
        weights = None if self.weights is None else self.weights[points]
        counts = None if self.counts is None else self.counts[points]
        losses = None if self.losses is None else self.losses[points]
        labels = [self.labels[point] for point in points]
        return ChunkArrays(self.x[points], labels, train_rows, targets, weights, counts, losses)
