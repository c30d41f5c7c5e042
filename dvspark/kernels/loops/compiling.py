"""Compiling: how loops become machine code, and which machine code of an earlier process is still theirs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])

# No bounds checks, no threads: Spark gives a task its cores.
ALIKE: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# A loop that makes no array needs no reference counts, which cost more than a short step of a loop itself: where rows
# in doubt are listed, 50 µs in place of 25.
UNCOUNTED: dict[str, Any] = {**ALIKE, "_nrt": False}


def compiled(loop: Loop) -> Loop:
    """Compile a loop. No fastmath: a sum keeps its order."""
    return _kept(loop, ALIKE)


def borrowing(loop: Loop) -> Loop:
    """Compile a loop that makes no arrays."""
    return _kept(loop, UNCOUNTED)


def reordered(loop: Loop) -> Loop:
    """Compile a loop whose sums may change their order, so that they become SIMD instructions."""
    return _kept(loop, {**ALIKE, "fastmath": {"reassoc"}})


def inlined(step: Loop) -> Loop:
    """Compile a step into its callers, for what they do so often that a call would show."""
    compiled_step: Loop = numba.njit(inline="always", **UNCOUNTED)(step)
    return compiled_step


def _kept(loop: Loop, options: dict[str, Any]) -> Loop:
    """Compile a loop, or take the machine code that a process with the same sources has left in Numba's cache.

    Numba itself looks at the loop's file alone. But what a loop takes from other modules, constants and other loops, is
    part of its machine code: with another number of bins, that of an earlier version wrote beyond its arrays.
    """
    loop.__qualname__ += f"_{_sources_digest()}"  # from which Numba makes the name of the file
    compiled_loop: Loop = numba.njit(cache=True, **options)(loop)
    return compiled_loop


@functools.cache
def _sources_digest() -> str:
    """Return a digest of the sources of all kernels. Cost: 5 ms."""
    digest = hashlib.sha256()
    for source in _sources(files("dvspark.kernels")):
        digest.update(hashlib.sha256(source).digest())
    return digest.hexdigest()[:16]


def _sources(package: Traversable) -> Iterator[bytes]:
    for entry in sorted(package.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.name.endswith(".py"):
            yield entry.read_bytes()
