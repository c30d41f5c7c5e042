"""Sharded plan: a training table that no process holds more than an eighth of: `python -m tests.bench.sharded`."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import run_jobs, write_tables
from tests.bench.memory import MIB, read_rollup

QUESTION = "What does a training table larger than a host take, in memory, on disk and in time?"
METHOD = """\
`host_memory` is set so low that the replicated plan is refused (its message is kept) and `plan: auto` shards. While the
job runs in local[2], the mappings and the memory of every Python worker are read from `/proc` and the size of the work
folder from its files, every half second; the largest are kept. Anonymous memory
counts the interpreter and its libraries too, which what is stated leaves out. Normal data, 10 classes, k = 10."""
SIZES, TINY_SIZES = (10_000_000, 64, 64), (80_000, 8, 8)
HOST_MEMORY = "4g"
# What a block needs to be worked on is more than a tiny table takes: its plan is asked for.
TINY_HOST_MEMORY, TINY_PLAN = "10m", {"plan": "sharded"}
LARGEST_SHARE = 1 / 8
# Values of ten million rows pass through the driver's JVM on their way into files.
DRIVER_MEMORY = {"spark.driver.memory": "6g"}
LOOK_SECONDS = 0.5


def main(tiny: bool = False) -> Result:
    """Run the job that is refused and the one that is sharded; about ten minutes and 12 GB of disk."""
    n, d, m = TINY_SIZES if tiny else SIZES
    say(f"sharded: {n:,} × {d} × {m:,}")
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, n=n, d=d, m=m)
        work_dir = {"work_dir": f"{folder}/work"}
        little = {"host_memory": TINY_HOST_MEMORY if tiny else HOST_MEMORY}
        asked = TINY_PLAN if tiny else little
        same: dict[str, Any] = {"folder": folder, "master": "local[2]", "conf": DRIVER_MEMORY}
        refusal = apart(refusal_of, **same, settings={**little, **work_dir, "plan": "replicated"})
        watch = Watch(Path(folder) / "work")
        job = apart(run_jobs, watch=watch, **same, jobs=[{**asked, **work_dir, "ranking": "binned"}])[0]
    plan, seconds = job["plan"], job["stages"]
    share = watch.mapped / (4 * n * d)
    targets = [at_most("embeddings mapped by one process / all of them", LARGEST_SHARE, share)]
    sizes: list[Row] = [
        {"what": "index, as planned", "MiB": plan["index_bytes"] / MIB},
        {"what": f"one of {plan['n_blocks']} blocks, embeddings", "MiB": 4 * plan["block_rows"] * d / MIB},
        {"what": "embeddings mapped by one Python worker, most", "MiB": watch.mapped / MIB},
        {"what": "anonymous memory of one Python worker, most", "MiB": watch.anonymous / MIB},
        {"what": "stated for one Python worker", "MiB": plan["worker_bytes"] / MIB},
        {"what": "driver's Python", "MiB": job["driver_bytes"] / MIB},
        {"what": "work folder, most", "MiB": watch.disk / MIB},
    ]
    tables = {
        f"Sizes at N = {n:,}, D = {d}, M = {m}": sizes,
        "Seconds of the stages": [{"stage": name, "s": each} for name, each in seconds.items()],
        "What the replicated plan says": [{"message": refusal}],
    }
    return result("sharded", QUESTION, METHOD, targets, tables)


def refusal_of(folder: str, master: str, conf: dict[str, str], settings: dict[str, Any]) -> str:
    """Return the message with which a job is refused."""
    from dvspark.errors import ComputeError

    try:
        run_jobs(folder, master, [settings], conf)
    except ComputeError as error:
        return re.sub(r"\s+", " ", str(error))
    raise RuntimeError("the job was not refused")


class Watch:
    """The largest mapping of embeddings and anonymous memory of one Python worker, and the work folder's size."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._looked = 0.0
        self.mapped = self.anonymous = self.disk = 0

    def __call__(self) -> None:
        """Look once, if the last time is long enough ago."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        for pid in python_workers(os.getpid()):
            self.mapped = max(self.mapped, mapped_bytes(pid, "x.npy"))
            self.anonymous = max(self.anonymous, read_rollup(pid).get("Pss_Anon", 0))
        # Folders come and go meanwhile: `os.walk` passes over one that has gone, `Path.rglob` raises.
        files = (Path(folder, name) for folder, _, names in os.walk(self._work) for name in names)
        self.disk = max(self.disk, sum(map(_size, files)))
        self._looked = time.monotonic()


def python_workers(ancestor: int) -> list[int]:
    """Return the ids of Spark's Python workers, and their daemons, below a process."""
    parents, workers = {}, []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(place.name)
            parents[pid] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if b"pyspark.daemon" in (place / "cmdline").read_bytes():
                workers.append(pid)
        except OSError:  # it has ended
            continue

    def is_below(pid: int) -> bool:
        while pid in parents:
            if pid == ancestor:
                return True
            pid = parents[pid]
        return False

    return [pid for pid in workers if is_below(pid)]


def mapped_bytes(pid: int, name: str) -> int:
    """Return the bytes of files of that name which a process maps."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return 0
    spans = [line.split(maxsplit=1)[0].split("-") for line in lines if line.endswith(f"/{name}")]
    return sum(int(end, 16) - int(begin, 16) for begin, end in spans)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0


if __name__ == "__main__":
    run(main)
