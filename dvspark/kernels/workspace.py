"""Workspace: arrays that one chunk after the other uses again, since fresh ones cost their page faults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

# Of an array's bytes one in so many is reserved beyond them. Chunks differ by some 20 % of their points.
SPARE_SHARE = 4


class Workspace:
    """Named arrays that are kept between uses; not for two threads at once.

    The memory of each name is that of the largest array asked for, 8 N bytes for an (N,) float64.
    """

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the array of that name, its content being whatever it held."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._kept or self._kept[name].nbytes < n_bytes:
            self._kept.pop(name, None)  # before the larger one is there: both together might not fit
            # A chunk with a few more points fits in what the last one had: pages that nobody touches take no memory.
            self._kept[name] = np.empty(n_bytes + n_bytes // SPARE_SHARE, np.uint8)
        return self._kept[name][:n_bytes].view(dtype).reshape(shape)

    def clear(self, *, but: str | None = None) -> None:
        """Let go of all arrays, or all but one, to make room for others."""
        self._kept = {name: array for name, array in self._kept.items() if name == but}
