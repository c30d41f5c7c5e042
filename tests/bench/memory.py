"""Memory: of Python workers on a cluster, of the driver, and of one kernel: `python -m tests.bench.memory`."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.index.train_index import open_index
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.memory import scratch_bytes
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays
from dvspark.spark.java import find_java_home
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import N_CLASSES, read_arrays, run_jobs, write_tables
from tests.bench.kernel import ranked_partial
from tests.support.standalone_cluster import N_WORKERS, start_cluster

QUESTION = "How much memory do workers, the driver and one kernel take?"
METHOD = """\
Workers: a standalone cluster of two executors × two Python workers on this host; while a job runs, PSS of all their
Python processes (the daemons that fork them included) is read from `/proc/*/smaps_rollup` every 50 ms, and the largest
totals are kept. PSS divides a page by the number of processes that map it, so that a copy of the index in every worker
would count in full. Driver: the largest resident size of a Python driver up to the end of a local
job of few chunks, and up to the end of the next one, of many, in the same process.
Kernel: the largest anonymous memory of a process that values one chunk from a mapped index, beyond what it had
before, against `kernels.memory.scratch_bytes`."""
MIB = 2**20
CLUSTER_SIZES, TINY_CLUSTER_SIZES = (200_000, 512, 1_024), (2_000, 8, 40)
CORES = 2  # of each of the two executors
EXECUTOR_MEMORY = "1g"
DRIVER_SIZES, TINY_DRIVER_SIZES = (200_000, 16, 2_048), (2_000, 8, 64)
CHUNKS, TINY_CHUNKS = (8, 128), (4, 8)
KERNEL_SHAPES = [
    (50_000, 256, "sorted"),
    (200_000, 512, "sorted"),
    (1_500_000, 64, "sorted"),
    (1_500_000, 64, "binned"),
]
TINY_KERNEL_SHAPES = [(3_000, 8, "sorted"), (3_000, 8, "binned")]
# One copy of the index; the rest is for interpreters and what they import.
INDEX_SHARE = 1.15
DRIVER_GROWTH = 1.05
SAMPLE_SECONDS = 0.002
# Workers are looked at so often, which takes time of the cores that they run on: a test looks less often.
WATCH_SECONDS, TINY_WATCH_SECONDS = 0.05, 0.5


def main(tiny: bool = False) -> Result:
    """Measure all three; about four minutes and 4 GB."""
    targets: list[Row] = []
    tables = {
        "Python workers of a cluster": _workers(
            *(TINY_CLUSTER_SIZES if tiny else CLUSTER_SIZES), TINY_WATCH_SECONDS if tiny else WATCH_SECONDS, targets
        ),
        "Driver": _driver(*(TINY_DRIVER_SIZES if tiny else DRIVER_SIZES), TINY_CHUNKS if tiny else CHUNKS, targets),
        "One kernel": _kernels(TINY_KERNEL_SHAPES if tiny else KERNEL_SHAPES, targets),
    }
    return result("memory", QUESTION, METHOD, targets, tables)


class PssWatch:
    """The largest totals of a cluster's Python workers, in bytes and by kind, over the times it was called."""

    def __init__(self, cluster_folder: Path) -> None:
        self._folder = str(cluster_folder)
        self.peak = dict.fromkeys(("Pss", "Pss_Anon", "index"), 0)
        self.n_processes = 0

    def __call__(self) -> None:
        """Look at all processes once."""
        pids = worker_processes(self._folder)
        found = [rollup | {"index": mapped_pss(pid)} for pid in pids if (rollup := read_rollup(pid))]
        self.n_processes = max(self.n_processes, len(found))
        for name, peak in self.peak.items():
            self.peak[name] = max(peak, sum(rollup.get(name, 0) for rollup in found))


def worker_processes(cluster_folder: str) -> list[int]:
    """Return the ids of Python workers and their daemons that run below a cluster's folder, where executors stand."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"pyspark.daemon" in (place / "cmdline").read_bytes()
            if is_worker and str((place / "cwd").readlink()).startswith(cluster_folder):
                found.append(int(place.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def read_rollup(pid: int) -> dict[str, int]:
    """Return the sums of a process's memory by kind, in bytes; nothing if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name.rstrip(":"): 1024 * int(kib) for name, kib, _ in map(str.split, lines)}


def mapped_pss(pid: int) -> int:
    """Return a process's share of the index's pages, in bytes: PSS of the files it maps that NumPy wrote."""
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return 0
    total, counted = 0, False
    for line in lines:
        name = line.split(maxsplit=1)[0]
        if not name.endswith(":"):
            counted = line.endswith(".npy")
        elif counted and name == "Pss:":
            total += 1024 * int(line.split()[1])
    return total


def _workers(n: int, d: int, m: int, every: float, targets: list[Row]) -> list[Row]:
    say(f"memory: workers, {n:,} × {d} × {m:,}")
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as place:
        folder = Path(place).resolve()
        write_tables(folder=str(folder), n=n, d=d, m=m)
        watch = PssWatch(folder)
        with start_cluster(folder, find_java_home(), cores=CORES, memory=EXECUTOR_MEMORY) as cluster:
            job = apart(
                run_jobs,
                variables=cluster.environment(),
                watch=watch,
                every=every,
                folder=str(folder),
                master=cluster.master,
                conf=cluster.conf(),
                jobs=[{"chunk_rows": max(1, m // 8)}],  # so many chunks that all workers have several
            )[0]
    plan = job["plan"]
    n_workers = N_WORKERS * CORES
    scratch = scratch_bytes(n, d, ranking=ValueOptions().ranking_for(n))
    allowed = INDEX_SHARE * plan["index_bytes"] + n_workers * scratch
    what = f"N = {n:,}, D = {d:,}, {n_workers} workers: PSS"
    ratio = watch.peak["Pss"] / allowed
    targets.append(at_most(f"{what} / ({INDEX_SHARE} × index + workers × scratch)", 1.0, ratio))
    targets.append(
        at_most(f"{what} of the index's pages / index", INDEX_SHARE, watch.peak["index"] / plan["index_bytes"])
    )
    return [
        _mib("index", plan["index_bytes"]),
        _mib("scratch of a worker, as stated", scratch),
        _mib(f"allowed: {INDEX_SHARE} × index + {n_workers} × scratch", allowed),
        _mib(f"largest PSS of {watch.n_processes} processes", watch.peak["Pss"]),
        _mib("largest PSS of the index's pages", watch.peak["index"]),
        _mib("largest PSS of anonymous pages", watch.peak["Pss_Anon"]),
        _mib(f"for comparison: {n_workers} copies of the index", n_workers * plan["index_bytes"]),
    ]


def _mib(what: str, n_bytes: float) -> Row:
    return {"what": what, "MiB": n_bytes / MIB}


def _driver(n: int, d: int, m: int, chunks: tuple[int, int], targets: list[Row]) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, n=n, d=d, m=m)
        say(f"memory: driver, {n:,} × {d} × {m:,} in {chunks} chunks")
        settings = [{"chunk_rows": -(-m // n_chunks)} for n_chunks in chunks]
        for job in apart(run_jobs, folder=folder, master="local[2]", jobs=settings):
            sizes = {"N": n, "D": d, "M": m, "chunks": job["plan"]["n_chunks"]}
            all_partials = 16 * n * sizes["chunks"] / MIB
            rows.append({**sizes, "driver, MiB": job["driver_bytes"] / MIB, "all partials, MiB": all_partials})
    growth = rows[-1]["driver, MiB"] / rows[0]["driver, MiB"]
    few, many = rows[0]["chunks"], rows[-1]["chunks"]
    targets.append(at_most(f"N = {n:,}: driver's memory at {many} chunks / at {few}", DRIVER_GROWTH, growth))
    return rows


def _kernels(shapes: list[tuple[int, int, str]], targets: list[Row]) -> list[Row]:
    rows = []
    for n, d, ranking in shapes:
        say(f"memory: kernel, {n:,} × {d}, {ranking}")
        with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
            write_tables(folder=folder, n=n, d=d, m=256)
            write_index(folder)
            taken = apart(kernel_bytes, folder=folder, ranking=ranking)
        stated = scratch_bytes(n, d, ranking=ranking)
        sizes = {"N": n, "D": d, "ranking": ranking}
        rows.append({**sizes, "taken, MiB": taken / MIB, "scratch_bytes, MiB": stated / MIB, "share": taken / stated})
        targets.append(at_most(f"N = {n:,}, D = {d:,}, {ranking}: taken / scratch_bytes", 1.0, taken / stated))
    return rows


def write_index(folder: str) -> None:
    """Pack the folder's training rows into an index beside them."""
    import pyarrow as pa

    arrays = read_arrays(folder)
    x, y = arrays["x_train"], arrays["y_train"]
    writer = IndexWriter(Path(folder) / "index", *x.shape, "float32")
    writer.append(x, pa.table({"id": np.arange(len(x)), "label": y}))
    writer.finish("euclidean")


def kernel_bytes(folder: str, ranking: str) -> int:
    """Return the largest anonymous memory while one chunk is valued, beyond that before, in bytes."""
    index = open_index(Path(folder) / "index")
    rng = np.random.default_rng(3)
    n, d = index.arrays.x.shape
    codes = [np.array([code], np.int32) for code in rng.integers(0, N_CLASSES, 256)]
    chunk = ChunkArrays(rng.standard_normal((256, d), np.float32), codes)
    options = ValueOptions(ranking=ranking, parameters={"k": 10})
    ranking_options = options.ranking_options(KnnShapley(10), n)
    # Work space that BLAS keeps for good, Numba and its loops are there before, as in a worker that has had a task.
    np.matmul(np.ones((256, 8), np.float32), np.ones((8, 8_192), np.float32))
    ranked_partial(rng.random((60_000, 8), np.float32), np.zeros(60_000), chunk.x[:1, :8], np.zeros(1), ranking)()
    with _anonymous_peak() as peak:
        options.declaration.partial(index.arrays, chunk, ranking_options, KnnShapley(10))
    return peak["after"] - peak["before"]


@contextmanager
def _anonymous_peak() -> Iterator[dict[str, int]]:
    """Yield where the anonymous memory before the block and its peak in it will stand, in bytes."""
    peak = {"before": _anonymous_bytes(), "after": 0}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peak["after"] = max(peak["after"], _anonymous_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _anonymous_bytes() -> int:
    status: dict[str, Any] = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status["RssAnon"].split()[0])


if __name__ == "__main__":
    run(main)
