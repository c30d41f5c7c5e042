"""Decision 0027: what it takes a process to check all of an index as it opens it first, and to value a point by it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip
import pyarrow as pa

from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.index.manifest import damaged_files
from dvspark.engine.index.train_index import IndexReference
from dvspark.engine.planning.calibrate import measure
from dvspark.engine.planning.sizes import Sizes
from dvspark.methods.options import ValueOptions

SIZES = ((50_000, 128), (200_000, 256), (500_000, 256))
N_LABELS, N_POINTS, ROWS_AT_ONCE = 10, 64, 50_000


def main() -> int:
    """Print one line a size, in milliseconds of CPU of one process."""
    print_machine()
    print(f"{'N':>9}  {'D':>4}  {'MiB':>6}  {'check ms':>8}  {'point ms':>8}")
    options = ValueOptions(parameters={"k": 10})
    for n_train, n_features in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            reference = _index(Path(folder), n_train, n_features)
            check = 1e3 * cpu_seconds(lambda r=reference: damaged_files(Path(r.directory), r.digest), 3)
            sizes = Sizes(n_train, N_POINTS, n_features)
            point = 1e3 * measure(sizes, options, n_labels=N_LABELS, points=N_POINTS).seconds(n_train)
            print(f"{n_train:>9,}  {n_features:>4}  {reference.n_bytes / 2**20:>6.0f}  {check:>8.0f}  {point:>8.1f}")
    return 0


def _index(folder: Path, n_train: int, n_features: int) -> IndexReference:
    rng, writer = np.random.default_rng(0), IndexWriter(folder / "index", n_train, n_features, "float32")
    for first in range(0, n_train, ROWS_AT_ONCE):
        ids = np.arange(first, min(n_train, first + ROWS_AT_ONCE))
        keys = pa.table({"id": ids, "label": rng.integers(0, N_LABELS, len(ids))})
        writer.append(rng.standard_normal((len(ids), n_features), np.float32), keys)
    return writer.finish("euclidean")


if __name__ == "__main__":
    sys.exit(main())
