"""Decision 0017: who reads the training rows, how tasks are talked to, how the index is written.

200,000 normal rows of 512 features, local[2]; each kind of socket in a process of its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.engine.index.index_writing import IndexWriter, RowFile, place_rows
from dvspark.engine.replicated import packing
from dvspark.schemas import PLACES, TALLY
from dvspark.spark.session import SOCKET, open_session
from dvspark.tables.row_checks import RowChecks, tally_rows
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows
from tests.bench.decisions import print_machine
from tests.bench.frame import apart
from tests.bench.jobs import run_jobs, write_tables

N_TRAIN, N_FEATURES, N_POINTS = 200_000, 512, 2_048
PASSES, ROUNDS, TASKS, JOBS = 4, 2, 200, 4
SOCKETS = {"a port": "false", "a file": "true"}

Batches = Iterator[pa.RecordBatch]


def main() -> int:
    """Print seconds of each pass, of empty tasks and jobs by socket, and of writing the index and the values."""
    print_machine()
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder, N_TRAIN, N_FEATURES, N_POINTS)
        for what, passes in apart(pass_seconds, folder=folder).items():
            print(f"pass, {what}: {_listed(passes)} s")
        for name, told in [*SOCKETS.items()] * ROUNDS:
            jobs = apart(run_jobs, folder=folder, master="local[2]", jobs=[{}] * JOBS, conf={SOCKET: told})
            print(f"jobs, through {name}: {_listed([job['job_seconds'] for job in jobs])} s")
            print(f"{TASKS} empty tasks, through {name}: {_listed(apart(empty_tasks, socket=told))} s")
        for what, seconds in written(Path(folder)).items():
            print(f"400 MB of rows, {what}: {_listed(seconds)} s")
        print(f"values of {N_TRAIN:,} rows, by Spark, by pyarrow: {_listed(apart(values_written, folder=folder))} s")
    return 0


def pass_seconds(folder: str) -> dict[str, list[float]]:
    """Return the seconds of each kind of pass over all training rows, one after the other."""
    with tempfile.TemporaryDirectory(dir=folder) as place, open_session("local[2]", {}) as spark:
        by_arrow = read_rows(spark, "train", TableReference(f"{folder}/train.parquet"))
        assert isinstance(by_arrow, Rows)
        assert by_arrow.files is not None
        by_spark = replace(by_arrow, files=None)
        directory, checks = Path(place) / "index", RowChecks("euclidean", "default")
        keys = packing.sorted_keys(by_spark.frame, N_TRAIN)
        IndexWriter(directory, N_TRAIN, N_FEATURES, "float32").write_keys(keys)

        def counted(batches: Batches) -> Batches:
            yield pa.RecordBatch.from_pydict({"n": pa.array([sum(len(batch) for batch in batches)])})

        kinds: dict[str, tuple[Callable[[Batches], Batches], list[str], str]] = {
            "rows reach Python": (counted, ["id", "embedding", "label"], "n long"),
            "and are checked": (lambda batches: tally_rows(batches, checks), list(by_arrow.types), TALLY.ddl()),
            "and are written to their places": (
                lambda batches: place_rows(batches, directory),
                ["id", "embedding"],
                PLACES.ddl(),
            ),
        }
        return {
            f"{what}, by {name}": [_seconds(rows.map_batches(*kind).toArrow) for _ in range(PASSES)]
            for what, kind in kinds.items()
            for name, rows in (("Spark", by_spark), ("Arrow", by_arrow))
        }


def empty_tasks(socket: str) -> list[float]:
    """Return the seconds of jobs of tasks that take rows and do nothing."""

    def nothing(batches: Batches) -> Batches:
        yield from (batch.slice(0, 0) for batch in batches)

    with open_session("local[2]", {SOCKET: socket}) as spark:
        tasks = spark.range(0, TASKS, 1, TASKS).mapInArrow(nothing, "id long")
        return [_seconds(tasks.toArrow) for _ in range(PASSES)]


def written(folder: Path) -> dict[str, list[float]]:
    """Return the seconds of writing rows in pieces of 2,000 to a new index, mapped or not, in turns."""
    x = np.random.default_rng(0).standard_normal((2_000, N_FEATURES), np.float32)
    found: dict[str, list[float]] = {"through a mapping": [], "to the file": []}
    for number in range(PASSES):
        for what, seconds in found.items():
            directory = folder / f"{what} {number}"
            IndexWriter(directory, N_TRAIN, N_FEATURES, "float32")
            begun = time.monotonic()
            mapped = np.lib.format.open_memmap(directory / "x.npy", mode="r+")
            with RowFile(directory) as file:
                for start in range(0, N_TRAIN, len(x)):
                    if what == "to the file":
                        file.write(np.arange(start, start + len(x)), x)
                    else:
                        mapped[start : start + len(x)] = x
            seconds.append(time.monotonic() - begun)
            (directory / "x.npy").unlink()
    return found


def values_written(folder: str) -> list[float]:
    """Return the seconds in which Spark, and pyarrow, write values that are in this process; of each the third time."""
    rng = np.random.default_rng(0)
    values = pa.table({"id": np.arange(N_TRAIN), "value": rng.random(N_TRAIN), "rank": rng.permutation(N_TRAIN)})
    with tempfile.TemporaryDirectory(dir=folder) as place, open_session("local[2]", {}) as spark:

        def by_spark() -> None:
            spark.createDataFrame(values).coalesce(1).write.mode("overwrite").parquet(f"{place}/spark")

        def by_pyarrow() -> None:
            pq.write_table(values, f"{place}/values.parquet")

        return [[_seconds(write) for _ in range(3)][-1] for write in (by_spark, by_pyarrow)]


def _listed(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in seconds)


def _seconds(step: Callable[[], Any]) -> float:
    begun = time.monotonic()
    step()
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
