"""Product speed: exact products of int8 numbers, and whether this processor has them faster than float32 products."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from types import ModuleType

import numpy as np

from dvspark.kernels.distances.quantized import MOST_FEATURES, quantize
from dvspark.schemas import Int8s, Int32s

# "float32" takes these products even where int8 is faster; "int8" the others even where they are not, for tests.
CHOICE_VARIABLE = "DVSPARK_PRODUCTS"

# Multiplications of a trial product, about a millisecond; trials, of which the fastest counts; and how many times as
# fast int8 must be, since it leaves more rows in doubt.
TRIAL_PRODUCTS = 2**25
TRIALS = 5
LEAST_GAIN = 1.2
# float32 sums of so many products of two codes are exact: 1,024 × 127² < 2^24.
EXACT_FEATURES = 1_024


def integer_products(codes: Int8s, others: Int8s, out: Int32s) -> None:
    """Fill ``out`` (n, n_others) int32 with the exact products of ``codes`` (n, D) and ``others`` (n_others, D).

    ``out`` is contiguous. By NumKong if it is installed, else by float32 products, which are exact but slower than
    those of the rows themselves. Cost: n n_others D operations; a copy of ``others``.
    """
    library = numkong()
    if library is not None:
        library.dots_packed(codes, library.dots_pack(others), out=library.from_dlpack(out))
        return
    out[:] = 0
    for start in range(0, codes.shape[1], EXACT_FEATURES):
        here = slice(start, start + EXACT_FEATURES)
        out += (codes[:, here].astype(np.float32) @ others[:, here].astype(np.float32).T).astype(np.int32)


def int8_is_faster(n_points: int, n_features: int) -> bool:
    """Return whether int8 products of so many points pay, quantizing of training rows included.

    Results do not depend on it. Cost: some 10 milliseconds, once in a process for each number of points in powers of
    two.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "")
    if choice == "float32" or n_features > MOST_FEATURES:
        return False
    if choice == "int8":
        return True
    return numkong() is not None and gain(1 << (n_points - 1).bit_length(), n_features) >= LEAST_GAIN


@functools.cache
def numkong() -> ModuleType | None:
    """Return NumKong if it is installed and its products of the largest codes are exact on this processor."""
    try:
        library = import_module("numkong")
    except ImportError:
        return None
    rng = np.random.default_rng(0)
    codes, others = (rng.choice(np.array([-127, -126, 127], np.int8), (n, 1_000)) for n in (67, 131))
    codes[0], others[0] = 127, -127
    found = np.empty((67, 131), np.int32)
    library.dots_packed(codes, library.dots_pack(others), out=library.from_dlpack(found))
    return library if np.array_equal(found, codes.astype(np.int32) @ others.T.astype(np.int32)) else None


@functools.cache
def gain(n_points: int, n_features: int) -> float:
    """Return how many times as fast int8 products are as float32 products."""
    n_rows = max(TRIAL_PRODUCTS // (n_points * n_features), 16)
    rng = np.random.default_rng(0)
    rows, points = rng.random((n_rows, n_features), np.float32), rng.random((n_points, n_features), np.float32)
    of_rows, of_points = np.empty(rows.shape, np.int8), np.empty(points.shape, np.int8)
    quantize(points, of_points)
    room = np.empty((n_points, n_rows), np.float32)

    def by_int8() -> None:
        quantize(rows, of_rows)
        integer_products(of_points, of_rows, room.view(np.int32))

    return _fastest(lambda: np.matmul(points, rows.T, out=room)) / _fastest(by_int8)


def _fastest(work: Callable[[], object]) -> float:
    work()  # compiles, and touches the memory
    found = []
    for _ in range(TRIALS):
        begin = perf_counter()
        work()
        found.append(perf_counter() - begin)
    return min(found)
