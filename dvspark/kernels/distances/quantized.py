"""Quantized rows: eight bits a feature with one step a row, and how much of each row is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.schemas import Float64s, Floats, Int8s

# Sums of so many products of two codes stay within int32.
MOST_FEATURES = 2**17


@dataclass(frozen=True)
class Quantized:
    """Rows as ``codes`` (n, n_features) int8 times their ``steps`` (n,) float64.

    ``losses`` (n,) float64: no less than the norm of what is missing; infinite for a row that has no code.
    """

    codes: Int8s
    steps: Float64s
    losses: Float64s

    def lengths(self) -> Float64s:
        """Return the norms of the rows that the codes stand for, (n,) float64."""
        wide = self.codes.astype(np.float64)
        return self.steps * np.sqrt(np.einsum("ij,ij->i", wide, wide))


def quantize(rows: Floats, codes: Int8s) -> Quantized:
    """Return ``rows`` (n, n_features) float32 quantized into ``codes`` (n, n_features), which are filled. O(n D)."""
    steps, losses = np.empty(len(rows)), np.empty(len(rows))
    loops.fastest().quantize_rows(rows, codes, steps, losses)
    return Quantized(codes, steps, losses)
