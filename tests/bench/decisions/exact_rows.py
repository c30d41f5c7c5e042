"""Decision 0007: what exact ranks cost and save on real rows.

The packaged sample by default; `python -m tests.bench.decisions.exact_rows FILE.npz` takes the larger file it
was drawn from.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip
import pyarrow.parquet as pq

import dvspark
from dvspark.columns import embedding_matrix
from dvspark.demo import DATA
from dvspark.kernels import ranking

EXACT_ROWS = (256, 1_024, 4_096)
N_VALIDATION = 64
K = 10

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def packaged_rows() -> Rows:
    """Return the demo's sample: train embeddings and labels, validation embeddings and labels."""
    sides = []
    for name in ("train", "validation"):
        table = pq.read_table(DATA / f"{name}.parquet")
        x = embedding_matrix(table["embedding"].combine_chunks(), np.dtype(np.float32))
        sides += [x, np.array(table["label"].to_pylist())]
    return sides[0], sides[1], sides[2][:N_VALIDATION], sides[3][:N_VALIDATION]


def rows_of_file(path: Path) -> Rows:
    """Return the rows of a file with arrays `X` and `y`; the last of a shuffle validate."""
    with np.load(path, allow_pickle=False) as arrays:
        x, y = arrays["X"].astype(np.float32), arrays["y"]
    order = np.random.default_rng(7).permutation(len(x))
    train, validation = order[:-N_VALIDATION], order[-N_VALIDATION:]
    return x[train], y[train], x[validation], y[validation]


def main() -> int:
    """Print one line a metric and number of exact rows."""
    print_machine()
    rows = rows_of_file(Path(sys.argv[1])) if len(sys.argv) > 1 else packaged_rows()
    print(f"{len(rows[0]):,} rows of {rows[0].shape[1]} features, {N_VALIDATION} points, k = {K}")
    print(f"{'metric':<10}  {'exact rows':>10}  {'ms a point':>10}  {'error, one point':>16}  {'error, mean':>11}")
    shipped = ranking.EXACT_ROWS
    for metric in ("euclidean", "cosine"):
        exact = np.stack([one_point(rows, point, metric, "float64") for point in range(N_VALIDATION)])
        for n_exact in EXACT_ROWS:
            ranking.EXACT_ROWS = n_exact
            single = np.stack([one_point(rows, point, metric, "default") for point in range(N_VALIDATION)])
            seconds = cpu_seconds(lambda metric=metric: dvspark.value_arrays(*rows, k=K, metric=metric), 3)
            ranking.EXACT_ROWS = shipped
            worst, mean = np.abs(single - exact).max(), np.abs((single - exact).mean(axis=0)).max()
            print(f"{metric:<10}  {n_exact:>10,}  {1e3 * seconds / N_VALIDATION:>10.2f}  {worst:>16.1e}  {mean:>11.1e}")
    return 0


def one_point(rows: Rows, point: int, metric: str, precision: str) -> np.ndarray:
    """Return the values by one validation point."""
    x, y, z, y_z = rows
    here = slice(point, point + 1)
    return dvspark.value_arrays(x, y, z[here], y_z[here], k=K, metric=metric, precision=precision)


if __name__ == "__main__":
    sys.exit(main())
