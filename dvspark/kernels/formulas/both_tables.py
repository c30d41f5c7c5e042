"""Both tables at once: what formulas of the kind `whole` get, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.row_pass import Arrays, RowPass
from dvspark.schemas import Finding, Float64s, Int64s


@dataclass(frozen=True)
class BothTables:
    """Training rows and validation rows, with classes from 0 that training rows have.

    ``pieces`` yields all ``n_train`` training rows in id order, from the first row at each call; ``some`` returns those
    at some places; ``passed`` has them read where they are, and returns what is told of each stretch, in order.
    ``points`` are the validation rows, in id order.
    """

    n_train: int
    n_classes: int
    points: Piece
    pieces: Callable[[], Iterator[Piece]]
    some: Callable[[Int64s], Piece]
    passed: Callable[[RowPass], list[Arrays]]

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return int(self.points[0].shape[1])

    def train(self) -> Piece:
        """Return all training rows in memory; where they are one piece, it is not copied."""
        found = list(self.pieces())
        if len(found) == 1:
            return found[0]
        return np.concatenate([x for x, _ in found]), np.concatenate([codes for _, codes in found])


@dataclass(frozen=True)
class ValuedRows:
    """The ``values`` of all training rows, float64 (n_train,), and ``findings`` by which they can be trusted."""

    values: Float64s
    findings: list[Finding] = field(default_factory=list)
