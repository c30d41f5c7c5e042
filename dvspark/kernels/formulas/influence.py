"""Influence: how much the validation rows' loss in a softmax head would rise without a row, to first order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.kernels.formulas.both_tables import BothTables, ValuedRows
from dvspark.kernels.formulas.kinds import WholeFormulas
from dvspark.kernels.gradients.conjugate_gradients import solved
from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.kernels.gradients.row_pass import Arrays
from dvspark.kernels.gradients.softmax_head import FLAT_SLOPE, SoftmaxHead, drawn_rows, fit_head
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import Finding, Float64s, Int32s

# The system is solved to this gap, relative to its right side, or ends after so many products.
GAP, MOST_STEPS = 1e-9, 2_000


@dataclass(frozen=True)
class Influence(WholeFormulas):
    """Influence functions of logistic regression with bias; ``penalty`` as of `softmax_head.fit_head`.

    With g the gradient of a row's loss in the weights, G the mean of g over the validation rows, and H the Hessian of
    what training minimizes, value = g·(H⁻¹ G) / n.
    Cost: a row pass, and one for each product of conjugate gradients, O(n × classes × features) each; beside the head a
    tile in memory. Source: Koh & Liang, ICML 2017, arXiv:1703.04730: of upweighting on the loss.
    """

    penalty: float

    def valued(self, tables: BothTables) -> ValuedRows:
        """Return the values of all training rows."""
        drawn = drawn_rows(tables.n_train, tables.n_features, tables.n_classes)
        with one_thread():
            head = fit_head(*tables.some(drawn), tables.n_classes, self.penalty)
            aim = gradient_total(head, [tables.points]) / len(tables.points[1])

            def product(v: Float64s) -> Float64s:
                told = tables.passed(HessianPass(head, v))
                return sum((one["total"] for one in told), np.zeros_like(v)) / tables.n_train + self.penalty * v

            direction, gap, n_steps = solved(product, aim, GAP, MOST_STEPS)
            values = np.concatenate([one["values"] for one in tables.passed(AlongPass(head, direction))])
            values /= tables.n_train
        return ValuedRows(values, [_head_finding(head), _gap_finding(gap, n_steps)])


@dataclass(frozen=True)
class HeadDirection:
    """A ``direction`` (n_classes, n_features + 1) in the weights of a ``head``, along which passes look."""

    head: SoftmaxHead
    direction: Float64s

    def arrays(self) -> Arrays:
        """Return it as arrays by name, for who works elsewhere."""
        told = {name: np.asarray(getattr(self.head, name), np.float64) for name in ("weights", "center", "scale")}
        return {**told, "direction": self.direction}

    @classmethod
    def of_arrays(cls, told: Mapping[str, Float64s]) -> Self:
        """Return what `arrays` has told; of the head's training nothing is known."""
        head = SoftmaxHead(told["weights"], told["center"], float(told["scale"]), 0, 0, np.nan, np.nan)
        return cls(head, told["direction"])


@dataclass(frozen=True)
class HessianPass(HeadDirection):
    """A row pass that adds up the rows' part in the product of the Hessian with the direction, ``total``."""

    task: ClassVar[str] = "hessian"
    told: ClassVar[tuple[str, ...]] = ("total",)

    def answer(self, pieces: Iterable[AnyPiece]) -> Arrays:
        """Return the total of a stretch."""
        return {"total": hessian_total(self.head, pieces, self.direction)}


@dataclass(frozen=True)
class AlongPass(HeadDirection):
    """A row pass that tells g·direction of each row, ``values``."""

    task: ClassVar[str] = "along"
    told: ClassVar[tuple[str, ...]] = ("values",)

    def answer(self, pieces: Iterable[AnyPiece]) -> Arrays:
        """Return the values of a stretch."""
        return {"values": along(self.head, pieces, self.direction)}


def residuals(head: SoftmaxHead, features: Float64s, codes: Int32s) -> Float64s:
    """Return p - 1 at the row's class, (n, n_classes); times the features, it is the gradient."""
    logs, rows = head.log_probabilities(features), np.arange(len(codes))
    found: Float64s = np.exp(logs)
    found[rows, codes] = np.expm1(logs[rows, codes])  # p - 1 without cancellation
    return found


def gradient_total(head: SoftmaxHead, pieces: Iterable[AnyPiece]) -> Float64s:
    """Return the sum of the gradients of all rows, (n_classes, n_features + 1)."""
    total = np.zeros_like(head.weights)
    for features, codes in _tiles(head, pieces):
        total += residuals(head, features, codes).T @ features
    return total


def hessian_total(head: SoftmaxHead, pieces: Iterable[AnyPiece], v: Float64s) -> Float64s:
    """Return the product of ``v`` with the Hessian of the rows' losses, added up; no Hessian is written.

    The part of a row with features f and probabilities p is (diag p - p pᵀ) ⊗ f fᵀ.
    """
    total = np.zeros_like(v)
    for features, _ in _tiles(head, pieces):
        shares, moved = np.exp(head.log_probabilities(features)), features @ v.T
        moved -= np.einsum("nc,nc->n", shares, moved)[:, None]
        total += (shares * moved).T @ features
    return total


def along(head: SoftmaxHead, pieces: Iterable[AnyPiece], direction: Float64s) -> Float64s:
    """Return g·direction of all rows, in their order."""
    found = [
        np.einsum("nc,nc->n", residuals(head, features, codes), features @ direction.T)
        for features, codes in _tiles(head, pieces)
    ]
    return np.concatenate(found)


def _tiles(head: SoftmaxHead, pieces: Iterable[AnyPiece]) -> Iterator[tuple[Float64s, Int32s]]:
    """Yield features and classes of the rows, one tile at a time."""
    for x, codes, *_ in pieces:
        for start in range(0, len(x), TILE_ROWS):
            here = slice(start, start + TILE_ROWS)
            yield head.features(x[here]), codes[here]


def _head_finding(head: SoftmaxHead) -> Finding:
    meaning = f"steepest slope of the head's loss, {head.loss:.3g} after {head.n_steps} steps on {head.n_rows} rows"
    return Finding("head", "pass" if head.slope <= FLAT_SLOPE else "warn", head.slope, FLAT_SLOPE, meaning)


def _gap_finding(gap: float, n_steps: int) -> Finding:
    meaning = f"what conjugate gradients leave of the validation rows' gradient after {n_steps} products"
    return Finding("solution", "pass" if gap <= GAP else "warn", gap, GAP, meaning)
