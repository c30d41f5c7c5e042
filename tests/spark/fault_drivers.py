"""A driver that values on a cluster while things break there; prints what came of each job as one line of JSON.

python fault_drivers.py '{"master": ..., "conf": {...}, "folder": FOLDER, "cache": FOLDER}'
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from drivers import _session
from frames import draw_data, write_parquet

from dvspark.cli import main
from dvspark.engine.replicated import replicated

DATA = draw_data(60, 40, seed=57)
# Longer than any job here takes; a wait that ends by it is a failure.
WAIT_SECONDS = 60
# An index of which the host has no copy yet has another metric.
METRICS = {"cache": "cosine", "damaged": "inner_product"}


def strike(marker: str) -> None:
    """Kill this task's executor, if a task comes here for the first time; no other process."""
    # Runs on executors, where this script is not: it travels as it stands.
    import os
    import signal
    from pathlib import Path

    daemon = os.getppid()
    stat = Path(f"/proc/{daemon}/stat")
    executor = int(stat.read_text().rpartition(")")[2].split()[1])
    if b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{executor}/cmdline").read_bytes():
        return  # the driver
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(executor, signal.SIGKILL)
    os._exit(1)


def in_map(marker: str) -> dict[str, Any]:
    true = replicated.value_chunks

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        for batch in true(batches, index, work):
            strike(marker)
            yield batch

    return {"value_chunks": value_chunks}


def in_reduce(marker: str) -> dict[str, Any]:
    true = replicated.reduce_block

    def reduce_block(partials: Any) -> Any:
        strike(marker)
        return true(partials)

    return {"reduce_block": reduce_block}


def in_cache(marker: str) -> dict[str, Any]:
    """Die between copy and check; what was copied is spoiled, so that reading it would show."""
    from dvspark.engine.index import host_cache

    true, check = replicated.open_here, host_cache.damaged_files

    def open_here(reference: Any) -> Any:
        from unittest import mock

        from dvspark.engine.index import host_cache

        def damaged_files(staging: Any, digest: str) -> list[str]:
            copied = (staging / "x.npy").read_bytes()
            (staging / "x.npy").write_bytes(bytes(len(copied)))
            strike(marker)
            (staging / "x.npy").write_bytes(copied)
            return check(staging, digest)

        with mock.patch.object(host_cache, "damaged_files", damaged_files):
            return true(reference)

    return {"open_here": open_here}


def speculative(marker: str) -> dict[str, Any]:
    """The first attempt at the first chunk waits until a second one, on the other host, is done."""
    true, seconds = replicated.value_chunks, WAIT_SECONDS

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        import time
        from pathlib import Path

        from pyspark import TaskContext

        task = TaskContext.get()
        found = list(true(batches, index, work))
        if task.partitionId() == 0 and task.attemptNumber() > 0:
            Path(marker).touch()
        deadline = time.monotonic() + seconds
        while task.partitionId() == 0 and not Path(marker).exists():
            if time.monotonic() > deadline:
                raise TimeoutError("no speculative copy")
            time.sleep(0.05)
        yield from found

    return {"value_chunks": value_chunks}


def twice(_marker: str) -> dict[str, Any]:
    true = replicated.value_chunks

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        for batch in true(batches, index, work):
            yield batch
            yield batch

    return {"value_chunks": value_chunks}


def damaged(_marker: str) -> dict[str, Any]:
    """A byte of the index changes before it is shipped."""
    true = replicated.ship_index

    def ship_index(spark: Any, reference: Any, shipping: str) -> Any:
        place = Path(reference.directory) / "x.npy"
        content = place.read_bytes()
        place.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        return true(spark, reference, shipping)

    return {"ship_index": ship_index}


def memory(_marker: str) -> dict[str, Any]:
    """A worker asks for more than it may have, as under `spark.executor.pyspark.memory`."""
    true = replicated.value_chunks

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        import resource
        from pathlib import Path

        import numpy as np

        found = list(true(batches, index, work))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 2**26
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))  # this worker is not used again
        np.ones(2**27)
        yield from found

    return {"value_chunks": value_chunks}


def killed(_marker: str) -> dict[str, Any]:
    """A worker is killed, as by a system whose memory runs out."""
    true = replicated.value_chunks

    def value_chunks(batches: Any, index: Any, work: Any) -> Iterator[Any]:
        import os
        import signal

        for batch in true(batches, index, work):
            os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    return {"value_chunks": value_chunks}


def lacking(_marker: str) -> dict[str, Any]:
    """A function of a package that only the driver has."""
    module = types.ModuleType("only_here")
    exec("def value_chunks(batches, index, work):\n    yield from batches\n", module.__dict__)
    sys.modules["only_here"] = module
    return {"value_chunks": module.value_chunks}


def nothing(_marker: str) -> dict[str, Any]:
    return {}


FAULTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "undisturbed": nothing,
    "map": in_map,
    "reduce": in_reduce,
    "speculative": speculative,
    "overwritten": nothing,
    "twice": twice,
    "memory": memory,
    "killed": killed,
    "lacking": lacking,
    "cache": in_cache,
    "cache_undisturbed": nothing,
    "damaged": damaged,
}


def run(master: str, conf: dict[str, str], folder: str, cache: str) -> dict[str, Any]:
    """Return of each job its exit code, what it said, and whether its fault came."""
    place, found = Path(folder), {}
    tables = [word for side in ("train", "validation") for word in (f"--{side}", str(place / f"{side}.parquet"))]
    for side in ("train", "validation"):
        write_parquet(place / f"{side}.parquet", getattr(DATA, side))
    spark = _session("master", master, conf)
    try:
        for name, fault in FAULTS.items():
            marker, said = place / f"{name}.marker", io.StringIO()
            words = [*tables, "--output", str(place / name), "--run_id", "run", "--k", "4", "--chunk_rows", "5"]
            words += ["--report", "false", "--metric", METRICS.get(name.partition("_")[0], "euclidean")]
            if name == "overwritten":
                _overwrite(Path(cache))
            with contextlib.ExitStack() as patches, contextlib.redirect_stderr(said):
                for attribute, replacement in fault(str(marker)).items():
                    patches.enter_context(mock.patch.object(replicated, attribute, replacement))
                exit_code = main(["value", *words, "--json"])
            left = _building(Path(cache))
            found[name] = {"exit_code": exit_code, "said": said.getvalue(), "came": marker.exists(), "building": left}
    finally:
        spark.stop()
    return found


def _building(cache: Path) -> list[str]:
    """Return the copies that are still being made; tasks of a failed job may be at it for a moment after its end."""
    deadline = time.monotonic() + WAIT_SECONDS
    while left := sorted(path.name for path in cache.glob("*.building")):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _overwrite(cache: Path) -> None:
    """Put a file of zeros in place of the embeddings in the host's copies; who has the old one mapped keeps it."""
    for x in cache.glob("*/x.npy"):
        zeros = bytes(x.stat().st_size)
        x.unlink()
        x.write_bytes(zeros)


if __name__ == "__main__":
    result = run(**json.loads(sys.argv[1]))
    sys.stdout.write("\n" + json.dumps(result) + "\n")
