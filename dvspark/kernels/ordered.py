"""Ordered points: what methods see that value rows by their order and more than a match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from dvspark.schemas import Bools, Float64s, Int32s

Asked = TypeVar("Asked")


@dataclass(frozen=True)
class OrderedPoint:
    """One validation point as methods see it that value rows by their order and more than a match.

    All arrays are in rank order, nearest first, (n,): ``matches`` bool; ``targets`` float64 and ``target`` of the
    point, under regression; ``weights`` float64, non-negative; ``owners`` int32 codes 0..n_owners-1. What a method
    does not ask for is None.
    """

    matches: Bools
    targets: Float64s | None = None
    target: float = 0.0
    weights: Float64s | None = None
    owners: Int32s | None = None
    n_owners: int = 0


def given(asked: Asked | None, name: str) -> Asked:
    """Return what a method asks a point for. Raises: ValueError when the point was made without."""
    if asked is None:
        raise ValueError(f"expected {name} in rank order; got None; give OrderedPoint({name}=...)")
    return asked
