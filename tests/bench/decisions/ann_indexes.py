"""Decision 0011: approximate indexes against the exact search, for the k* nearest of 200,000 rows of 64 features.

Rows lie around 1,000 centers. Each line: what a build took, in exact searches of a point for k* 200; bytes a row; what
a search took, in exact ones; how many of the k* nearest rows it found.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from unittest import mock

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip
from dvspark.engine.index import search
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.nearest import nearest
from dvspark.kernels.nearest.nearest import nearest_points
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, TrainArrays, TrainLabels

N_TRAIN, N_FEATURES, N_POINTS = 200_000, 64, 320
K_STAR = (200, 1_000)
OPTIONS = RankingOptions("euclidean", "default", "id", 10)
FACTORIES = ("Flat", "IVF256,Flat", "IVF1024,Flat", "IVF1024,SQ8", "IVF1024,PQ16", "SQ8", "HNSW32", "LSH")
# What was tried around the constants: of IVF1024,SQ8 how many lists, of the rest how many candidates.
SHARES = ((1 / 128, 4), (1 / 64, 8), (1 / 16, 32))
CANDIDATES = (1, 2, 4, 8)


def main() -> int:
    """Print a line an index, then lines for other constants."""
    print_machine()
    train, chunk = _rows()
    exact = {m: _search(train, chunk, m) for m in K_STAR}
    one = {m: seconds / N_POINTS for m, (seconds, _) in exact.items()}
    print(f"exact search of a point, CPU ms: {', '.join(f'k* {m:,}: {1e3 * one[m]:.2f}' for m in K_STAR)}")
    for factory in FACTORIES:
        with tempfile.TemporaryDirectory() as folder:
            before = time.process_time()
            search.write_ann(train, factory, "euclidean", Path(folder))
            built = time.process_time() - before
            size = (Path(folder) / search.FILE).stat().st_size / N_TRAIN
            approximate = search.with_search(train, "euclidean", Path(folder))
        print(f"{factory:>14}: build {built / one[K_STAR[0]]:7.0f}, {size:4.0f} bytes a row", end="")
        print("; " + "; ".join(_line(approximate, chunk, m, exact[m]) for m in K_STAR), flush=True)
        for module, changed in _others(factory):
            with mock.patch.multiple(module, **changed):
                text = "; ".join(_line(approximate, chunk, m, exact[m]) for m in K_STAR)
            print(f"{'':>14}  {changed}: {text}", flush=True)
    return 0


def _others(factory: str) -> list[tuple[ModuleType, dict[str, float]]]:
    """Return other constants to try."""
    if factory == "IVF1024,SQ8":
        return [(search, {"SHARE_OF_LISTS": share, "ROWS_READ_PER_ROW": rows}) for share, rows in SHARES]
    return [(nearest, {"SEARCHED_PER_ROW": n}) for n in CANDIDATES] if factory in ("SQ8", "HNSW32", "LSH") else []


def _rows() -> tuple[TrainArrays, ChunkArrays]:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((1_000, N_FEATURES), np.float32)
    places = rng.integers(0, len(centers), N_TRAIN + N_POINTS)
    x = centers[places] + np.float32(0.7) * rng.standard_normal((len(places), N_FEATURES), np.float32)
    train = prepare(x[:N_TRAIN], TrainLabels(places[:N_TRAIN].astype(np.int32) % 10), "euclidean")
    return train, ChunkArrays(x[N_TRAIN:], [np.zeros(1, np.int32)] * N_POINTS)


def _search(train: TrainArrays, chunk: ChunkArrays, m: int) -> tuple[float, list[np.ndarray]]:
    """Return the CPU seconds of all points, and the rows found."""
    before = time.process_time()
    found = [near.rows for near in nearest_points(train, chunk, OPTIONS, m, Workspace())]
    return time.process_time() - before, found


def _line(train: TrainArrays, chunk: ChunkArrays, m: int, exact: tuple[float, list[np.ndarray]]) -> str:
    seconds, found = _search(train, chunk, m)
    hits = sum(len(np.intersect1d(rows, others)) for rows, others in zip(found, exact[1], strict=True))
    return f"k* {m:5,}: search {seconds / exact[0]:5.2f}, recall {hits / (m * chunk.n_validation):.3f}"


if __name__ == "__main__":
    sys.exit(main())
