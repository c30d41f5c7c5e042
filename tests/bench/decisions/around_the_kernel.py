"""Decision 0016: what surrounds the kernel: garbage of workers, Java's collector, passes over the training rows.

200,000 normal rows of 512 features, local[2]. Each collector and the passes in a process of their own.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dvspark.engine import packing, worker
from dvspark.engine.index_writing import IndexWriter, place_rows
from dvspark.engine.session import COLLECTOR, LOCAL_CONF, open_session
from dvspark.kernels import loops
from dvspark.schemas import PLACES, TALLY
from dvspark.tables.row_checks import ROW_HASH, RowChecks, tally_rows
from tests.bench.decisions import print_machine
from tests.bench.frame import apart
from tests.bench.jobs import run_jobs, write_tables

N_TRAIN, N_FEATURES, N_POINTS = 200_000, 512, 2_048
JOBS, PASSES, ROUNDS = 3, 4, 2
COLLECTORS = {"Java's own choice": "-XX:+UseG1GC", "parallel": COLLECTOR}

Batches = Iterator[pa.RecordBatch]


def main() -> int:
    """Print milliseconds of a search for garbage, seconds of jobs by collector in turns, and seconds of each pass."""
    print_machine()
    for what, milliseconds in searches().items():
        print(f"search for garbage, {what}: {milliseconds:.1f} ms")
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder, N_TRAIN, N_FEATURES, N_POINTS)
        for name, option in [*COLLECTORS.items()] * ROUNDS:
            java = {"spark.driver.extraJavaOptions": f"{LOCAL_CONF['spark.driver.extraJavaOptions']} {option}"}
            jobs = apart(run_jobs, folder=folder, master="local[2]", jobs=[{}] * JOBS, conf=java)
            print(f"jobs, collector {name}: {_listed([job['job_seconds'] for job in jobs])} s")
        for what, passes in apart(pass_seconds, folder=folder).items():
            print(f"pass, {what}: {_listed(passes)} s")
    return 0


def searches() -> dict[str, float]:
    """Return the CPU milliseconds of a search with what a worker has loaded, before and after it is ready."""
    loops.fastest()
    found = {}
    for what in ("all that is loaded", "a worker that is ready"):
        if what == "a worker that is ready":
            worker.get_ready()
        gc.collect()
        begun = time.process_time()
        gc.collect()
        found[what] = 1e3 * (time.process_time() - begun)
    return found


def pass_seconds(folder: str) -> dict[str, list[float]]:
    """Return the seconds of each kind of pass over all training rows, one after the other."""
    with tempfile.TemporaryDirectory(dir=folder) as place, open_session("local[2]", {}) as spark:
        rows = spark.read.parquet(f"{folder}/train.parquet")
        hashed = rows.selectExpr("*", f"xxhash64(id, embedding, label) AS {ROW_HASH}")
        directory, checks = Path(place) / "index", RowChecks("euclidean", "default", with_owners=False)
        IndexWriter(directory, N_TRAIN, N_FEATURES, "float32").write_keys(packing.sorted_keys(rows, N_TRAIN))

        def counted(batches: Batches) -> Batches:
            yield pa.RecordBatch.from_pydict({"n": pa.array([sum(len(batch) for batch in batches)])})

        def written(batches: Batches) -> Batches:
            for batch in batches:
                with (
                    pa.OSFile(f"{place}/{uuid.uuid4().hex}", "wb") as file,
                    pa.ipc.new_stream(file, batch.schema) as out,
                ):
                    out.write_batch(batch)
                yield batch

        kinds: dict[str, Any] = {
            "rows reach Python": rows.mapInArrow(counted, "n long"),
            "and are checked": hashed.mapInArrow(lambda batches: tally_rows(batches, checks), TALLY.ddl()),
            "and are checked and written to files": hashed.mapInArrow(
                lambda batches: tally_rows(written(batches), checks), TALLY.ddl()
            ),
            "and are written to their places": rows.select("id", "embedding").mapInArrow(
                lambda batches: place_rows(batches, directory), PLACES.ddl()
            ),
        }
        return {what: [_seconds(frame) for _ in range(PASSES)] for what, frame in kinds.items()}


def _listed(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in seconds)


def _seconds(frame: Any) -> float:
    begun = time.monotonic()
    frame.toArrow()
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
