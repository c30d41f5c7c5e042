"""Decision 0019: packed rows sorted digit by digit, and by NumPy's sort for each kind of processor."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bench.decisions import cpu_seconds, print_machine

import numba  # isort: skip
import numpy as np  # isort: skip

from dvspark.kernels.loops import compiled_ranks

SIZES = (5_000, 30_000, 50_000, 200_000, 1_500_000)
DIGITS = (8, 11, 12, 13, 14)
RUNS = 9
# NumPy looks for these instructions as it is loaded; without them its sort is the one for AVX2.
WITHOUT_AVX512 = {"NPY_DISABLE_CPU_FEATURES": "AVX512_SPR AVX512_ICL X86_V4 AVX512_SKX"}


def packed_rows(n: int, kind: str) -> np.ndarray:
    """Return rows as `pack` makes them: of squared distances in 256 dimensions, or of products around zero."""
    rng = np.random.default_rng(0)
    keys = rng.standard_normal(n) if kind == "products" else 2.0 * rng.chisquare(256, n)
    packed = np.empty(n, np.uint64)
    compiled_ranks.pack(keys.astype(np.float32), np.zeros(n, np.bool_), packed)
    return packed


def nanoseconds_of_numpy(n: int, kind: str) -> float:
    """Return the CPU nanoseconds a row of NumPy's sort."""
    rows = packed_rows(n, kind)
    packed = rows.copy()

    def sort() -> None:
        packed[:] = rows
        packed.sort()

    return 1e9 * cpu_seconds(sort, RUNS) / n


def nanoseconds_of_digits(n: int, kind: str, bits: int) -> float:
    """Return the CPU nanoseconds a row of the sort by digits of so many bits."""
    compiled_ranks.DIGIT_BITS = bits
    sort_packed = numba.njit(nogil=True, error_model="numpy")(compiled_ranks.sort_packed.py_func)
    rows = packed_rows(n, kind)
    packed, spare, expected = rows.copy(), np.empty_like(rows), np.sort(rows)

    def sort() -> None:
        packed[:] = rows
        sort_packed(packed, spare)

    seconds = cpu_seconds(sort, RUNS)
    if not np.array_equal(packed, expected):
        raise RuntimeError("sorted by digits, rows are in another order than NumPy's")
    return 1e9 * seconds / n


def main(arguments: list[str]) -> int:
    """Print one line a size and kind of keys; called with a size and a kind, NumPy's nanoseconds alone."""
    if arguments:
        print(nanoseconds_of_numpy(int(arguments[0]), arguments[1]))
        return 0
    print_machine()
    print("| rows | keys | NumPy | NumPy without AVX-512 | " + " | ".join(f"{bits} bits" for bits in DIGITS) + " |")
    for kind in ("distances", "products"):
        for n in SIZES:
            command = [sys.executable, "-m", "tests.bench.decisions.digit_sort", str(n), kind]
            told = subprocess.run(command, env={**os.environ, **WITHOUT_AVX512}, check=True, capture_output=True)
            times = [nanoseconds_of_numpy(n, kind), float(told.stdout)]
            times += [nanoseconds_of_digits(n, kind, bits) for bits in DIGITS]
            print(f"| {n:,} | {kind} | " + " | ".join(f"{ns:.1f}" for ns in times) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
