"""Decision 0023: CPU seconds of writing a run's values, and of the sha256 of their file and of their rows."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip
import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.tables.sinks.contents import values_digest
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.sinks.write import values_table

ROWS = (100_000, 1_500_000)
REPEATS = 3


def main() -> int:
    """Print a line a number of rows: file written, sha256 of it, of rows in id order, of rows in any order."""
    print_machine()
    for n_rows in ROWS:
        print(n_rows, " ".join(f"{taken:.2f}" for taken in _seconds(n_rows)))
    return 0


def _seconds(n_rows: int) -> list[float]:
    rng = np.random.default_rng(0)
    schema = values_schema({"id": "string", "label": "bigint"}, row_bounds=False)
    ids = pa.array([f"row-{row:012d}" for row in range(n_rows)])
    keys = pa.table({"id": ids, "label": rng.integers(0, 10, n_rows)})
    values = values_table("run", keys, rng.normal(size=n_rows), np.abs(rng.normal(size=n_rows)))
    mixed = values.take(rng.permutation(n_rows))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.parquet"
        return [
            _least(lambda: pq.write_table(values, file)),
            _least(lambda: hashlib.sha256(file.read_bytes()).hexdigest()),
            _least(lambda: values_digest("run", values, schema)),
            _least(lambda: values_digest("run", mixed, schema)),
        ]


def _least(what: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        what()
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    sys.exit(main())
