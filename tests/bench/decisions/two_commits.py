"""Decision 0031: the kernel beside that of another commit: `python -m tests.bench.decisions.two_commits CHECKOUT`.

CHECKOUT is a folder with the other commit, such as one that `git worktree add CHECKOUT 6b12412` has made.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.decisions import print_machine

SHAPES = (
    (50_000, 256, 1_000, "sorted"),
    (200_000, 512, 256, "binned"),
    (1_500_000, 256, 256, "binned"),
)
TURNS = 9
HERE = Path(__file__).parents[3]
# What both commits have had in `tests.bench.kernel` since the first of them.
WORKER = """
import sys, time
import numpy as np
from tests.bench.kernel import ranked_partial
n, d, m, ranking = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rng = np.random.default_rng(0)
x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32)
value = ranked_partial(x, rng.integers(0, 10, n), z, rng.integers(0, 10, m), ranking)
value()
for _ in sys.stdin:
    begun = time.process_time()
    value()
    print(time.process_time() - begun, flush=True)
"""


def main(other: str) -> int:
    """Print CPU milliseconds a point of both commits, in two processes that take turns, and the ratio of each pair."""
    print_machine()
    print("N, D, M, ranking: other, ms; here, ms; here / other: median, least, most of the pairs; load")
    for shape in SHAPES:
        workers = {name: _worker(folder, shape) for name, folder in (("other", Path(other)), ("here", HERE))}
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(TURNS):
            for name in sorted(workers, reverse=bool(turn % 2)):
                seconds[name].append(_valued(workers[name]))
        ratios = sorted(here / there for here, there in zip(seconds["here"], seconds["other"], strict=True))
        least = {name: 1e3 * min(of) / shape[2] for name, of in seconds.items()}
        told = f"{statistics.median(ratios):.3f}, {ratios[0]:.3f}, {ratios[-1]:.3f}; {os.getloadavg()[0]:.1f}"
        print(f"{shape}: {least['other']:.3f}; {least['here']:.3f}; {told}", flush=True)
        for worker in workers.values():
            worker.communicate()
    return 0


def _worker(folder: Path, shape: tuple[int, int, int, str]) -> Any:
    one = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "NUMBA")}
    environment = {**os.environ, **one, "PYTHONPATH": str(folder)}
    words = [sys.executable, "-c", WORKER, *map(str, shape)]
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _valued(worker: Any) -> float:
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
