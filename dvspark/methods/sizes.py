"""Sizes of a job, as far as what a method costs depends on them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobSizes:
    """The numbers on which the cost of a method depends.

    ``ranking`` is "sorted" or "binned", never "auto"; ``row_bounds`` as in `schemas.Partial`. ``search_bytes`` are
    those of one row in an approximate index. ``n_nearest`` is how many rows a method asks for, unless it asks for all.
    ``n_ranges``: ranges of draws that tasks play, in place of chunks; 0: chunks. ``n_readings``: how often all training
    rows are read, likewise.
    """

    n_train: int
    n_validation: int
    n_features: int
    dtype: str = "float32"
    ties: str = "id"
    ranking: str = "sorted"
    row_bounds: bool = False
    tolerance: float = 1e-8
    search_bytes: int = 0
    n_nearest: int = 0
    n_ranges: int = 0
    n_readings: int = 0

    @property
    def item_bytes(self) -> int:
        """Bytes of one number of an embedding."""
        return 8 if self.dtype == "float64" else 4
