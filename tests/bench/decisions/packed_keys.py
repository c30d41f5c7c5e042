"""Decision 0001: the order of float32 keys by sorting packed integers, and by argsort."""

from __future__ import annotations

import sys

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip

from dvspark.kernels.ranking import ranking
from dvspark.kernels.workspace import Workspace

SIZES = (50_000, 200_000, 1_500_000)


def packed_order(keys: np.ndarray, scratch: ranking.Scratch) -> np.ndarray:
    """Return the rows in order of (key, row), as the kernel does it."""
    ranking.rank_rows(keys, np.zeros(len(keys), np.bool_), scratch)
    return scratch.rows


def main() -> int:
    """Print one line a size, in milliseconds of CPU."""
    print_machine()
    names = ("packed", "NumPy's sort alone", "argsort, stable", "argsort, default", "default order wrong")
    print(f"{'N':>9}  {'  '.join(f'{name:>19}' for name in names)}")
    for n in SIZES:
        rng = np.random.default_rng(0)
        keys = rng.gamma(64.0, 2.0, n).astype(np.float32)  # like squared distances in 64 dimensions
        scratch = ranking.Scratch(n, Workspace())
        stable = np.argsort(keys, kind="stable")
        if not np.array_equal(packed_order(keys, scratch), stable):
            raise RuntimeError("packed keys and stable argsort disagree")
        wrong = int(np.count_nonzero(np.argsort(keys) != stable))
        packed_ms = 1e3 * cpu_seconds(lambda keys=keys, scratch=scratch: packed_order(keys, scratch), 7)
        numbers = np.random.default_rng(1).permutation(scratch.packed)  # what the kernel has sorted, unsorted
        sort_ms = 1e3 * cpu_seconds(lambda numbers=numbers: np.sort(numbers), 7)
        stable_ms = 1e3 * cpu_seconds(lambda keys=keys: np.argsort(keys, kind="stable"), 7)
        default_ms = 1e3 * cpu_seconds(lambda keys=keys: np.argsort(keys), 7)
        taken = "  ".join(f"{ms:>19.1f}" for ms in (packed_ms, sort_ms, stable_ms, default_ms))
        print(f"{n:>9,}  {taken}  {wrong:>14,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
