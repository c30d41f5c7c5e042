"""The shape of all values in a few hundred numbers: a histogram and the sorted curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

N_BINS = 60
N_CURVE_POINTS = 400

# KNN-Shapley values have long thin tails: over the full range most rows would share one bar.
TAIL_PERCENT = 0.5

# The ends of the curve are the steepest, and an even spacing would skip them.
N_CURVE_END_POINTS = 16

# Values closer together than rounding count as one value. Bins as narrow as that would show noise.
EQUAL_RELATIVE = 1e-12
EQUAL_ABSOLUTE = 1e-300


@dataclass(frozen=True)
class Histogram:
    """Rows per bin: ``edges`` (n_bins + 1,), ``counts`` (n_bins,). If the edges span zero, zero is an edge.

    ``n_left`` and ``n_right`` rows lie beyond the edges.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    n_left: int
    n_right: int


@dataclass(frozen=True)
class Curve:
    """Points of the values from the highest to the lowest; ``positions`` (n_points,) count from 1."""

    positions: tuple[int, ...]
    values: tuple[float, ...]


def histogram(values: npt.NDArray[np.float64]) -> Histogram:
    """Return about 60 equal bins over the values. The thinnest tails are only counted.

    ``values`` (n,) float64, finite, n ≥ 1. Cost O(n).
    """
    low, high = (float(edge) for edge in np.percentile(values, [TAIL_PERCENT, 100 - TAIL_PERCENT]))
    if _are_equal(low, high):
        low, high = float(values.min()), float(values.max())
    if _are_equal(low, high):
        margin = max(abs(low), abs(high)) / 2 or 0.5
        return Histogram((low - margin, high + margin), (len(values),), 0, 0)
    width = (high - low) / N_BINS
    # Whole multiples of the width make zero an edge, so no bar mixes values above zero with values below.
    first, last = int(np.floor(low / width)), int(np.floor(high / width))
    bins = np.floor(np.clip(values / width, first - 1, last + 1)).astype(np.int64)
    bins[(values < 0) & (bins == 0)] = -1
    inside = bins[(bins >= first) & (bins <= last)]
    counts = np.bincount(inside - first, minlength=last - first + 1)
    edges = np.arange(first, last + 2) * width
    return Histogram(
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        n_left=int((bins < first).sum()),
        n_right=int((bins > last).sum()),
    )


def curve(values: npt.NDArray[np.float64]) -> Curve:
    """Return at most 432 points of the values in falling order, both ends complete.

    ``values`` (n,) float64, finite, n ≥ 1, in any order. Cost O(n log n).
    """
    falling = np.sort(values)[::-1]
    n = len(falling)
    even = np.linspace(0, n - 1, min(n, N_CURVE_POINTS)).round().astype(np.int64)
    ends = np.arange(min(n, N_CURVE_END_POINTS))
    picked = np.unique(np.concatenate([even, ends, n - 1 - ends]))
    return Curve(tuple((picked + 1).tolist()), tuple(falling[picked].tolist()))


def _are_equal(low: float, high: float) -> bool:
    return high - low <= max(EQUAL_RELATIVE * max(abs(low), abs(high)), EQUAL_ABSOLUTE)
