"""Decision 0001: the order of float32 keys by sorting packed integers, and by argsort."""

from __future__ import annotations

import sys

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip

SIZES = (50_000, 200_000, 1_500_000)


def pack(keys: np.ndarray) -> np.ndarray:
    """Return one unsigned integer a row: key bits in numeric order, then the row."""
    bits = keys.view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (ordered.astype(np.uint64) << np.uint64(32)) | np.arange(len(keys), dtype=np.uint64)


def packed_order(keys: np.ndarray) -> np.ndarray:
    """Return the rows in order of (key, row), as `kernels.ranking` does it."""
    packed = pack(keys)
    packed.sort()
    return (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


def main() -> int:
    """Print one line a size, in milliseconds of CPU."""
    print_machine()
    names = ("packed", "its sort alone", "argsort, stable", "argsort, default", "default order wrong")
    print(f"{'N':>9}  {'  '.join(f'{name:>19}' for name in names)}")
    for n in SIZES:
        rng = np.random.default_rng(0)
        keys = rng.gamma(64.0, 2.0, n).astype(np.float32)  # like squared distances in 64 dimensions
        stable = np.argsort(keys, kind="stable")
        if not np.array_equal(packed_order(keys), stable):
            raise RuntimeError("packed keys and stable argsort disagree")
        wrong = int(np.count_nonzero(np.argsort(keys) != stable))
        packed_ms = 1e3 * cpu_seconds(lambda keys=keys: packed_order(keys), 7)
        numbers = pack(keys)
        sort_ms = 1e3 * cpu_seconds(lambda numbers=numbers: np.sort(numbers), 7)
        stable_ms = 1e3 * cpu_seconds(lambda keys=keys: np.argsort(keys, kind="stable"), 7)
        default_ms = 1e3 * cpu_seconds(lambda keys=keys: np.argsort(keys), 7)
        taken = "  ".join(f"{ms:>19.1f}" for ms in (packed_ms, sort_ms, stable_ms, default_ms))
        print(f"{n:>9,}  {taken}  {wrong:>14,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
