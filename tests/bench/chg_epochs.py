"""Values during training beside training alone: `python -m tests.bench.chg_epochs`."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.index.train_index import reference_to
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.gradients.course import Course, Training
from dvspark.kernels.gradients.softmax_head import drawn_rows, untrained_head
from dvspark.methods.options import ValueOptions
from dvspark.run.kinds.sums import TrainRows
from dvspark.spark.session import open_session
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.memory import read_rollup
from tests.bench.sharded import python_workers

QUESTION = "What do values in each epoch cost beside the same training without values?"
METHOD = """\
`chg_shapley` with `epochs`: a softmax head on frozen float32 embeddings, packed in an index, by Spark in local mode
with two workers of one BLAS thread each. One process trains without values and with values in turn, from the same
head to the same bits; a ratio is that of the medians. Training reads the rows once an epoch; with values an epoch
adds up two sums and values the rows of the epoch before in the same reading, and one reading comes last. `alpha` is
the mean of the training rows. With `batch_rows` the driver takes the steps and tasks value the rows. Memory:
anonymous memory of one Python worker, looked at twice a second, the most; and the largest resident size of the
driver's Python, mapped rows included."""
MIB = 2**20
SIZES, TINY_SIZES = (1_000_000, 384, 58), (3_000, 8, 3)
# Variant, epochs, rows of a step (None: all), and how often each is run.
WAYS: tuple[tuple[str, int, int | None, int], ...] = (
    ("chg", 4, None, 3),
    ("chg", 1, 8_192, 1),
    ("gradient", 4, None, 1),
    ("hardness", 4, None, 1),
)
LARGEST_RATIO, MOST_WORKER_MIB = 2.0, 256.0
WATCH_SECONDS = 0.5


class WorkerWatch:
    """The most anonymous memory that one of Spark's Python workers below this process had, in bytes."""

    def __init__(self) -> None:
        self.most = 0

    def __call__(self) -> None:
        """Look at all workers once."""
        for pid in python_workers(os.getpid()):
            self.most = max(self.most, read_rollup(pid).get("Anonymous", 0))


def main(tiny: bool = False) -> Result:
    """Train with and without values; about ten minutes, 3 GB of disk and 4 GB of memory."""
    n, d, c = TINY_SIZES if tiny else SIZES
    ways = [(variant, 2, rows and 500, 1) for variant, _, rows, _ in WAYS] if tiny else WAYS
    rows: list[Row] = []
    watch = WorkerWatch()
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        say(f"chg_epochs: writing {n:,} × {d}")
        digest = apart(write_index, folder=folder, n=n, d=d, n_classes=c)
        for variant, epochs, batch_rows, runs in ways:
            given: dict[str, Any] = {"epochs": epochs, "batch_rows": batch_rows, "variant": variant, "runs": runs}
            where: dict[str, Any] = {"folder": folder, "digest": digest, "n_classes": c}
            rows.append(apart(timed, watch=watch, every=WATCH_SECONDS, **where, **given))
            say(f"chg_epochs: {rows[-1]}")
    by_all = [row["ratio"] for row in rows if row["steps by"] == "all"]
    targets = [
        at_most("seconds with values / without, steps by all rows, the worst variant", LARGEST_RATIO, max(by_all)),
        at_most("anonymous memory of a Python worker, MiB", MOST_WORKER_MIB, watch.most / MIB),
    ]
    tables = {
        f"N = {n:,}, D = {d}, {c} classes": rows,
        "Memory": [{"what": "anonymous memory of one Python worker, most", "MiB": watch.most / MIB}],
    }
    return result("chg_epochs", QUESTION, METHOD, targets, tables)


def write_index(folder: str, n: int, d: int, n_classes: int) -> str:
    """Pack rows around the centers of their classes, one label in ten wrong; return the digest of the index."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    centers = rng.standard_normal((n_classes, d), np.float32)
    writer = IndexWriter(Path(folder) / "index", n, d, "float32")
    for start in range(0, n, 50_000):
        true = rng.integers(0, n_classes, min(50_000, n - start))
        x = centers[true] + 2 * rng.standard_normal((len(true), d), np.float32)
        wrong = rng.random(len(true)) < 0.1
        y = np.where(wrong, rng.integers(0, n_classes, len(true)), true)
        writer.append(x, pa.table({"id": np.arange(start, start + len(true)), "label": y}))
    return writer.finish("euclidean").digest


def timed(
    folder: str, digest: str, n_classes: int, epochs: int, batch_rows: int | None, variant: str, runs: int
) -> dict[str, Any]:
    """Return the seconds of training without and with values, in turn, and the most memory of this process."""
    reference = reference_to(Path(folder) / "index", digest)
    given = {"epochs": epochs, "batch_rows": batch_rows, "variant": variant}
    options = ValueOptions("chg_shapley", given, self_validation=True)
    with open_session("local[2]", {}) as spark:
        work = ChunkWork(options, options.resolved(n_classes))
        rows = TrainRows.of(reference, spark.range(1), work)
        drawn, _ = rows.some(drawn_rows(rows.n, reference.n_features, n_classes))
        training = Training(epochs, 1.0, batch_rows)
        course = Course(untrained_head(drawn, n_classes), training, variant, False, rows.n, rows.run, None, rows.some)
        partial(Course.trained, course)()  # workers are there, and the index is in memory
        seconds: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(runs):
            for name, train in (("without", course.trained), ("with", course.valued)):
                begun = time.perf_counter()
                train()
                seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "variant": variant,
        "epochs": epochs,
        "steps by": "all" if batch_rows is None else f"{batch_rows:,}",
        "without values, s": medians["without"],
        "with values, s": medians["with"],
        "ratio": medians["with"] / medians["without"],
        "driver, MiB": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB,
    }


if __name__ == "__main__":
    run(main)
