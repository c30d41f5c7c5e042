"""Workspace: arrays that are used again for one chunk after the other, because fresh arrays cost page faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Made = TypeVar("Made")

# One byte in so many is reserved beyond an array's bytes. Chunks differ by some 20 % of their points.
SPARE_SHARE = 4


class Workspace:
    """Named arrays that are kept between uses. Two threads must not use one workspace at the same time.

    Each name keeps the memory of the largest array asked for under it, 8 N bytes for an (N,) float64.
    """

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[np.uint8]] = {}
        # Most arrays are asked for again unchanged. Finding the view takes a fifth of the time of making it.
        self._views: dict[str, tuple[tuple[int, ...], npt.DTypeLike, npt.NDArray[Any]]] = {}
        self._made: dict[str, tuple[Hashable, Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the array of that name; its content is whatever it had before."""
        known = self._views.get(name)
        if known is not None and known[0] == shape and known[1] is dtype:
            return known[2]
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._kept or self._kept[name].nbytes < n_bytes:
            # The smaller array is dropped before the larger one is made, because both together might not fit.
            known = None
            self._views.pop(name, None)
            self._kept.pop(name, None)
            # A chunk with a few more points fits in what the last one had: pages that nobody touches take no memory.
            self._kept[name] = np.empty(n_bytes + n_bytes // SPARE_SHARE, np.uint8)
        view = self._kept[name][:n_bytes].view(dtype).reshape(shape)
        self._views[name] = shape, dtype, view
        return view

    def made(self, name: str, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what ``make`` returns, which it is not asked for again as long as the ``key`` is the same."""
        known = self._made.get(name)
        if known is None or known[0] != key:
            known = None
            self._made.pop(name, None)  # before the next one is made, because both together might not fit
            self._made[name] = known = (key, make())
        found: Made = known[1]
        return found

    def clear(self, *, but: str | None = None) -> None:
        """Drop all that is kept, or all but the array named ``but``, to make room for others."""
        self._made = {}
        self._kept = {name: array for name, array in self._kept.items() if name == but}
        self._views = {name: view for name, view in self._views.items() if name == but}
