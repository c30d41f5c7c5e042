"""The physical plan of one wave of the value job, as Spark explains it: `python -m tests.bench.explain`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from dvspark.demo import DATA
from dvspark.engine.replicated import packing, points, replicated
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.methods.options import ValueOptions
from dvspark.spark.session import open_session

N_CHUNKS = 8


def main() -> int:
    """Print the plan of the demo's wave."""
    n_train = pq.read_metadata(DATA / "train.parquet").num_rows
    with open_session("local[2]", {}) as spark, tempfile.TemporaryDirectory() as folder:
        columns = ("id", "embedding", "label")
        train, validation = (spark.read.parquet(str(DATA / f"{side}.parquet")) for side in ("train", "validation"))
        index = packing.build_index(
            train.select(*columns),
            n_train=n_train,
            n_features=384,
            dtype="float32",
            metric="cosine",
            directory=Path(folder) / "index",
        )
        work = ChunkWork(ValueOptions(metric="cosine"), KnnShapley(10))
        chunks = points.chunked(validation.select(*columns), N_CHUNKS)
        replicated._wave_totals(chunks, [[*range(N_CHUNKS)]], index, work).explain("simple")
    return 0


if __name__ == "__main__":
    sys.exit(main())
