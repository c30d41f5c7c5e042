"""Decision 0028: how many numbers of a product have other bits by two threads than by one.

Each product is computed in processes of its own: the threads of a BLAS are counted when it is loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from tests.bench.decisions import print_machine

# Points, training rows and features of a product: those of a tile, and smaller ones.
SHAPES = ((256, 4_096, 64), (256, 1_400, 64), (141, 1_400, 64), (320, 4_096, 512), (1_024, 4_096, 384))
ONE = """
import sys
import numpy as np
m, n, d = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
points, rows = rng.normal(size=(m, d)).astype(np.float32), rng.normal(size=(n, d)).astype(np.float32)
out = np.empty((m, n), np.float32)
np.matmul(points, rows.T, out=out)
sys.stdout.buffer.write(out.tobytes())
"""


def _product(shape: tuple[int, int, int], n_threads: int) -> np.ndarray:
    counted = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads))
    command = [sys.executable, "-c", ONE, *map(str, shape)]
    done = subprocess.run(command, env={**os.environ, **counted}, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32)


def main() -> int:
    """Print for each shape the share of numbers that differ."""
    print_machine()
    print(f"{'points':>6}  {'rows':>6}  {'features':>8}  {'other bits':>10}")
    for shape in SHAPES:
        one, again, two = (_product(shape, n_threads) for n_threads in (1, 1, 2))
        assert np.array_equal(one, again)
        print(f"{shape[0]:>6}  {shape[1]:>6}  {shape[2]:>8}  {np.mean(one != two):>10.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
